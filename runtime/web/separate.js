// The entry point that reads textgen.wasm as a file of its own.
import { loadModel, readSource } from "./lib/loading.js";

export { TextgenError } from "./lib/errors.js";

/** @type {Promise<WebAssembly.Module> | undefined} */
let compiled;

/** @param {import("./index.d.ts").ModelSource} source */
export function load(source) {
  compiled ??= readSource(new URL("textgen.wasm", import.meta.url)).then((content) => WebAssembly.compile(content));
  return loadModel(source, compiled);
}
