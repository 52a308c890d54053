// One running text: how it continues after it was fed, finished or ended, and what comes next.

import assert from "node:assert/strict";
import { test } from "node:test";
import { cases, error, loadCase } from "./package-cases.mjs";

const tiny = await loadCase("tiny");
const accented = await loadCase("accented");
const records = await loadCase("character");
const SEEDS = Array.from({ length: 20 }, (_, seed) => seed);
const drawable = (generation) => generation.next({ k: 1000 }).filter(({ drawProbability }) => drawProbability > 0);

for (const level of ["character", "byte", "word"]) {
  test(`at level ${level}, feed after the end of a record starts the next one, and before the end it does not`, async () => {
    const model = await loadCase(level);
    const generation = model.start("ab", { seed: 1 });
    assert.throws(() => generation.feed(""), error("NO_PROMPT"));
    generation.feed("c");
    assert.deepEqual(generation.logits(), model.start("abc").logits());
    for (const text of ["", "cab"]) {
      generation.take(10_000);
      assert.deepEqual([generation.ending, generation.ended, generation.take(5), generation.next()], ["end", true, "", []]);
      assert.equal(generation.feed(text), text);
      assert.deepEqual([generation.ending, generation.ended], [null, false]);
      assert.deepEqual(generation.logits(), model.start(text).logits());
    }
  });
}

test("a text that is fed or finished returns what was held back, and a stop text does not begin before", () => {
  const start = () => tiny.start("abc", { seed: 1, allowed: "a", stop: "aa" });
  const [stopped, finished, fed, complete] = [start(), start(), start(), start()];
  for (const generation of [stopped, finished, fed, complete]) {
    assert.equal(generation.take(1), "");
  }
  assert.deepEqual([stopped.take(5), stopped.ending], ["", "stop"]);
  assert.deepEqual([finished.finish(), finished.finish()], ["a", ""]);
  assert.equal(fed.feed("b"), "ab");
  for (const generation of [finished, fed]) {
    assert.deepEqual([generation.take(1), generation.ending, generation.finish()], ["", "length", "a"]);
  }
  assert.deepEqual([complete.take(0), complete.take(0, { finish: true }), complete.take(0, { finish: true })], ["", "a", ""]);
});

test("a text matches its constraint within its length, and ends where no symbol is allowed", () => {
  const match = { states: [{ accepting: false, next: { a: 0, b: 1, c: undefined } }, { accepting: true, next: {} }] };
  const generation = tiny.start("abc", { match, seed: 1, banned: "a" });
  assert.deepEqual(drawable(generation).map(({ text, drawProbability }) => [text, drawProbability]), [["b", 1]]);
  assert.deepEqual([generation.take(1), generation.ending, generation.ended, generation.take(5)], ["b", "constraint", true, ""]);
  // The same table without the banned character is another one.
  assert.equal(drawable(tiny.start("abc", { match })).length, 2);
  for (const seed of SEEDS) {
    assert.match(tiny.generate("abc", { match, seed, length: 3, logitBias: { a: 5 } }), /^a{0,2}b$/);
  }
});

test("a text copies at most maxCopy tokens of a normalized corpus, whose unknown characters separate its parts", async () => {
  const model = await loadCase("nietzsche", { novel: "THT\u2603T" });
  for (const seed of SEEDS) {
    const generation = model.start(null, { allowed: "th", maxCopy: 1, temperature: 3, seed });
    const first = generation.take(1);
    assert.deepEqual(drawable(generation).map(({ text, drawProbability }) => [text, drawProbability]), [[first, 1]]);
    assert.equal(generation.take(20), first.repeat(20));
  }
});

test("texts keep the spans of the corpus while others have other limits", async () => {
  const model = await loadCase("tiny", { novel: tiny.generate("abc", { seed: 1 }) });
  const options = { maxCopy: 2, seed: 1 };
  const expected = model.generate("abc", options);
  const running = [options, options].map((same) => model.start("abc", same));
  assert.equal(running[0].parts.spans, running[1].parts.spans);
  for (let maxCopy = 3; maxCopy < 10; maxCopy += 1) {
    model.generate("abc", { maxCopy });
  }
  assert.deepEqual(running.map((generation) => generation.take(400)), [expected, expected]);
});

test("the next symbols have their probabilities at a temperature, and those of the next draw", async () => {
  const generation = tiny.start("abc", { temperature: 1.3, topK: 2 });
  const logits = generation.logits();
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
  for (const { token, probability } of generation.next({ k: 100, temperature: 1 })) {
    assert.ok(Math.abs(probability - Math.exp(logits[token]) / total) < 1e-9);
  }
  const [first, second, ...others] = generation.next({ k: 100 });
  assert.ok(Math.abs(first.drawProbability - first.probability / (first.probability + second.probability)) < 1e-9);
  assert.deepEqual(new Set(others.map(({ drawProbability }) => drawProbability)), new Set([0]));
  const likeliest = Array.from(logits).map((logit) => Number(logit === Math.max(...logits)));
  assert.deepEqual(generation.next({ k: 100, temperature: 0 }).map(({ token, probability }) => likeliest[token] - probability), likeliest.fill(0));
  const bytes = (await loadCase("byte")).start("").next({ k: 1000 }).sort((a, b) => a.token - b.token).map(({ text }) => text);
  assert.deepEqual([bytes.length, bytes[0x61], bytes[0x7f], bytes[0x80], bytes[0xff]], [258, "a", "\x7f", "\\x80", "\\xff"]);
  assert.deepEqual(bytes.slice(256), ["\ufffd", "<end>"]);
});

test("a text has a surprisal for each character, and none for one that the model never draws", async () => {
  const surprise = accented.start("abc").surprise("é€a𝄞");
  assert.ok(surprise.length === 4 && surprise.every((nats) => nats > 0));
  assert.deepEqual(records.start("").surprise("axb").map(Number.isNaN), [false, true, false]);
  const [first, ...others] = (await loadCase("word")).start("").surprise("cab");
  assert.deepEqual(others, [first, first]);
});

test("allowed and banned characters also concern bytes that are not ASCII, and words", async () => {
  assert.match(accented.generate("abc", { allowed: "ab", seed: 1 }), /^[ab]{400}$/);
  const words = await loadCase("word");
  for (const seed of SEEDS) {
    assert.doesNotMatch(words.generate("c", { banned: "a", seed }), /a/);
    assert.match(words.generate("c", { allowed: "abc", seed }), /^[abc]*$/);
  }
});

test("the seed and the substream select the default prompt, and a random seed has 32 bits", (context) => {
  assert.equal(tiny.start("abc", { seed: 2n ** 127n + 5n }).seed, 2n ** 127n + 5n);
  const { prompts } = tiny.info;
  for (const [seed, substream] of [[0, 0], [1, 0], [1, 1], [2n ** 127n, 5]]) {
    const index = Number((BigInt(seed) + BigInt(substream)) % BigInt(prompts.length));
    assert.equal(tiny.start(null, { seed, substream }).prompt, prompts[index]);
  }
  context.mock.method(Math, "random", () => 0.75);
  assert.equal(tiny.start("abc").seed, 3n * 2n ** 30n);
});

test("a text has 400 tokens, and a record as many as 10000", () => {
  assert.equal(tiny.generate("abc", { allowed: "a" }).length, 400);
  assert.equal(records.generate("", { logitBias: { a: 100 } }), "a".repeat(10_000));
});

test("a stream lets other events run while it reads the prompt, and can be aborted then", async () => {
  let [turns, checks] = [0, 0];
  const count = () => (turns += 1) && setImmediate(count);
  setImmediate(count);
  // The text has one token, before which there is one more check.
  const throwIfAborted = () => assert.ok((checks += 1) < 3, "aborted");
  await assert.rejects(tiny.stream("ab".repeat(300_000), { length: 1, signal: { throwIfAborted } }).next(), /aborted/);
  assert.ok(turns >= 2);
  turns = -1;
});

test("a text is normalized as in Python, and that of a model of bytes is not", async () => {
  assert.equal(accented.start("\ufeffa").prompt, "\ufeffa");
  const { normalize } = await import("../../runtime/web/lib/vocabulary.js");
  for (const { lowercase, unicode, text, normalized } of cases.normalizations) {
    assert.equal(normalize(text, { level: "character", lowercase, unicode }), normalized);
    assert.equal(normalize(text, { level: "byte", lowercase, unicode }), text);
  }
});
