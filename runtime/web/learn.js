// The entry point of training. What only generates does not import it.
import { learner, modules } from "./learner.js";
import { TextgenError, invalid, quote } from "./lib/errors.js";
import { Learning } from "./lib/learning.js";
import { decodeBase64, hasRelaxedSimd, readSource } from "./lib/loading.js";
import { convert } from "./lib/trainer.js";

export { TextgenError };

/** @type {WebAssembly.Module | undefined} */
let compiled;

/** Return the module that learns. A later call tries again if it fails. */
async function compile() {
  if (compiled) return compiled;
  const packed = new Blob([decodeBase64(hasRelaxedSimd() ? modules.relaxed : modules.plain)]);
  const unpacked = packed.stream().pipeThrough(new DecompressionStream("deflate"));
  return (compiled = await WebAssembly.compile(await new Response(unpacked).arrayBuffer()));
}

/**
 * Start a run: see learn.d.ts.
 *
 * @param {string} text
 * @param {any} [options]
 */
export async function learn(text, options = {}) {
  if (typeof text !== "string") throw invalid("text", `must be a string, not ${quote(text)}`);
  const module = await compile();
  const { from, ...others } = options;
  // Node has no workers of browsers. Bundlers for browsers must not look for this module.
  const name = "node:worker_threads";
  const threads = typeof Worker === "function" ? null : await import(/* webpackIgnore: true */ /* @vite-ignore */ name);
  return new Learning(text, { ...others, from: from && (await open(from)) }, module, learner, threads);
}

/** Return what a run needs to know of a model. @param {import("./index.d.ts").ModelSource} source */
async function open(source) {
  const content = await readSource(source);
  const { load } = await import("./plain.js");
  const model = await load(content);
  const { info } = model;
  model.dispose();
  return { content, info };
}

/**
 * Convert a model to 8-bit weights: see learn.d.ts.
 *
 * @param {import("./index.d.ts").ModelSource} source
 */
export async function quantize(source) {
  const content = await readSource(source);
  return convert(await WebAssembly.instantiate(await compile(), {}), content);
}
