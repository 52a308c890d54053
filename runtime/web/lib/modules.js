// The WebAssembly modules of the core. An entry point chooses one.
import { TextgenError, quote } from "./errors.js";
import { loadModel, reason } from "./loading.js";

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
 * @param {() => Promise<Uint8Array>} readModule returns the bytes of a module
 * @returns {(source: import("../index.d.ts").ModelSource, options?: import("../index.d.ts").LoadOptions) => Promise<import("./model.js").Model>}
 */
export function loader(readModule) {
  /** @type {Promise<WebAssembly.Module> | undefined} */
  let compiled;
  return (source, options = {}) => {
    compiled ??= compile(readModule).catch((error) => {
      // A later call tries again. Some engines repeat the error of a failed import.
      compiled = undefined;
      throw error;
    });
    return loadModel(source, options, compiled);
  };
}

/** @param {() => Promise<Uint8Array>} readModule */
async function compile(readModule) {
  return WebAssembly.compile(/** @type {BufferSource} */ (await readModule()));
}

/**
 * Return the bytes of a module that another JavaScript module contains.
 *
 * @param {Promise<{ default: string }>} imported
 */
export async function decodeImported(imported) {
  try {
    return decodeBase64((await imported).default);
  } catch (error) {
    throw new TextgenError("NOT_READ", `cannot read the WebAssembly module: ${quote(reason(error))}`);
  }
}

/** @param {string} base64 */
export function decodeBase64(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
