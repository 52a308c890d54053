// The models and the results of Python that the tests of the package compare with.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { TextgenError, load } from "../../runtime/web/index.js";

// The folder that tests/helpers/web_cases.py writes.
export const FOLDER = resolve(process.env.TEXTGEN_CASES ?? "build/web-test/cases");

export const cases = JSON.parse(readFileSync(`${FOLDER}/cases.json`, "utf-8"));

/** Return the content of a model file. */
export const content = (name) => new Uint8Array(readFileSync(`${FOLDER}/${name}.onnx`));

export const loadCase = (name, options) => load(content(name), options);

/** Return a check of an error for assert.throws: its code, and the option that it is about. Its message is one line. */
export const error = (code, parameter) => (found) => {
  assert.ok(found instanceof TextgenError, String(found.stack));
  assert.deepEqual([found.code, found.parameter], [code, parameter], found.message);
  assert.match(found.message, /^.{5,300}$/);
  assert.ok(!parameter || found.message.startsWith(parameter) || code.endsWith("SAVED"), found.message);
  return true;
};
