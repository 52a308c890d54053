// Both modules of the package. In Node 20, this module switches relaxed SIMD on.

import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { hasRelaxedSimd, loader } from "../../runtime/web/lib/loading.js";

if (!hasRelaxedSimd()) {
  setFlagsFromString("--experimental-wasm-relaxed-simd");
}

/** The files of the modules, by the names of their kernels. */
export const FILES = { baseline: "textgen.wasm", "relaxed-simd": "textgen-relaxed.wasm" };

/** The names of the kernels that the engine can run. */
export const KERNELS = Object.keys(FILES).filter((name) => name === "baseline" || hasRelaxedSimd());

/** Words for the name of a test that covers all KERNELS. */
export const COVERED = KERNELS.length > 1 ? "both modules" : "the plain module (this engine has no relaxed SIMD)";

export const readModule = (kernels) => readFileSync(`runtime/web/${FILES[kernels]}`);

/** The function `load` with each module that the engine can run. */
export const LOADS = Object.fromEntries(KERNELS.map((name) => [name, loader(async () => readModule(name))]));
