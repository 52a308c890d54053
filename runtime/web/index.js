// The entry point whose WebAssembly modules are parts of the JavaScript. Only one of them is imported.
import { decodeBase64, hasRelaxedSimd, loader } from "./lib/loading.js";

export { TextgenError } from "./lib/errors.js";

export const load = loader(async () =>
  decodeBase64((await (hasRelaxedSimd() ? import("./wasm-relaxed.js") : import("./wasm.js"))).default),
);
