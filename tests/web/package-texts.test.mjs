// The package in Node gives the texts of Python.

import { test } from "node:test";
import { cases, content } from "./package-cases.mjs";
import { checkModel } from "./package-checks.mjs";
import { KERNELS, LOADS } from "./package-modules.mjs";

for (const kernels of KERNELS) {
  for (const [name, expected] of Object.entries(cases.models[kernels])) {
    test(`with the kernels ${kernels}, the model ${name} gives the numbers and texts of Python`, () =>
      checkModel(LOADS[kernels], content(name), expected, kernels));
  }
}
