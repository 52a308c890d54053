// The entry point that reads textgen.wasm as a file of its own.
import { loadModel, readSource } from "./lib/loading.js";

export { TextgenError } from "./lib/errors.js";

/** @type {Promise<WebAssembly.Module> | undefined} */
let compiled;

async function compile() {
  return WebAssembly.compile(/** @type {BufferSource} */ (await readSource(new URL("textgen.wasm", import.meta.url))));
}

/** @param {import("./index.d.ts").ModelSource} source */
export function load(source) {
  compiled ??= compile().catch((error) => {
    // A later call reads the file again.
    compiled = undefined;
    throw error;
  });
  return loadModel(source, compiled);
}
