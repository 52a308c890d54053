// From a source to a model: the WebAssembly module of the core, which an entry point chooses, and the model file.
import { Core } from "./core.js";
import { TextgenError, invalid, quote } from "./errors.js";
import { Model } from "./model.js";
import { checkOptions } from "./sampling.js";

/** A module with one function, which returns f32x4.relaxed_madd of its argument. */
const RELAXED_MODULE = Uint8Array.of(
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...[1, 6, 1, 0x60, 1, 0x7b, 1, 0x7b], // types: v128 to v128
  ...[3, 2, 1, 0], // functions
  ...[10, 13, 1, 11, 0, 0x20, 0, 0x20, 0, 0x20, 0, 0xfd, 0x85, 2, 0x0b], // code
);

/** Whether the engine has the relaxed SIMD of WebAssembly. */
export function hasRelaxedSimd() {
  return WebAssembly.validate(RELAXED_MODULE);
}

/**
 * Return the function `load` of an entry point.
 *
 * @param {() => Promise<any>} readModule returns the bytes of a module
 * @returns {(source: import("../index.d.ts").ModelSource, options?: import("../index.d.ts").LoadOptions) => Promise<import("./model.js").Model>}
 */
export function loader(readModule) {
  /** @type {Promise<WebAssembly.Module> | undefined} */
  let compiled;
  return (source, options = {}) => {
    compiled ??= readModule().then(WebAssembly.compile).catch((error) => {
      // A later call tries again. Some engines repeat the error of a failed import.
      compiled = undefined;
      throw new TextgenError("NOT_READ", `cannot read the WebAssembly module: ${quote(reason(error))}`);
    });
    return loadModel(source, options, compiled);
  };
}

/** @param {string} base64 */
export function decodeBase64(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/**
 * Read and check a model.
 *
 * @param {import("../index.d.ts").ModelSource} source
 * @param {import("../index.d.ts").LoadOptions} options
 * @param {Promise<WebAssembly.Module>} module
 */
async function loadModel(source, options, module) {
  const novel = checkOptions(options, ["novel"]).novel ?? null;
  if (novel !== null && typeof novel !== "string") {
    throw invalid("novel", `must be a text, not ${quote(novel)}`);
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
    throw invalid("source", `must be a URL, a path, a Response or bytes, not ${quote(source)}`);
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
const reason = (error) => error?.cause?.message || error?.message || String(error);

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
