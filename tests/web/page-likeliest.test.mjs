// The likeliest characters of a model of bytes, without a browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "../../runtime/web/index.js";
import { content } from "./package-cases.mjs";
import { pageModules } from "./page-modules.mjs";

const { likeliest } = await pageModules("likeliest.js");
const model = await load(content("accented"));
const COUNT = 10;

/** Return the characters up to U+FFFF and their probabilities at temperature 1, the likeliest first. */
function allCharacters(generation) {
  const characters = Array.from({ length: 0x10000 }, (_, code) => String.fromCharCode(code));
  return characters
    .filter((character) => !/\p{Surrogate}/u.test(character))
    .filter((character) => character < "\u0800" || "\u20ac\u0436\ufeff".includes(character))
    .map((text) => ({ text, learned: Math.exp(-generation.surprise(text).reduce((sum, nats) => sum + nats, 0)) }))
    .sort((a, b) => b.learned - a.learned);
}

for (const prompt of ["a", "\u00e9\u20ac", "ccc"]) {
  test(`after ${prompt}, the likeliest characters are those of the product of the probabilities of their bytes`, () => {
    const generation = model.start(prompt, { seed: 1 });
    const found = likeliest(generation, 1, "byte", COUNT);
    const whole = found.filter(({ isByte }) => !isByte);
    const expected = allCharacters(generation).slice(0, whole.length);
    assert.deepEqual(whole.map(({ text }) => text), expected.map(({ text }) => text));
    whole.forEach(({ learned, probability }, i) => {
      assert.ok(Math.abs(learned - expected[i].learned) < 1e-9 * learned);
      assert.equal(probability, learned);
    });
    assert.ok(whole.some(({ text }) => text > "\u007f"));
  });
}

test("the likeliest symbols are those of temperature 1, with their probabilities there and at another one", async () => {
  const generation = (await load(content("tiny"))).start("abc");
  const learned = generation.next({ k: 3, temperature: 1 });
  const bent = new Map(generation.next({ k: 100, temperature: 0.5 }).map(({ token, probability }) => [token, probability]));
  assert.deepEqual(
    likeliest(generation, 0.5, "character", 3).map(({ text, learned, probability }) => [text, learned, probability]),
    learned.map(({ text, token, probability }) => [text, probability, bent.get(token)]),
  );
});

test("a byte that begins no character is no text, and a byte-order mark is a character", () => {
  const tokens = [0xef, 0x80, 0x61, 0xc3];
  const rest = { "": tokens, "\xef": [0xbb, 0x61], "\xef\xbb": [0xbf], "\xc3": [0x62, 0xc3] };
  const at = (path) => ({
    next: ({ k }) => (rest[path] ?? []).map((token, i) => ({ token, text: `\\x${token.toString(16)}`, probability: 0.5 ** (i + 1) })).slice(0, k),
    copy: () => at(path),
    feedList: (bytes) => (path += String.fromCharCode(...bytes)),
    dispose() {},
  });
  const found = likeliest(at(""), 1, "byte", COUNT);
  assert.deepEqual(
    found.map(({ text, isByte, learned }) => [text, isByte, learned]),
    [["\\x80", true, 0.25], ["a", false, 0.125], ["\ufeff", false, 0.125]],
  );
});
