// Saved generations: what is kept, and what is refused. golden.test.mjs continues them, also in Python and C.

import assert from "node:assert/strict";
import { test } from "node:test";
import { error, loadCase } from "./package-cases.mjs";

const tiny = await loadCase("tiny", { novel: "abc dad hab bad" });
const accented = await loadCase("accented");
const MATCH = { states: [{ accepting: true, next: { a: 0, b: 0 } }] };

// A saved stream: see saved.c of the core.
const HEADER = 96;
const DESCRIPTION_SIZE = 88;
const FIELDS = { temperature: 0, position: 15, filtered: 16, ending: 18, drawn: 19, constraintState: 20, held: 21, recent: 22 };

/** Return the description of a saved generation, and its block. */
function parse(saved) {
  const size = Number(new DataView(saved.buffer).getBigUint64(DESCRIPTION_SIZE, true));
  const description = JSON.parse(new TextDecoder().decode(saved.subarray(saved.length - size)));
  return { description, block: saved.slice(HEADER, saved.length - size) };
}

/** Return a saved generation with another description, and with changed fields of its block. */
function forge(saved, description, fields = {}) {
  const { block } = parse(saved);
  const bytes = new TextEncoder().encode(typeof description === "string" ? description : JSON.stringify(description));
  const forged = new Uint8Array(HEADER + block.length + bytes.length);
  Object.entries(fields).forEach(([name, value]) => new DataView(block.buffer).setBigInt64(8 * FIELDS[name], value, true));
  forged.set(saved.subarray(0, HEADER));
  new DataView(forged.buffer).setBigUint64(DESCRIPTION_SIZE, BigInt(bytes.length), true);
  forged.set(block, HEADER);
  forged.set(bytes, HEADER + block.length);
  return forged;
}

/** Return a generation of bytes whose text ends within a character. */
function withinCharacter() {
  const generation = accented.start("abc", { seed: 1 });
  while (generation.take(1));
  return generation;
}

test("the numbers of a text are those of its stream, whatever the description says", () => {
  const started = tiny.start("abc", { seed: 1, temperature: 1.3, topK: 5, frequencyPenalty: 0.5 });
  started.take(7);
  const saved = started.save();
  // What C saves has no description.
  for (const description of ["", { prompt: "abc", sampling: { temperature: 0.2, top_k: 2, resample: 3 } }]) {
    const forged = forge(saved, description);
    const resumed = tiny.resume(forged);
    assert.deepEqual(resumed.next(), started.next());
    assert.deepEqual(resumed.save(), forged);
    assert.equal(resumed.take(50), started.copy().take(50));
  }
});

test("the bytes of an incomplete character have no text, and stay in a text that is finished, copied or resumed", () => {
  for (const isFinished of [false, true]) {
    const generation = withinCharacter();
    assert.equal(isFinished ? generation.finish() : "", "");
    for (const one of [generation.copy(), accented.resume(generation.save()), generation]) {
      assert.equal(one.feed("a"), "\ufffda");
    }
  }
});

test("what is no saved generation of this model, constraint, corpus and version is refused", async () => {
  const saved = tiny.start("abc", { seed: 1, stop: "cab" }).save();
  const { description } = parse(saved);
  const refused = (model, bytes, code, parameter, options) =>
    assert.throws(() => model.resume(bytes, options), error(code, parameter));
  refused(tiny, "text", "INVALID_ARGUMENT");
  for (let size = 0; size < saved.length; size += 7) {
    assert.throws(() => tiny.resume(saved.subarray(0, size)), { code: "DAMAGED_SAVED" });
  }
  refused(tiny, Uint8Array.from(saved, (byte, at) => (at === 8 ? 3 : byte)), "NEWER_FORMAT");
  refused(await loadCase("layers"), saved, "OTHER_SAVED");
  const constrained = tiny.start("abc", { match: MATCH }).save();
  refused(tiny, constrained, "OTHER_SAVED");
  refused(tiny, constrained, "OTHER_SAVED", undefined, { match: { states: [{ accepting: true, next: { b: 0 } }] } });
  const copying = tiny.start("abc", { maxCopy: 3 });
  copying.take(5);
  refused(tiny, forge(copying.save(), ""), "OTHER_SAVED", "maxCopy");
  refused(await loadCase("tiny", { novel: "another corpus" }), copying.save(), "OTHER_SAVED", "novel");
  const samplings = [null, { stop: 1 }, { allowed: [-1] }, { banned: {} }, { max_copy: "x" }, { max_copy: 2 ** 40 }];
  for (const damaged of ["{", "[]x", { prompt: 7 }, ...samplings.map((sampling) => ({ sampling }))]) {
    refused(tiny, forge(saved, damaged), "DAMAGED_SAVED");
  }
  refused(tiny, forge(saved, { sampling: { top_x: 1 } }), "NEWER_FORMAT");
  for (const fields of [
    ...[{ ending: 9n }, { ending: 5n }, { constraintState: 1n }, { held: 1025n }, { recent: 2001n }],
    ...[{ drawn: -1n }, { position: -1n }, { filtered: 2n }, { temperature: -1n }],
  ]) {
    assert.throws(() => tiny.resume(forge(saved, description, fields)), { code: "DAMAGED_SAVED" });
  }
});

test("a text whose random numbers end stays at its position before the call", () => {
  const saved = tiny.start("abc", { seed: 1 }).save();
  const resumed = tiny.resume(forge(saved, "", { position: 2n ** 63n - 70n }));
  resumed.take(1);
  const before = resumed.save();
  assert.throws(() => resumed.take(100), error("RNG_EXHAUSTED"));
  assert.deepEqual([resumed.save(), resumed.ending], [before, "length"]);
  assert.equal(Array.from(resumed.take(68)).length, 68);
});
