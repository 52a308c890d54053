// Saved generations: what they contain, and what is refused.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { load, TextgenError } from "../../runtime/web/index.js";
import { hexadecimal, sha256 } from "../../runtime/web/lib/sha256.js";
import { error } from "./package-assertions.mjs";
import { cases, content } from "./package-cases.mjs";
import { forge } from "./package-forging.mjs";

const tiny = await load(content("tiny"));
const accented = await load(content("accented"));

/** Return a generation of bytes whose text ends within a character. */
function withinCharacter() {
  const generation = accented.start("abc", { seed: 1 });
  for (let left = 100; generation.take(1); left -= 1) {
    assert.ok(left, "no text ends within a character");
  }
  return generation;
}

test("what is resumed saves the same bytes again", () => {
  const match = { states: [{ accepting: true, next: { a: 0, b: 0 } }] };
  const running = [
    tiny.start("abc", { seed: 2n ** 100n + 7n, substream: 9, stop: ["cab", "bb"] }),
    tiny.start("abc", { seed: 1, repetitionPenalty: 1.5, penaltyWindow: 7, allowed: "abcd", logitBias: { a: -1 } }),
    tiny.start("bad", { seed: 1, mirostatTau: 2, banned: ["a"] }),
    tiny.start("abc", { seed: 1, match }),
    withinCharacter(),
  ];
  for (const generation of running) {
    for (let i = 0; i < 5; i += 1) {
      const saved = generation.save();
      assert.deepEqual(generation.model.resume(saved, { match: generation.parts.sampling.match }).save(), saved);
      generation.take(7);
    }
  }
});

test("a copied or resumed generation knows the bytes of an incomplete character, and whether the text was finished", () => {
  for (const isFinished of [false, true]) {
    const generation = withinCharacter();
    if (isFinished) {
      assert.equal(generation.finish(), "");
    }
    for (const one of [generation.copy(), accented.resume(generation.save()), generation]) {
      assert.equal(one.feed("a"), isFinished ? "a" : "\ufffda");
    }
  }
});

test("a saved generation has the layout of version 1", async () => {
  const saved = tiny.start("abc", { seed: 1 }).save();
  const view = new DataView(saved.buffer);
  assert.equal(new TextDecoder().decode(saved.subarray(0, 4)), "TGEN");
  assert.equal(view.getUint32(4, true), 1);
  const { description, bytes } = await forge(saved, () => {});
  assert.deepEqual(bytes, saved);
  const values = tiny.stateValues + tiny.info.vocabulary.length;
  assert.equal(saved.length, 12 + view.getUint32(8, true) + 4 * values + 32);
  assert.deepEqual([description.model, description.seed, description.position], [tiny.sha256, "1", "0"]);
  view.setUint32(4, 2, true);
  assert.throws(() => tiny.resume(saved), error("SAVED_GENERATION", /^a later version saved the generation/));
});

test("a saved generation has the digest that its constraint has in Python", async () => {
  for (const { table, digest } of cases.models.baseline.tiny.constraints) {
    const { description } = await forge(tiny.start("abc", { match: table }).save(), () => {});
    assert.equal(description.constraint, digest);
  }
});

test("a digest is a SHA-256", () => {
  const bytes = Uint8Array.from({ length: 200 }, (_, i) => (i * 7) % 256);
  for (let size = 0; size <= bytes.length; size += 1) {
    const part = bytes.subarray(0, size);
    assert.equal(hexadecimal(sha256(part)), createHash("sha256").update(part).digest("hex"), `${size} bytes`);
  }
});

test("a saved generation is checked", async () => {
  const saved = tiny.start("abc", { seed: 1, stop: "cab" }).save();
  const changes = [() => saved.subarray(0, 20), () => saved.subarray(0, -1), () => new Uint8Array(0)];
  for (let i = 0; i < saved.length; i += 7) {
    changes.push(() => Uint8Array.from(saved, (byte, at) => (at === i ? byte ^ 1 : byte)));
  }
  for (const change of changes) {
    assert.throws(() => tiny.resume(change()), error("SAVED_GENERATION", /./));
  }
  assert.throws(() => tiny.resume("text"), error("SAVED_GENERATION", /^a saved generation is a Uint8Array/));
  const other = await load(content("layers"));
  assert.throws(() => other.resume(saved), error("SAVED_GENERATION", /^the generation was saved with another model/));
  const match = { states: [{ accepting: true, next: { a: 0 } }] };
  const constrained = tiny.start("abc", { match }).save();
  assert.throws(() => tiny.resume(constrained), error("SAVED_GENERATION", /pass its table as match$/, "match"));
  assert.equal(tiny.resume(constrained, { match }).take(0), "");
});

test("a forged saved generation is an error, and never a trap", async () => {
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

test("a position that no text can have is refused", async () => {
  const text = { held: [], stopState: 0, constraintState: 0, ending: null, atEnd: false };
  const ofTiny = tiny.start("abc", { seed: 1, stop: "cab" });
  const ofBytes = accented.start("abc", { seed: 1 });
  for (const [generation, change] of [
    [ofTiny, { text: { ...text, stopState: 1 } }],
    [ofTiny, { text: { ...text, held: [13] } }],
    [ofTiny, { text: { ...text, constraintState: 1 } }],
    [ofTiny, { text: { ...text, ending: "end" } }],
    [ofTiny, { text: { ...text, ending: "end", atEnd: true } }],
    [ofTiny, { tail: [0xc3] }],
    [ofBytes, { tail: [0xf0, 0x9d, 0x84, 0x9e] }],
    [ofBytes, { tail: [256] }],
    [ofTiny, { isFinished: 1 }],
    [ofTiny, { seed: String(2n ** 128n) }],
    [ofTiny, { substream: 2 ** 32 }],
    [ofTiny, { position: String(2n ** 63n) }],
    [ofTiny, { recent: new Array(1025).fill(0) }],
    [ofTiny, { mirostat: null }],
    [ofTiny, { prompt: 7 }],
  ]) {
    const { bytes } = await forge(generation.save(), (copy) => Object.assign(copy, change));
    assert.throws(() => generation.model.resume(bytes), TextgenError, JSON.stringify(change).slice(0, 100));
  }
});

test("a text ends with an error when its random numbers end", async () => {
  const { bytes } = await forge(tiny.start("abc", { seed: 1 }).save(), (copy) => {
    copy.position = String(2n ** 63n - 2n);
  });
  const resumed = tiny.resume(bytes);
  assert.equal(resumed.take(1).length, 1);
  assert.throws(() => resumed.take(1), error("RNG_EXHAUSTED", /^the random stream is exhausted/));
});
