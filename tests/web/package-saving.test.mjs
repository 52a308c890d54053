// Saved generations: the same as in Python, and what is refused.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { load, TextgenError } from "../../runtime/web/index.js";
import { hexadecimal } from "../../runtime/web/lib/core.js";
import { error } from "./package-assertions.mjs";
import { cases, content, FOLDER } from "./package-cases.mjs";
import { forge, parse, withField } from "./package-forging.mjs";

const tiny = await load(content("tiny"));
const accented = await load(content("accented"));
const loadNovel = async (name) => [name, await load(content(name), { novel: cases.models.baseline[name].novel })];
const models = Object.fromEntries(await Promise.all(["tiny_int8", "character_int8", "accented_int8"].map(loadNovel)));

/** Return the text that follows, and why it ends. */
function further(generation) {
  const fed = generation.ending === "end" ? generation.feed("cab") : "";
  return [fed + generation.take(60, { finish: true }), generation.ending];
}

/** Return a generation of bytes whose text ends within a character. */
function withinCharacter() {
  const generation = accented.start("abc", { seed: 1 });
  for (let left = 100; generation.take(1); left -= 1) {
    assert.ok(left, "no text ends within a character");
  }
  return generation;
}

test("a generation that Python saved continues here, and one that is saved here continues in Python", (context) => {
  const folder = mkdtempSync(`${tmpdir()}/textgen-`);
  context.after(() => rmSync(folder, { recursive: true }));
  const expected = {};
  cases.saved.forEach(({ model: name, prompt, drawn, options, table, file, ending, further: expectedText }, number) => {
    const model = models[name];
    const saved = new Uint8Array(readFileSync(`${FOLDER}/saved/${file}`));
    const resumed = () => model.resume(saved, { match: table });
    assert.deepEqual([resumed().ending, resumed().prompt], [ending, prompt]);
    assert.deepEqual(further(resumed()), expectedText, file);
    // What Python saved keeps the parameters that JavaScript does not have.
    const running = [resumed()];
    if (!table) {
      const started = model.start(prompt, { ...options, seed: 2n ** 64n + 5n, substream: 3 });
      started.take(drawn);
      assert.deepEqual(parse(started.save()).block, parse(saved).block, file);
      running.push(started);
    }
    running.forEach((generation, i) => {
      generation.take(3);
      const key = `${number}-${i}.${name}`;
      writeFileSync(`${folder}/${key}`, generation.save());
      expected[key] = further(generation);
    });
  });
  const python = process.env.TEXTGEN_PYTHON ?? "python";
  const printed = execFileSync(python, ["-m", "tests.helpers.web_resume", folder, FOLDER], { encoding: "utf-8" });
  assert.deepEqual(JSON.parse(printed), expected);
});

test("what is resumed saves the same bytes again", () => {
  const match = { states: [{ accepting: true, next: { a: 0, b: 0 } }] };
  const running = [
    tiny.start("abc", { seed: 2n ** 100n + 7n, substream: 9, stop: ["cab", "bb"] }),
    tiny.start("abc", { seed: 1, repetitionPenalty: 1.5, penaltyWindow: 7, allowed: "abcd", logitBias: { a: -1 } }),
    tiny.start("bad", { seed: 1, mirostatTau: 2, banned: ["a"] }),
    tiny.start("abc", { seed: 1, match }),
    models.tiny_int8.start("abc", { seed: 1, maxCopy: 3 }),
    withinCharacter(),
  ];
  for (const generation of running) {
    for (let i = 0; i < 5; i += 1) {
      const saved = generation.save();
      const resumed = generation.model.resume(saved, { match: generation.parts.sampling.match });
      assert.deepEqual(resumed.save(), saved);
      assert.deepEqual([resumed.prompt, resumed.seed], [generation.prompt, generation.seed]);
      generation.take(7);
    }
  }
});

test("a text that C saved, which has no description, stays the same text here and in Python", (context) => {
  const folder = mkdtempSync(`${tmpdir()}/textgen-`);
  context.after(() => rmSync(folder, { recursive: true }));
  const started = models.tiny_int8.start("abc", { seed: 1, temperature: 1.3, topK: 5, frequencyPenalty: 0.5 });
  started.take(7);
  const { block } = parse(started.save());
  const saved = forge(started.save(), { description: "", block });
  const resumed = models.tiny_int8.resume(saved);
  assert.deepEqual(resumed.next(), started.next());
  assert.deepEqual(resumed.save(), saved);
  // A description that says something else changes nothing.
  const described = forge(started.save(), { description: { prompt: "abc", sampling: { temperature: 0.2, top_k: 2 } }, block });
  assert.deepEqual(models.tiny_int8.resume(described).next(), started.next());
  writeFileSync(`${folder}/0.tiny_int8`, resumed.save());
  const printed = execFileSync(process.env.TEXTGEN_PYTHON ?? "python", ["-m", "tests.helpers.web_resume", folder, FOLDER], { encoding: "utf-8" });
  const expected = further(started);
  assert.deepEqual(further(resumed), expected);
  assert.deepEqual(JSON.parse(printed), { "0.tiny_int8": expected });
  const copying = models.tiny_int8.start("abc", { maxCopy: 3 });
  copying.take(5);
  const withSpans = forge(copying.save(), { description: "", block: parse(copying.save()).block });
  assert.throws(() => models.tiny_int8.resume(withSpans), error("SAVED_GENERATION", /has maxCopy/, "maxCopy"));
});

test("a text with maxCopy is resumed only with the corpus with which it was saved, in Python too", async () => {
  const { file } = cases.saved.find(({ options, model }) => options.maxCopy && model === "tiny_int8");
  const ofPython = new Uint8Array(readFileSync(`${FOLDER}/saved/${file}`));
  const here = models.tiny_int8.start("abc", { maxCopy: 3 }).save();
  assert.equal(parse(here).description.novel, parse(ofPython).description.novel);
  assert.deepEqual(parse(models.tiny_int8.resume(ofPython).save()).description, parse(ofPython).description);
  const other = await load(content("tiny_int8"), { novel: "another corpus" });
  for (const saved of [here, ofPython]) {
    assert.throws(() => other.resume(saved), error("SAVED_GENERATION", /another corpus/, "novel"));
  }
});

test("the bytes of an incomplete character have no text, and stay in a text that is finished, copied or resumed", () => {
  for (const isFinished of [false, true]) {
    const generation = withinCharacter();
    if (isFinished) {
      assert.equal(generation.finish(), "");
    }
    for (const one of [generation.copy(), accented.resume(generation.save()), generation]) {
      assert.equal(one.feed("a"), "\ufffda");
    }
  }
});

test("a constraint has the digest that it has in Python", () => {
  for (const { table, digest } of cases.models.baseline.tiny.constraints) {
    assert.equal(hexadecimal(tiny.start("abc", { match: table }).parts.tables.constraint.digest), digest);
  }
});

test("what is no saved generation of this model, constraint and version is refused", async () => {
  const saved = tiny.start("abc", { seed: 1, stop: "cab" }).save();
  const refused = (bytes, message) => assert.throws(() => tiny.resume(bytes), error("SAVED_GENERATION", message));
  refused("text", /^a saved generation is a Uint8Array, not "text"$/);
  refused(new TextEncoder().encode("TGEN 1"), /^an earlier version of textgen-onnx saved the generation/);
  refused(new Uint8Array(0), /^this is not a saved text: choose one that was saved$/);
  const later = saved.slice();
  later[8] = 2;
  refused(later, /^the saved text has format 2, and this version reads format 1: upgrade/);
  for (let size = 1; size < saved.length; size += 7) {
    refused(saved.subarray(0, size), /^(this is not a|the) saved text/);
  }
  const other = await load(content("layers"));
  assert.throws(() => other.resume(saved), error("SAVED_GENERATION", /^the generation was saved with another model/));
  const match = { states: [{ accepting: true, next: { a: 0 } }] };
  const constrained = tiny.start("abc", { match }).save();
  for (const [bytes, options] of [[constrained, {}], [constrained, { match: { states: [{ accepting: true, next: { b: 0 } }] } }]]) {
    assert.throws(() => tiny.resume(bytes, options), error("SAVED_GENERATION", /pass its table as match$/, "match"));
  }
  assert.equal(tiny.resume(constrained, { match }).take(0), "");
  const withoutNovel = await load(content("tiny_int8"));
  const novel = models.tiny_int8.start("abc", { maxCopy: 3 }).save();
  assert.throws(() => withoutNovel.resume(novel), error("INVALID_ARGUMENT", /^maxCopy needs a corpus/, "maxCopy"));
});

test("a damaged saved generation continues or is refused, and never traps", () => {
  const model = models.tiny_int8;
  const generation = model.start("abc", { seed: 1, stop: "cab", repetitionPenalty: 2, maxCopy: 3 });
  generation.take(5);
  const saved = generation.save();
  const { description, block } = parse(saved);
  const values = [null, -1, 1.5, 2 ** 40, "x", [], [-1], {}, true];
  const damaged = Object.keys(description.sampling).flatMap((name) =>
    values.map((value) => forge(saved, { block, description: { ...description, sampling: { ...description.sampling, [name]: value } } })),
  );
  for (let i = 0; i < saved.length; i += i < 400 ? 1 : 97) {
    damaged.push(...[1, 0x80, 0xff].map((bits) => Uint8Array.from(saved, (byte, at) => (at === i ? byte ^ bits : byte))));
  }
  for (const bytes of damaged) {
    try {
      const resumed = model.resume(bytes);
      resumed.take(50, { finish: true });
      resumed.next();
    } catch (found) {
      assert.ok(found instanceof TextgenError, found.stack);
    }
  }
});

test("a description and a position that no generation can have are refused", () => {
  const ofTiny = tiny.start("abc", { seed: 1, stop: "cab" });
  const saved = ofTiny.save();
  const { description, block } = parse(saved);
  const refused = (parts, message) =>
    assert.throws(() => tiny.resume(forge(saved, { description, block, ...parts })), error("SAVED_GENERATION", message));
  for (const damaged of ["{", "[]x", { ...description, prompt: 7 }, { ...description, sampling: null }]) {
    refused({ description: damaged }, /^the description of the saved generation is damaged$/);
  }
  refused({ description: { ...description, sampling: { top_x: 1 } } }, /does not support the sampling parameters "top_x": upgrade/);
  refused({ description: { ...description, sampling: { top_k: "1" } } }, /^the sampling parameters are damaged: topK must be/);
  for (const [name, value] of [["ending", 9n], ["ending", 5n], ["atEnd", 1n], ["constraintState", 1n], ["held", 1025n], ["recent", 2001n], ["drawn", -1n], ["position", -1n], ["filtered", 2n], ["temperature", -1n]]) {
    refused({ block: withField(block, name, value) }, /^the saved text is damaged: save it again, or start a new one$/);
  }
  assert.equal(tiny.resume(forge(saved, { description, block })).take(5), ofTiny.take(5));
});

test("a text whose random numbers end stays at its position before the call", () => {
  const saved = tiny.start("abc", { seed: 1 }).save();
  const { description, block } = parse(saved);
  const resumed = tiny.resume(forge(saved, { description, block: withField(block, "position", 2n ** 63n - 70n) }));
  resumed.take(1);
  const before = resumed.save();
  assert.throws(() => resumed.take(100), error("RNG_EXHAUSTED", /^the random stream is exhausted/));
  assert.deepEqual([resumed.save(), resumed.ending], [before, "length"]);
  assert.equal(Array.from(resumed.take(68)).length, 68);
});
