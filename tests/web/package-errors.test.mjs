// What a user, a file or a text can do wrong: a TextgenError with a code, the option that it is about, and one line.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { inspect } from "node:util";
import { load } from "../../runtime/web/index.js";
import { CODES } from "../../runtime/web/lib/errors.js";
import { FOLDER, content, error, loadCase } from "./package-cases.mjs";

const tiny = await loadCase("tiny");
const records = await loadCase("character", { novel: "abc" });
const words = await loadCase("word", { novel: "abc" });
const state = (accepting, next) => ({ accepting, next });
const ANY = { states: [state(true, {})] };

test("an invalid option is an error about it", () => {
  const tables = [{}, { states: [] }, 7, () => {}, { states: new Array(2 ** 15 + 1).fill(ANY.states[0]) }];
  const states = [state(false, {}), state(true, { a: 1 }), state(true, { z: 0 }), state(true, null)];
  const options = [
    ...[["a\nb"], "x".repeat(1000), Object.create(null), 0.5, 1n].map((topK) => ({ topK })),
    ...[{ topK: 3 }, { typicalP: 0.5 }, { topP: 0.5 }, { minP: 0.5 }].map((other) => ({ mirostatTau: 2, ...other })),
    ...[-1, 0.5, 2 ** 53, 2n ** 128n].map((seed) => ({ seed })),
    ...[-1, 0.5, 2 ** 32].map((substream) => ({ substream })),
    ...[{ a: 101 }, 1, { z: 1 }].map((logitBias) => ({ logitBias })),
    ...[{ banned: "\n abcdehé€ж𝄞" }, { allowed: "xyz" }, { temprature: 1 }, { unknown: "no" }, { maxCopy: 1 }, { minLength: 1 }],
    ...["", [1], "a".repeat(1021), ["a".repeat(1000), "b".repeat(21)]].map((stop) => ({ stop })),
    ...[-1, 0.5].map((length) => ({ length })),
    ...[...tables, ...states.map((one) => ({ states: [one] }))].map((match) => ({ match })),
    { match: { states: [state(false, { a: 1 }), state(true, {})] }, banned: "a" },
    { match: ANY, stop: "a" },
  ];
  for (const given of options) {
    const [name] = Object.keys(given);
    assert.throws(() => tiny.generate("abc", given), error("INVALID_ARGUMENT", name), inspect(given));
  }
  assert.throws(() => records.start("", { match: ANY, minLength: 1 }), error("INVALID_ARGUMENT", "match"));
  assert.throws(() => records.start("", { match: ANY, maxCopy: 1 }), error("INVALID_ARGUMENT", "match"));
  assert.throws(() => words.start("", { maxCopy: 1 }), error("INVALID_ARGUMENT", "maxCopy"));
});

test("a parameter that is a number has each value of its range, and no other", () => {
  for (const [name, { pointer, isWhole, initial, offset }] of records.core.parameters) {
    if (!offset && name !== "maxCopy") continue;
    const [least, most] = records.core.view(Float64Array, pointer + 40, 2);
    const isOpen = records.core.word(pointer + 56) === 1;
    const start = (value) => records.start("ab", { [name]: value }).dispose();
    [initial, isOpen ? Number.MIN_VALUE : least, most].forEach(start);
    const outside = [least - 1, most === Number.MAX_VALUE ? Infinity : most + 1, NaN, String(initial), BigInt(most)];
    for (const value of [...outside, ...(isOpen ? [least] : []), ...(isWhole ? [initial + 0.5] : [])]) {
      assert.throws(() => start(value), error("INVALID_ARGUMENT", name), `${name} ${value}`);
    }
  }
});

test("a call that cannot be done is an error with a code", async () => {
  const generation = tiny.start("abc", { seed: 1 });
  const saved = generation.save();
  const needs = { states: [state(false, { a: 1 }), state(false, { b: 2 }), state(true, {})] };
  const copies = (await loadCase("tiny", { novel: "aaa" })).start("abc", { allowed: "a", maxCopy: 2 });
  copies.take(2);
  const calls = [
    [() => generation.next({ k: 0 }), "INVALID_ARGUMENT", "k"],
    [() => generation.next({ temperature: -1 }), "INVALID_ARGUMENT", "temperature"],
    [() => generation.take(-1), "INVALID_ARGUMENT", "length"],
    [() => tiny.generate("abc", { match: needs, length: 1 }), "INVALID_ARGUMENT", "length"],
    [() => tiny.generate("abc", { match: needs, length: 0 }), "INVALID_ARGUMENT", "length"],
    [() => tiny.start(7), "INVALID_ARGUMENT", "text"],
    [() => tiny.start(""), "NO_PROMPT"],
    [() => tiny.start("xyz", { unknown: "skip" }), "NO_PROMPT"],
    [() => records.start("\ufeff"), "NO_PROMPT"],
    [() => tiny.start("axb"), "UNKNOWN_CHARACTER", "text"],
    [() => tiny.start("a\ud834"), "INVALID_UTF8"],
    [() => copies.take(1), "NO_TOKEN"],
    [() => copies.next(), "NO_TOKEN"],
    [() => tiny.core.withMemory(2 ** 32 + 8, assert.fail), "OUT_OF_MEMORY"],
  ];
  for (const call of [
    (options) => tiny.generate("abc", options),
    (options) => tiny.resume(saved, options),
    ...["feed", "surprise"].map((name) => (options) => generation[name]("a", options)),
    ...["take", "stream"].map((name) => (options) => generation[name](1, options)),
    (options) => generation.next(options),
  ]) {
    calls.push([() => call(null), "INVALID_ARGUMENT", "options"], [() => call("skip"), "INVALID_ARGUMENT", "options"]);
    calls.push([() => call({ finnish: 1 }), "INVALID_ARGUMENT", "finnish"]);
  }
  for (const [call, code, parameter] of calls) {
    assert.throws(call, error(code, parameter), String(call));
  }
  assert.deepEqual(generation.save(), saved);
  assert.equal(tiny.generate("abc", { match: needs, length: 2 }), "ab");
});

test("what cannot be loaded is an error with a code", async () => {
  const bytes = content("tiny");
  for (const [source, code, parameter, options] of [
    [`${FOLDER}/missing.onnx`, "NOT_READ"],
    ["http://127.0.0.1:1/model.onnx", "NOT_READ"],
    [new Response("", { status: 404 }), "NOT_READ"],
    [42, "INVALID_ARGUMENT", "source"],
    [new Uint8Array(), "DAMAGED_MODEL"],
    [bytes.subarray(0, 1000), "DAMAGED_MODEL"],
    [new TextEncoder().encode("<html>"), "DAMAGED_MODEL"],
    [bytes, "INVALID_ARGUMENT", "novel", { novel: ["a"] }],
    [bytes, "INVALID_ARGUMENT", "corpus", { corpus: "a" }],
  ]) {
    await assert.rejects(load(source, options), error(code, parameter));
  }
  await assert.rejects(load("C:/missing.onnx"), /ENOENT/);
});

test("what was disposed cannot be used", async () => {
  const model = await loadCase("tiny");
  const generation = model.start("abc", { seed: 1 });
  const other = generation.copy();
  generation.dispose();
  generation.dispose();
  assert.throws(() => generation.take(1), error("DISPOSED"));
  assert.equal(other.take(5).length, 5);
  model.dispose();
  for (const use of [() => other.take(1), () => model.start("abc"), () => model.resume(new Uint8Array()), () => model.digest("a")]) {
    assert.throws(use, error("DISPOSED"));
  }
});

test("the codes of errors are those of textgen.h", () => {
  const header = readFileSync("runtime/core/textgen.h", "utf-8");
  const codes = Array.from(header.matchAll(/^ {4}TEXTGEN_(\w+) = -(\d+)/gm), ([, name, code]) => [name, Number(code)]);
  assert.equal(codes.length, CODES.length - 1);
  codes.forEach(([name, code]) => assert.equal(CODES[code], name));
});
