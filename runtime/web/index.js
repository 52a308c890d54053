// The entry point whose WebAssembly modules are parts of the JavaScript. Only one of them is imported.
import { decodeImported, hasRelaxedSimd, loader } from "./lib/loading.js";

export { TextgenError } from "./lib/errors.js";

export const load = loader(() => decodeImported(hasRelaxedSimd() ? import("./wasm-relaxed.js") : import("./wasm.js")));
