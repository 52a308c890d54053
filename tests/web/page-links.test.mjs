// Links of the page and the texts that they describe, without a browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "../../runtime/web/index.js";
import { content } from "./package-cases.mjs";
import { pageModules } from "./page-modules.mjs";

const tiny = await load(content("tiny"));
const { RunningText, fromLink, toLink } = await pageModules("link.js", "running-text.js");

/** Return a complete text. */
function written(description, model = tiny) {
  const text = new RunningText(model, { prompt: "abc", seed: 1, temperature: 0.5, ...description });
  finish(text);
  return text;
}

function finish(text) {
  while (!text.isComplete) text.advance();
}

test("a text stops at the length that its link can have", () => {
  const text = written({ length: 99_900 });
  text.extend(1000);
  finish(text);
  assert.equal(text.units.length, 100_000);
  text.extend(1000);
  assert.ok(text.isComplete);
  assert.equal(text.branch(100_000, "a", 0.5, 100), false);
  assert.equal(text.branch(99_999, "a", 0.5, 100), true);
  finish(text);
  assert.deepEqual(fromLink(toLink(text.describe())), text.describe());
});

test("a text takes no more branches than its link can have", () => {
  const text = written({ length: 1100 });
  text.branches = Array.from({ length: 1000 }, (_, i) => ({ at: text.units[i].at, temperature: 0.5, choice: "" }));
  assert.deepEqual(fromLink(toLink(text.describe())), text.describe());
  const before = text.describe();
  assert.equal(text.branch(1000, "a", 0.5, 100), false);
  assert.equal(text.changeTemperature(0.7), false);
  assert.deepEqual(text.describe(), before);
  // The branches after it are replaced.
  assert.equal(text.branch(999, "a", 0.5, 100), true);
});

test("a character of several bytes is one unit of a text", async () => {
  const [prompt, options] = ["\u00e9\u20ac", { seed: 5, temperature: 0.8, length: 60 }];
  const model = await load(content("accented"));
  const text = written({ prompt, ...options }, model);
  assert.equal(text.text, model.generate(prompt, options));
  assert.equal(text.units.map((unit) => unit.text).join(""), text.text);
  assert.ok(text.units.some((unit) => unit.text > "\u07ff"));
});

test("the bytes of a chosen character count as tokens", async () => {
  const model = await load(content("accented"));
  const description = { prompt: "abc", seed: 1, temperature: 1, length: 20, branches: [{ at: 0, temperature: 1, choice: "\u00e9" }] };
  const text = new RunningText(model, description);
  finish(text);
  assert.equal(text.text, "\u00e9" + model.start("abc\u00e9", { seed: 2, temperature: 1 }).take(18));
});

test("a place between the copies of a text has the generation that wrote what follows", () => {
  const text = written({ length: 200 });
  for (const index of [200, 130, 65, 64, 63, 1, 0]) {
    const before = text.units.slice(0, index).map((unit) => unit.text).join("");
    assert.deepEqual(text.generationAt(index).logits(), tiny.start(`abc${before}`).logits(), `unit ${index}`);
  }
});

test("a link has any prompt and any choice", () => {
  const description = {
    ...{ prompt: "a_b&c=#\u00e9\n", seed: 4294967295, temperature: 2, length: 100_000 },
    branches: [["a_b", 0], ["", 0], [" &", 2], [null, 3]].map(([choice, at]) => ({ at, temperature: 0.5, choice })),
  };
  assert.deepEqual(fromLink(toLink(description)), description);
  assert.equal(fromLink("#prompt=a"), null);
});

test("a link that describes no text is refused", () => {
  for (const [link, message] of [
    ["seed=x", "The seed of the link is not a number from 0 to 4294967295."],
    ["seed=4294967296", "The seed of the link is not a number from 0 to 4294967295."],
    ["seed=1&temperature=3", "The temperature of the link is not a number from 0 to 2."],
    ["seed=1&length=100001", "The length of the link is not a number from 0 to 100000."],
    ["seed=1&branch=nowhere_1_a", "The branch of the link is not a number from 0 to 6400000."],
    ["seed=1&branch=3_1_a&branch=2_1_b", "The branches of the link are not in order."],
  ]) {
    assert.throws(() => fromLink(`#${link}`), { message }, link);
  }
});

test("a link with too many branches is refused", () => {
  const link = (count) => `#seed=1${"&branch=0_1_".repeat(count)}`;
  assert.equal(fromLink(link(1000)).branches.length, 1000);
  assert.throws(() => fromLink(link(1001)), /^Error: The link has more than 1000 branches\.$/);
});
