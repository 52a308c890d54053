// The entry point whose WebAssembly module is part of the JavaScript, so that it needs no other file.
import { loadModel } from "./lib/loading.js";
import base64 from "./wasm.js";

export { TextgenError } from "./lib/errors.js";

/** @type {Promise<WebAssembly.Module> | undefined} */
let compiled;

/** @param {import("./index.d.ts").ModelSource} source */
export function load(source) {
  compiled ??= WebAssembly.compile(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)));
  return loadModel(source, compiled);
}
