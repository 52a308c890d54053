// How the page shows symbols and probabilities, without a browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { pageModules } from "./page-modules.mjs";

const { describe, lastCharacters, percent, visible } = await pageModules("symbols.js");

test("a percentage has two digits, and a small one says that it is small", () => {
  const texts = [1, 0.9951, 0.0996, 0.0994, 0.01, 0.00096, 0.0009, 1e-300, 0].map(percent);
  assert.deepEqual(texts, ["100%", "100%", "10%", "9.9%", "1.0%", "0.1%", "< 0.1%", "< 0.1%", "0%"]);
});

test("a symbol that cannot be seen has a name, and any other is quoted", () => {
  const names = [" ", "\n", "\u00a0", "\u00ad", "a", " a"].map(describe);
  assert.deepEqual(names, ["space", "line end", "no-break space", "U+00AD", "\u201ca\u201d", "\u201c a\u201d"]);
});

test("a space or a combining mark at the start of a symbol can be seen", () => {
  const shown = ["a", " ", " a", "\u0301", "a\n"].map(visible);
  assert.deepEqual(shown, ["a", " ", "\u2423a", "\u25cc\u0301", "a\u21b5"]);
});

test("the end of a text is one line, whose last spaces can be seen", () => {
  const ends = ["the ", "the  ", " ", "\n ", "abcdef", "\u{1d11e}\u{1d11e}"].map((text) => lastCharacters(text, 5));
  assert.deepEqual(ends, ["the ", "the\u2423\u2423", "\u2423", "\u21b5 ", "\u2026bcdef", "\u{1d11e}\u{1d11e}"]);
});
