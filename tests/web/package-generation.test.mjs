// One running text: how it continues after it was fed, finished or ended, and what comes next.

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "../../runtime/web/index.js";
import { error } from "./package-assertions.mjs";
import { Vocabulary } from "../../runtime/web/lib/vocabulary.js";
import { content } from "./package-cases.mjs";

const tiny = await load(content("tiny"));
const accented = await load(content("accented"));
const SEEDS = Array.from({ length: 20 }, (_, seed) => seed);

for (const level of ["character", "byte", "word"]) {
  test(`at level ${level}, feed after the end of a record starts the next one, and before the end it does not`, async () => {
    const model = await load(content(level));
    const generation = model.start("ab", { seed: 1 });
    assert.throws(() => generation.feed(""), error("NO_PROMPT", /^there is no text to continue: it is empty$/));
    generation.feed("c");
    assert.deepEqual(generation.logits(), model.start("abc").logits());
    for (const text of ["", "cab"]) {
      generation.take(10_000);
      assert.deepEqual([generation.ending, generation.ended, generation.take(5)], ["end", true, ""]);
      assert.deepEqual(generation.next(), []);
      assert.equal(generation.feed(text), text);
      assert.deepEqual([generation.ending, generation.ended], [null, false]);
      assert.deepEqual(generation.logits(), model.start(text).logits());
    }
    assert.throws(() => generation.feed(""), error("NO_PROMPT", /it is empty$/));
  });
}

test("a text that is fed or finished returns what was held back, and a stop text does not begin before", () => {
  const start = () => {
    const generation = tiny.start("abc", { seed: 1, allowed: "a", stop: "aa" });
    assert.equal(generation.take(1), "");
    return generation;
  };
  const stopped = start();
  assert.deepEqual([stopped.take(5), stopped.ending], ["", "stop"]);
  const finished = start();
  const fed = start();
  assert.deepEqual([finished.finish(), finished.finish()], ["a", ""]);
  assert.equal(fed.feed("b"), "ab");
  for (const generation of [finished, fed]) {
    assert.deepEqual([generation.take(1), generation.ending, generation.finish()], ["", "length", "a"]);
  }
});

test("bytes give the same text one by one, and a byte-order mark is part of it", () => {
  for (const seed of SEEDS) {
    const whole = accented.start("abc", { seed, temperature: 1 });
    const pieces = whole.copy();
    assert.equal(Array.from({ length: 200 }, () => pieces.take(1)).join(""), whole.take(200));
  }
  assert.equal(new Vocabulary([], "byte", -1).decode([0xef, 0xbb, 0xbf, 0x61]), "\ufeffa");
});

test("a call without tokens returns what is held back only if the text is complete", () => {
  const generation = tiny.start("abc", { seed: 1, allowed: "a", stop: "aa" });
  generation.take(1);
  assert.deepEqual([generation.take(0), generation.take(0, { finish: true }), generation.take(0, { finish: true })], ["", "a", ""]);
});

test("a text ends before the stop text that it reaches first", () => {
  const stops = ["aab", "bab", "ba", "abba"];
  for (const seed of SEEDS) {
    const options = { seed, allowed: "ab", temperature: 3, length: 30 };
    const whole = tiny.generate("abc", options);
    const ends = Array.from(whole, (_, i) => whole.slice(0, i + 1));
    const end = ends.find((text) => stops.some((stop) => text.endsWith(stop))) ?? whole;
    const longest = Math.max(0, ...stops.filter((stop) => end.endsWith(stop)).map((stop) => stop.length));
    assert.equal(tiny.generate("abc", { ...options, stop: stops }), end.slice(0, end.length - longest));
    assert.equal(tiny.generate("abc", { ...options, stop: stops, keepStop: true }), end);
  }
});

test("a stop text that the model cannot write changes nothing", () => {
  const expected = tiny.generate("abc", { seed: 1 });
  assert.equal(tiny.generate("abc", { seed: 1, stop: ["xyz", "a\ud834"] }), expected);
});

test("a text matches its constraint within its length, and ends where no symbol is allowed", () => {
  const match = { states: [{ accepting: false, next: { a: 0, b: 1 } }, { accepting: true, next: {} }] };
  for (const seed of SEEDS) {
    const text = tiny.generate("abc", { match, seed, length: 3, logitBias: { a: 5 } });
    assert.match(text, /^a{0,2}b$/);
  }
  const generation = tiny.start("abc", { match, seed: 1, banned: "a" });
  assert.deepEqual([generation.take(1), generation.ending, generation.ended], ["b", "constraint", true]);
  assert.equal(generation.take(5), "");
});

test("a symbol after which no text matches is not allowed", () => {
  const match = {
    states: [
      { accepting: false, next: { a: 1, b: 2 } },
      { accepting: true, next: {} },
      { accepting: false, next: { b: 2 } },
    ],
  };
  const allowed = tiny.start("abc", { match }).next({ k: 100 }).filter(({ drawProbability }) => drawProbability > 0);
  assert.deepEqual(allowed.map(({ text, drawProbability }) => [text, drawProbability]), [["a", 1]]);
});

test("a constraint may have 32768 states", () => {
  const last = 2 ** 15 - 1;
  const states = Array.from({ length: last + 1 }, (_, i) => ({ accepting: i === last, next: { a: Math.min(i + 1, last) } }));
  assert.equal(tiny.start("abc", { match: { states } }).take(3), "aaa");
});

test("a text copies at most maxCopy tokens of a normalized corpus, whose unknown characters separate its parts", async () => {
  const model = await load(content("nietzsche"), { novel: "THT\u2603T" });
  for (const seed of SEEDS) {
    const generation = model.start(null, { allowed: "th", maxCopy: 1, temperature: 3, seed });
    const first = generation.take(1);
    const possible = generation.next({ k: 100 }).filter(({ drawProbability }) => drawProbability > 0);
    assert.deepEqual(possible.map(({ text, drawProbability }) => [text, drawProbability]), [[first, 1]]);
    assert.equal(generation.take(20), first.repeat(20));
  }
});

test("texts with the same limit share the spans of the corpus, and keep them while others have other limits", async () => {
  const model = await load(content("tiny"), { novel: tiny.generate("abc", { seed: 1 }) });
  const options = { maxCopy: 2, seed: 1 };
  const expected = model.generate("abc", options);
  const [first, second] = [options, options].map((same) => model.start("abc", same));
  assert.equal(first.parts.tables.spans, second.parts.tables.spans);
  for (let maxCopy = 3; maxCopy < 10; maxCopy += 1) {
    model.generate("abc", { maxCopy });
  }
  assert.deepEqual([first, second].map((generation) => generation.take(400)), [expected, expected]);
});

test("the next symbols have their probabilities at a temperature, and those of the next draw", () => {
  const generation = tiny.start("abc", { temperature: 1.3, topK: 2 });
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const learned = generation.next({ k: 100, temperature: 1 });
  const logits = generation.logits();
  const total = sum(Array.from(logits, (logit) => Math.exp(logit)));
  for (const { token, probability } of learned) {
    assert.ok(Math.abs(probability - Math.exp(logits[token]) / total) < 1e-9);
  }
  const [first, second, ...others] = generation.next({ k: 100 });
  assert.ok(Math.abs(first.drawProbability - first.probability / (first.probability + second.probability)) < 1e-9);
  assert.deepEqual(new Set(others.map(({ drawProbability }) => drawProbability)), new Set([0]));
  assert.deepEqual(generation.next({ k: 1, temperature: 0 }).map(({ probability }) => probability), [1]);
});

test("each token has a text: a name for the end and for bytes that are not ASCII", async () => {
  const model = await load(content("byte"));
  const texts = model.start("").next({ k: 1000 }).sort((a, b) => a.token - b.token).map(({ text }) => text);
  assert.equal(texts.length, 258);
  assert.deepEqual([texts[0x61], texts[0x7f], texts[0x80], texts[0xff]], ["a", "\x7f", "\\x80", "\\xff"]);
  assert.deepEqual(texts.slice(256), ["\ufffd", "<end>"]);
});

test("a text has a surprisal for each character, and none for one that the model never draws", async () => {
  const surprise = accented.start("abc").surprise("é€a𝄞");
  assert.equal(surprise.length, 4);
  assert.ok(surprise.every((nats) => nats > 0));
  const records = await load(content("character"));
  assert.deepEqual(records.start("").surprise("axb").map(Number.isNaN), [false, true, false]);
  const words = await load(content("word"));
  const [first, ...others] = words.start("").surprise("cab");
  assert.deepEqual(others, [first, first]);
});

test("invalid logits have no surprisal", async () => {
  const generation = accented.start("abc");
  const { core } = accented;
  for (const [broken, isNumber] of [[NaN, false], [Infinity, false], [0, true]]) {
    core.float32(core.call.logits(generation.pointer), accented.info.vocabulary.length)[0] = broken;
    assert.deepEqual(generation.surprise("aa").map(Number.isFinite), [isNumber, true]);
  }
});

test("allowed and banned characters also concern bytes that are not ASCII, and words", async () => {
  assert.match(accented.generate("abc", { allowed: "ab", seed: 1 }), /^[ab]{400}$/);
  const words = await load(content("word"));
  for (const seed of SEEDS) {
    assert.doesNotMatch(words.generate("c", { banned: "a", seed }), /a/);
    assert.match(words.generate("c", { allowed: "abc", seed }), /^[abc]*$/);
  }
});

test("all bits of the seed, and the substream, select the random numbers", (context) => {
  const text = (seed, substream = 0) => tiny.generate("abc", { seed, substream, temperature: 1 });
  const texts = [0n, 1n, 2n ** 32n, 2n ** 63n, 2n ** 64n, 2n ** 127n].map((seed) => text(seed));
  assert.equal(new Set([...texts, text(0, 1), text(0, 2 ** 32 - 1)]).size, 8);
  assert.equal(tiny.start("abc", { seed: 2n ** 127n + 5n }).seed, 2n ** 127n + 5n);
  context.mock.method(Math, "random", () => 0.75);
  assert.equal(tiny.start("abc").seed, 3n * 2n ** 30n);
});

test("the seed and the substream select the default prompt", () => {
  const { prompts } = tiny.info;
  for (const [seed, substream] of [[0, 0], [1, 0], [1, 1], [2n ** 127n, 5]]) {
    const index = Number((BigInt(seed) + BigInt(substream)) % BigInt(prompts.length));
    assert.equal(tiny.start(null, { seed, substream }).prompt, prompts[index]);
  }
});

test("the end of a record is not drawn before the minimum length, which counts from the latest feed on", async () => {
  const records = await load(content("character"));
  const lengths = SEEDS.flatMap((seed) => {
    const generation = records.start("ab", { seed, minLength: 70, temperature: 1 });
    assert.equal(generation.next({ k: 100 }).find(({ text }) => text === "<end>").drawProbability, 0);
    const minimum = generation.take(70);
    assert.ok(generation.next({ k: 100 }).find(({ text }) => text === "<end>").drawProbability > 0);
    const first = minimum + generation.take(400);
    generation.feed("c");
    return [first.length, generation.take(400).length];
  });
  assert.equal(Math.min(...lengths), 70);
});

test("a text has 400 tokens, and a record as many as 10000", async () => {
  assert.equal(tiny.generate("abc", { allowed: "a" }).length, 400);
  const records = await load(content("character"));
  assert.equal(records.generate("", { logitBias: { a: 100 } }), "a".repeat(10_000));
});

test("a prompt that is read in parts gives the same text", () => {
  for (const prompt of ["a", "abababab", "ab".repeat(100)]) {
    const parts = tiny.startInParts(prompt, { seed: 1 });
    let count = 1;
    let step = parts.next();
    for (; !step.done; step = parts.next()) {
      assert.equal(step.value.prompt, prompt);
      count += 1;
    }
    // The first part has 8 tokens, and later ones depend on the time that a part takes.
    assert.equal(count > 1, prompt.length > 8);
    assert.deepEqual(step.value.logits(), tiny.start(prompt, { seed: 1 }).logits());
    assert.equal(step.value.take(50), tiny.start(prompt, { seed: 1 }).take(50));
  }
  assert.throws(() => tiny.startInParts("").next(), { code: "NO_PROMPT" });
  const half = tiny.startInParts("ab".repeat(100)).next().value;
  for (const use of [() => half.take(1), () => half.feed("a"), () => half.copy(), () => half.logits(), () => half.save()]) {
    assert.throws(use, { code: "INVALID_ARGUMENT", message: /^the generation has not read its prompt yet/ });
  }
  half.dispose();
});

test("a stream lets other events run while it reads the prompt, and can be aborted then", async () => {
  const controller = new AbortController();
  const prompt = "ab".repeat(300_000);
  // The third turn: without pauses, the stream would begin to write before.
  setImmediate(() => setImmediate(() => setImmediate(() => controller.abort())));
  const stream = tiny.stream(prompt, { length: 1, signal: controller.signal });
  await assert.rejects(stream.next(), { name: "AbortError" });
});
