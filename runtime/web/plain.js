// The entry point that contains the module without relaxed SIMD and imports nothing later.
import { decodeBase64, loader } from "./lib/loading.js";
import base64 from "./wasm.js";

export { TextgenError } from "./lib/errors.js";

export const load = loader(async () => decodeBase64(base64));
