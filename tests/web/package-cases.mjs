// The models and the results of Python that the tests of the package compare with.

import { readFileSync } from "node:fs";
import { resolve } from "node:path";

// The folder that tests/helpers/web_cases.py writes.
export const FOLDER = resolve(process.env.TEXTGEN_CASES ?? "build/web-test/cases");

export const cases = JSON.parse(readFileSync(`${FOLDER}/cases.json`, "utf-8"));

/** Return the content of a model file. */
export const content = (name) => new Uint8Array(readFileSync(`${FOLDER}/${name}.onnx`));
