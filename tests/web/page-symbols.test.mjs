// How the page names symbols, and writes probabilities.

import assert from "node:assert/strict";
import { test } from "node:test";
import { describe, lastCharacters, percent, visible } from "../../runtime/web/page/symbols.js";

test("a symbol that cannot be seen has a name or a mark, and a probability has two digits", () => {
  assert.deepEqual(["a", " ", "\n", "\u00a0"].map(describe), ["\u201ca\u201d", "space", "line end", "U+00A0"]);
  assert.deepEqual(["\u0301", " cab", "a\nb", " "].map(visible), ["\u25cc\u0301", "\u2423cab", "a\u21b5b", " "]);
  assert.deepEqual([["abc", 5], ["abcdef", 3], ["a\n  ", 4], [" ", 4]].map((given) => lastCharacters(...given)), ["abc", "\u2026def", "a\u21b5\u2423\u2423", "\u2423"]);
  assert.deepEqual([1, 0.9996, 0.0996, 0.0994, 0.00099, 0.0001, 0].map(percent), ["100%", "100%", "10%", "9.9%", "0.1%", "< 0.1%", "0%"]);
});
