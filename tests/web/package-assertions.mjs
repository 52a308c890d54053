// What several tests of the package assert.

import assert from "node:assert/strict";
import { TextgenError } from "../../runtime/web/index.js";

/** Return a check of an error for assert.throws: its code, its message of one line, and the option that it is about. */
export const error = (code, message, parameter) => (found) => {
  assert.ok(found instanceof TextgenError, String(found.stack));
  assert.equal(found.code, code);
  assert.match(found.message, message);
  assert.equal(found.parameter, parameter);
  assert.ok(!found.message.includes("\n"));
  return true;
};
