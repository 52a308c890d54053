// The entry point that reads its WebAssembly module as a file of its own.
import { hasRelaxedSimd, loader, readSource } from "./lib/loading.js";

export { TextgenError } from "./lib/errors.js";

export const load = loader(() =>
  readSource(
    // Bundlers find the files by these expressions.
    hasRelaxedSimd() ? new URL("textgen-relaxed.wasm", import.meta.url) : new URL("textgen.wasm", import.meta.url),
  ),
);
