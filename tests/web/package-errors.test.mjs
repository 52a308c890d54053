// What a user, a file or a text can do wrong: a TextgenError with a code and one line.

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { load, TextgenError } from "../../runtime/web/index.js";
import { FOLDER, content } from "./package-cases.mjs";

const tiny = await load(content("tiny"));

/** Return a check of an error for assert.throws. */
const error = (code, message) => (found) => {
  assert.ok(found instanceof TextgenError, String(found.stack));
  assert.equal(found.code, code);
  assert.match(found.message, message);
  assert.ok(!found.message.includes("\n"));
  return true;
};

test("an invalid option names itself, the range and the value", () => {
  const cases = [
    [{ temperature: -1 }, /^temperature must be a number, 0 or more, not -1$/],
    [{ temperature: NaN }, /^temperature must be a number, 0 or more, not NaN$/],
    [{ temperature: Infinity }, /^temperature must be/],
    [{ temperature: "1" }, /^temperature must be a number, 0 or more, not "1"$/],
    [{ topK: 1.5 }, /^topK must be an integer, from 0 to 2147483647, not 1.5$/],
    [{ topP: 0 }, /^topP must be a number, more than 0, at most 1, not 0$/],
    [{ penaltyWindow: 1025 }, /^penaltyWindow must be an integer, from 1 to 1024, not 1025$/],
    [{ mirostatTau: 2, topK: 3 }, /^mirostatTau replaces topK, typicalP, topP and minP: omit topK$/],
    [{ seed: -1 }, /^seed must be/],
    [{ seed: 0.5 }, /^seed must be/],
    [{ seed: 2n ** 128n }, /^seed must be/],
    [{ substream: -1 }, /^substream must be/],
    [{ logitBias: { a: 101 } }, /^logitBias of "a" must be a number, from -100 to 100, not 101$/],
    [{ logitBias: { z: 1 } }, /^logitBias has "z", which is not in the vocabulary: omit it$/],
    [{ banned: "\n abcdehé€ж𝄞" }, /leave no character/],
    [{ allowed: "xyz" }, /leave no character/],
    [{ stop: "" }, /^a stop text must not be empty$/],
    [{ stop: [1] }, /^stop must be a text or an array of texts/],
    [{ temprature: 1 }, /^unknown option "temprature": the options are temperature, /],
    [{ length: -1 }, /^the length must be an integer, 0 or more, not -1$/],
    [{ unknown: "no" }, /^unknown must be "error" or "skip", not "no"$/],
    [{ match: {} }, /^match must be a table of states/],
    [{ match: { states: [{ accepting: false, next: {} }] } }, /^no text matches the table of match/],
    [{ match: { states: [{ accepting: true, next: { a: 1 } }] } }, /^state 0 of match leads to 1; the states are 0 to 0$/],
    [{ match: { states: [{ accepting: true, next: { z: 0 } }] } }, /^match has "z", which is not in the vocabulary/],
    [{ match: { states: [{ accepting: true, next: null }] } }, /^state 0 of match must have/],
    [{ match: { states: [{ accepting: true, next: {} }] }, stop: "a" }, /^use match or stop, not both/],
  ];
  for (const [options, message] of cases) {
    assert.throws(() => tiny.generate("abc", options), error("INVALID_ARGUMENT", message), JSON.stringify(Object.keys(options)));
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
    assert.throws(() => call({ finnish: 1 }), error("INVALID_ARGUMENT", /^unknown option "finnish": the options are /), name);
  }
  assert.deepEqual(generation.save(), saved);
});

test("more memory than the module can have is an error, also where its size would wrap", () => {
  for (const size of [2 ** 31, 2 ** 32, 2 ** 32 + 8, 8 * 2 ** 29, Infinity]) {
    assert.throws(() => tiny.core.withMemory(size, assert.fail), error("OUT_OF_MEMORY", /^not enough memory: \w+ bytes are needed$/));
  }
});

test("a module that could not be read is an error, and is read again", async () => {
  for (const [entry, files] of [
    ["index.js", ["wasm.js", "wasm-relaxed.js"]],
    ["separate.js", ["textgen.wasm", "textgen-relaxed.wasm"]],
  ]) {
    const folder = mkdtempSync(`${tmpdir()}/textgen-`);
    try {
      cpSync("runtime/web", folder, { recursive: true });
      files.forEach((file) => rmSync(`${folder}/${file}`));
      const { load } = await import(`${folder}/${entry}`);
      await assert.rejects(load(`${FOLDER}/missing.onnx`), /cannot read/);
      await assert.rejects(load(content("tiny")), { name: "TextgenError", code: "NOT_READ", message: /^cannot read .*wasm/ });
      files.forEach((file) => cpSync(`runtime/web/${file}`, `${folder}/${file}`));
      const model = await load(content("tiny"));
      assert.equal(model.generate("abc", { seed: 1 }), tiny.generate("abc", { seed: 1 }));
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
});

test("a symbol of a table that leads nowhere is not allowed", () => {
  const match = { states: [{ accepting: true, next: { a: 0, b: undefined, z: undefined } }] };
  assert.equal(tiny.generate("abc", { match, seed: 1, length: 5 }).replaceAll("a", ""), "");
});

test("a text that its constraint makes longer than the length is refused before it begins", () => {
  const match = { states: [{ accepting: false, next: { a: 1 } }, { accepting: false, next: { b: 2 } }, { accepting: true, next: {} }] };
  assert.equal(tiny.generate("abc", { match, length: 2 }), "ab");
  assert.throws(() => tiny.generate("abc", { match, length: 1 }), error("INVALID_ARGUMENT", /^match needs a text of at least 2 tokens, but the length is 1/));
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

test("a model that cannot be read is an error", async () => {
  await assert.rejects(load(`${FOLDER}/missing.onnx`), error("NOT_READ", /missing\.onnx.*ENOENT/));
  await assert.rejects(load("http://127.0.0.1:1/model.onnx"), error("NOT_READ", /^cannot read "http:/));
  await assert.rejects(load(new Response("", { status: 404 })), error("NOT_READ", /HTTP status 404$/));
  await assert.rejects(load(42), error("INVALID_ARGUMENT", /^the source must be a URL/));
  await assert.rejects(load(new Uint8Array()), error("DAMAGED_MODEL", /./));
  await assert.rejects(load(content("tiny").subarray(0, 1000)), error("DAMAGED_MODEL", /./));
  await assert.rejects(load(new TextEncoder().encode("<html>")), error("DAMAGED_MODEL", /./));
});

test("what was disposed cannot be used", async () => {
  const model = await load(content("tiny"));
  const generation = model.start("abc");
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

test("a saved generation is checked", async () => {
  const saved = tiny.start("abc", { seed: 1, stop: "cab" }).save();
  const changes = [() => saved.subarray(0, 20), () => saved.subarray(0, -1), () => new Uint8Array(0)];
  for (let i = 0; i < saved.length; i += 7) {
    changes.push(() => saved.with?.(i, saved[i] ^ 1) ?? Uint8Array.from(saved, (byte, at) => (at === i ? byte ^ 1 : byte)));
  }
  for (const change of changes) {
    assert.throws(() => tiny.resume(change()), error("SAVED_GENERATION", /./));
  }
  assert.throws(() => tiny.resume("text"), error("SAVED_GENERATION", /^a saved generation is a Uint8Array/));
  const other = await load(content("layers"));
  assert.throws(() => other.resume(saved), error("SAVED_GENERATION", /^the generation was saved with another model/));
  const match = { states: [{ accepting: true, next: { a: 0 } }] };
  const constrained = tiny.start("abc", { match }).save();
  assert.throws(() => tiny.resume(constrained), error("SAVED_GENERATION", /pass its table as match$/));
  assert.equal(tiny.resume(constrained, { match }).take(0), "");
});

test("a forged saved generation is an error, and never a trap", async () => {
  const { forge } = await import("./package-forging.mjs");
  const generation = tiny.start("abc", { seed: 1, stop: "cab", repetitionPenalty: 2 });
  generation.take(5);
  const saved = generation.save();
  const values = [null, -1, 1.5, 2 ** 40, "x", [], [-1], [2 ** 31], {}, true, new Array(3000).fill(0)];
  const { description } = await forge(saved, () => {});
  const partsOf = (value) => (typeof value === "object" ? Object.keys(value ?? {}) : []);
  const paths = Object.keys(description).flatMap((name) => [[name], ...partsOf(description[name]).map((part) => [name, part])]);
  for (const path of paths) {
    for (const value of values) {
      const forged = await forge(saved, (copy) => {
        const parent = path.length > 1 ? copy[path[0]] : copy;
        parent[path.at(-1)] = value;
      });
      try {
        const resumed = tiny.resume(forged.bytes);
        resumed.take(50, { finish: true });
        resumed.next();
      } catch (found) {
        assert.ok(found instanceof TextgenError, `${path} = ${JSON.stringify(value)}: ${found.stack}`);
      }
    }
  }
});

test("a stream ends with the reason of its signal, and the thread stays responsive", async () => {
  const controller = new AbortController();
  const chunks = [];
  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
    if (turns === 3) {
      controller.abort(new Error("enough"));
    }
  }, 1);
  await assert.rejects(async () => {
    for await (const chunk of tiny.stream("abc", { length: 1e9, signal: controller.signal })) {
      chunks.push(chunk.length);
    }
  }, /^Error: enough$/);
  clearInterval(timer);
  assert.ok(chunks.length > 0);
  assert.throws(() => tiny.stream("xyz"), error("UNKNOWN_CHARACTER", /./));
});
