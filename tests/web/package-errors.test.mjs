// What a user, a file or a text can do wrong: a TextgenError with a code and one line.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { load } from "../../runtime/web/index.js";
import { codeName } from "../../runtime/web/lib/errors.js";
import { NUMBERS } from "../../runtime/web/lib/parameters.js";
import { error } from "./package-assertions.mjs";
import { content } from "./package-cases.mjs";

const tiny = await load(content("tiny"));

test("a cell that only onnxruntime runs is refused in a line", async () => {
  for (const cell of ["gru", "conv"]) {
    const file = readFileSync(new URL(`../data/format_2/${cell}.onnx`, import.meta.url));
    await assert.rejects(load(file), error("UNKNOWN_GRAPH", /^.+$/), cell);
  }
});

test("an error about an option says which one, and what to change", () => {
  const circular = {};
  circular.states = [circular];
  const cases = [
    [{ topK: ["a\nb"] }, /^topK must be an integer from 0 to 2147483647, not a b$/],
    [{ topK: "x".repeat(1000) }, /not "x{76}\.\.\.$/],
    [{ topK: Object.create(null) }, /not object$/],
    [{ mirostatTau: 2, topK: 3 }, /^mirostatTau replaces topK: omit one of them$/],
    [{ mirostatTau: 2, typicalP: 0.5 }, /^mirostatTau replaces typicalP: omit one of them$/],
    [{ mirostatTau: 2, topP: 0.5 }, /^mirostatTau replaces topP: omit one of them$/],
    [{ mirostatTau: 2, minP: 0.5 }, /^mirostatTau replaces minP: omit one of them$/],
    [{ seed: -1 }, /^seed must be/],
    [{ seed: 0.5 }, /^seed must be/],
    [{ seed: 2 ** 53 }, /^seed must be/],
    [{ seed: 2n ** 128n }, /^seed must be/],
    [{ substream: -1 }, /^substream must be/],
    [{ substream: 2 ** 32 }, /^substream must be an integer from 0 to 2\*\*32 - 1, not 4294967296$/],
    [{ logitBias: { a: 101 } }, /^logitBias of "a" must be a number from -100 to 100, not 101$/],
    [{ logitBias: 1 }, /^logitBias must be an object of numbers by character, not 1$/],
    [{ logitBias: { z: 1 } }, /^logitBias has "z", which is not in the vocabulary: omit it$/],
    [{ banned: "\n abcdehé€ж𝄞" }, /leave no character/],
    [{ allowed: "xyz" }, /leave no character/],
    [{ stop: "" }, /^a stop text must not be empty$/],
    [{ stop: [1] }, /^stop must be a text or an array of texts/],
    [{ stop: "a".repeat(1021) }, /^a stop text must have at most 1020 tokens, not 1021$/],
    [{ stop: new Array(33).fill("a".repeat(1000)) }, /^the stop texts together must have at most 32767 tokens, not 33000$/],
    [{ temprature: 1 }, /^unknown option "temprature": the options are temperature, /],
    [{ length: -1 }, /^length must be an integer, 0 or more, not -1$/],
    [{ unknown: "no" }, /^unknown must be "error" or "skip", not "no"$/],
    [{ maxCopy: 1 }, /^maxCopy needs a corpus that texts must not copy: load the model with novel$/],
    [{ minLength: 1 }, /^minLength needs a model of records: the texts of other models have no end$/],
    ...[{}, { states: [] }, 7, () => {}, { states: new Array(2 ** 15 + 1).fill({ accepting: true, next: {} }) }].map((match) => [{ match }, /^match: the table must be JSON with a list of 1 to 32768 states$/]),
    [{ match: circular }, /^match must be a table, as textgen-info writes it, not \[object Object\]$/],
    [{ match: { states: [{ accepting: false, next: {} }] } }, /^match: no text matches the table/],
    [{ match: { states: [{ accepting: true, next: { a: 1 } }] } }, /^match: state 0 of the table leads to no state$/],
    ...[{ z: 0 }, null].map((next) => [{ match: { states: [{ accepting: true, next }] } }, /^match: state 0 of the table is wrong, or of another model$/]),
    [{ match: { states: [{ accepting: true, next: {} }] }, stop: "a" }, /^use match or stop, not both/],
    [{ match: { states: [{ accepting: true, next: {} }] }, minLength: 1 }, /^use match or minLength, not both/],
    [{ match: { states: [{ accepting: true, next: {} }] }, maxCopy: 1 }, /^use match or maxCopy, not both/],
  ];
  for (const [options, message] of cases) {
    const [name] = Object.keys(options);
    assert.throws(() => tiny.generate("abc", options), error("INVALID_ARGUMENT", message, name), `${name}: ${message}`);
  }
  const generation = tiny.start("abc");
  assert.throws(() => generation.next({ k: 0 }), error("INVALID_ARGUMENT", /^k must be an integer, 1 or more, not 0$/, "k"));
  assert.throws(() => generation.next({ temperature: -1 }), error("INVALID_ARGUMENT", /^temperature must be/, "temperature"));
});

test("a parameter that is a number has each value of its range, and no other", async () => {
  const records = await load(content("character"), { novel: "abc" });
  for (const [name, isInteger, initial, least, most, isOpen, requirement] of NUMBERS) {
    const start = (value) => records.start("ab", { [name]: value }).dispose();
    [initial, isOpen ? Number.MIN_VALUE : least, most].forEach(start);
    const outside = [least - 1, most === Number.MAX_VALUE ? Infinity : most + 1, NaN, String(initial), BigInt(most)];
    for (const value of [...outside, ...(isOpen ? [least] : []), ...(isInteger ? [initial + 0.5] : [])]) {
      const message = new RegExp(`^${name} must be ${requirement}, not `);
      assert.throws(() => start(value), error("INVALID_ARGUMENT", message, name), `${name} ${value}`);
    }
  }
});

test("a model is loaded with a corpus that is a text, and with no unknown options", async () => {
  const bytes = content("tiny");
  await assert.rejects(load(bytes, { novel: ["a"] }), error("INVALID_ARGUMENT", /^novel must be a text, not a$/, "novel"));
  await assert.rejects(load(bytes, { corpus: "a" }), error("INVALID_ARGUMENT", /^unknown option "corpus": the options are novel$/, "corpus"));
  const words = await load(content("word"), { novel: "abc" });
  assert.throws(() => words.start(null, { maxCopy: 1 }), error("INVALID_ARGUMENT", /characters or bytes$/, "maxCopy"));
  const model = await load(bytes, { novel: null });
  assert.throws(() => model.start("abc", { maxCopy: 1 }), error("INVALID_ARGUMENT", /^maxCopy needs/, "maxCopy"));
});

test("a text that can only copy is an error", async () => {
  const model = await load(content("tiny"), { novel: "aaa" });
  const generation = model.start("abc", { allowed: "a", maxCopy: 2 });
  assert.equal(generation.take(2), "aa");
  const isForbidden = error("NO_TOKEN", /^no token is allowed: maxCopy, allowed$/, "maxCopy");
  assert.throws(() => generation.take(1), isForbidden);
  assert.throws(() => generation.next(), isForbidden);
});

test("the codes of errors are those of textgen.h", () => {
  const header = readFileSync("runtime/core/textgen.h", "utf-8");
  const codes = Array.from(header.matchAll(/^ {4}TEXTGEN_(\w+) = (-\d+)/gm), ([, name, code]) => [name, Number(code)]);
  assert.ok(codes.length > 10);
  for (const [name, code] of codes) {
    assert.equal(codeName(code), name);
  }
});

test("options that are no object, or that a method does not have, are an error", () => {
  const generation = tiny.start("abc", { seed: 1 });
  const saved = generation.save();
  const calls = {
    generate: (options) => tiny.generate("abc", options),
    start: (options) => tiny.start("abc", options),
    resume: (options) => tiny.resume(saved, options),
    feed: (options) => generation.feed("a", options),
    take: (options) => generation.take(1, options),
    stream: (options) => generation.stream(1, options),
    next: (options) => generation.next(options),
    surprise: (options) => generation.surprise("a", options),
  };
  for (const [name, call] of Object.entries(calls)) {
    assert.throws(() => call(null), error("INVALID_ARGUMENT", /^the options must be an object, not null$/), name);
    assert.throws(() => call("skip"), error("INVALID_ARGUMENT", /^the options must be an object, not "skip"$/), name);
    assert.throws(() => call({ finnish: 1 }), error("INVALID_ARGUMENT", /^unknown option "finnish": the options are /, "finnish"), name);
  }
  assert.deepEqual(generation.save(), saved);
});

test("more memory than the module can have is an error, also where its size would wrap", () => {
  for (const size of [2 ** 31, 2 ** 32, 2 ** 32 + 8, 8 * 2 ** 29, Infinity]) {
    assert.throws(() => tiny.core.withMemory(size, assert.fail), error("OUT_OF_MEMORY", /^not enough memory: \w+ bytes are needed$/));
  }
});

test("a symbol of a table that leads nowhere is not allowed", () => {
  const match = { states: [{ accepting: true, next: { a: 0, b: undefined, z: undefined } }] };
  assert.equal(tiny.generate("abc", { match, seed: 1, length: 5 }).replaceAll("a", ""), "");
});

test("a text that its constraint makes longer than the length is refused before it begins", () => {
  const match = { states: [{ accepting: false, next: { a: 1 } }, { accepting: false, next: { b: 2 } }, { accepting: true, next: {} }] };
  assert.equal(tiny.generate("abc", { match, length: 2 }), "ab");
  assert.throws(() => tiny.generate("abc", { match, length: 1 }), error("INVALID_ARGUMENT", /^match needs a text of at least 2 tokens, but the length is 1/, "match"));
});

test("a prompt that cannot be continued is an error", async () => {
  assert.throws(() => tiny.start(""), error("NO_PROMPT", /^there is no text to continue: it is empty$/));
  assert.throws(() => tiny.start("xyz", { unknown: "skip" }), error("NO_PROMPT", /none of its characters/));
  const records = await load(content("character"));
  assert.throws(() => records.start("\ufeff"), error("NO_PROMPT", /none of its characters/));
  assert.equal(records.start("").prompt, "");
  assert.throws(() => tiny.start("axb"), error("UNKNOWN_CHARACTER", /^'x' \(U\+0078\) at byte 1 of the text is not in the vocabulary/));
  assert.throws(() => tiny.start("a\ud834"), error("INVALID_UTF8", /half of a surrogate pair/));
  assert.throws(() => tiny.start(7), error("INVALID_ARGUMENT", /^the text must be a string, not 7$/));
  assert.equal(tiny.generate("axbxc", { unknown: "skip", seed: 1 }), tiny.generate("abc", { seed: 1 }));
});

test("what was disposed cannot be used", async () => {
  const model = await load(content("tiny"));
  const generation = model.start("abc", { seed: 1 });
  const other = generation.copy();
  generation.dispose();
  generation.dispose();
  assert.throws(() => generation.take(1), error("DISPOSED", /^the generation was disposed/));
  assert.equal(other.take(5).length, 5);
  model.dispose();
  assert.throws(() => other.take(1), error("DISPOSED", /^the model was disposed/));
  assert.throws(() => model.start("abc"), error("DISPOSED", /^the model was disposed/));
  other.dispose();
});

test("a model that is disposed while it reads or writes is an error of the text", async () => {
  for (const prompt of ["abc", "abc".repeat(1000)]) {
    const model = await load(content("tiny"));
    const text = model.stream(prompt, { length: 5 }).next();
    const parts = model.startInParts("abc".repeat(1000));
    parts.next();
    model.dispose();
    await assert.rejects(text, error("DISPOSED", /^the model was disposed/));
    assert.throws(() => parts.next(), error("DISPOSED", /^the model was disposed/));
  }
});

test("a stream ends with the reason of its signal, and the thread stays responsive", async (context) => {
  const controller = new AbortController();
  const chunks = [];
  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
    if (turns === 3) {
      controller.abort(new Error("enough"));
    }
  }, 1);
  context.after(() => clearInterval(timer));
  await assert.rejects(async () => {
    for await (const chunk of tiny.stream("abc", { length: 1e9, signal: controller.signal })) {
      chunks.push(chunk.length);
    }
  }, /^Error: enough$/);
  assert.ok(chunks.length > 0);
  assert.throws(() => tiny.stream("xyz"), error("UNKNOWN_CHARACTER", /./));
});
