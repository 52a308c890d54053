// The entry point that reads its WebAssembly module as a file of its own.
import { readSource } from "./lib/loading.js";
import { hasRelaxedSimd, loader } from "./lib/modules.js";

export { TextgenError } from "./lib/errors.js";

export const load = loader(() =>
  readSource(
    // Bundlers find the files by these expressions.
    hasRelaxedSimd() ? new URL("textgen-relaxed.wasm", import.meta.url) : new URL("textgen.wasm", import.meta.url),
  ),
);
