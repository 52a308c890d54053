import { Core } from "./core.js";
import { TextgenError, invalid, quote } from "./errors.js";
import { Model } from "./model.js";
import { checkOptions } from "./sampling.js";

/**
 * Read and check a model.
 *
 * @param {import("../index.d.ts").ModelSource} source
 * @param {import("../index.d.ts").LoadOptions} options
 * @param {Promise<WebAssembly.Module>} module
 */
export async function loadModel(source, options, module) {
  const novel = checkOptions(options, ["novel"]).novel ?? null;
  if (novel !== null && typeof novel !== "string") {
    throw invalid(`novel must be a text, not ${quote(novel)}`, "novel");
  }
  const [content, compiled] = await Promise.all([readSource(source), module]);
  return new Model(new Core(await WebAssembly.instantiate(compiled, {})), content, novel);
}

/**
 * Return the bytes of a source.
 *
 * @param {import("../index.d.ts").ModelSource} source
 * @returns {Promise<Uint8Array>}
 */
export async function readSource(source) {
  if (source instanceof ArrayBuffer) {
    return new Uint8Array(source);
  }
  if (ArrayBuffer.isView(source)) {
    return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  }
  if (typeof Response !== "undefined" && source instanceof Response) {
    return readResponse(source);
  }
  if (typeof source !== "string" && !(source instanceof URL)) {
    throw invalid(`the source must be a URL, a path, a Response or bytes, not ${quote(source)}`);
  }
  try {
    return isFile(source) ? await readFile(source) : await readResponse(await fetch(source));
  } catch (error) {
    if (error instanceof TextgenError) {
      throw error;
    }
    throw new TextgenError("NOT_READ", `cannot read ${quote(String(source))}: ${quote(reason(error))}`);
  }
}

/** @param {any} error */
export const reason = (error) => error?.cause?.message || error?.message || String(error);

/**
 * Whether a source is a file of Node. A path on Windows may begin with a letter and a colon.
 *
 * @param {string | URL} source
 */
function isFile(source) {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(String(source))?.[1].toLowerCase();
  return typeof process === "object" && Boolean(process?.versions?.node) && (!scheme || scheme === "file");
}

/** @param {string | URL} source */
async function readFile(source) {
  // Bundlers for browsers must not look for this module.
  const name = "node:fs/promises";
  const { readFile } = await import(/* webpackIgnore: true */ /* @vite-ignore */ name);
  return readFile(String(source).startsWith("file:") ? new URL(source) : source);
}

/** @param {Response} response */
async function readResponse(response) {
  if (!response.ok) {
    throw new TextgenError("NOT_READ", `cannot read ${quote(response.url)}: HTTP status ${response.status}`);
  }
  return new Uint8Array(await response.arrayBuffer());
}
