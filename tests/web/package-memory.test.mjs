// The memory of a module: it is used again, and may have more than 2 GB.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { load, TextgenError } from "../../runtime/web/index.js";
import { content } from "./package-cases.mjs";

const sizeOf = (model) => model.core.memory.buffer.byteLength;

test("hundreds of generations do not let the memory grow", async () => {
  const model = await load(content("tiny"), { novel: "abcd".repeat(1000) });
  const once = async (number) => {
    const generation = model.start("abc", { seed: 1, stop: ["cab", "bb"], topP: 0.9 });
    generation.take(10);
    generation.copy().dispose();
    model.resume(generation.save()).dispose();
    generation.surprise("abc");
    generation.next();
    generation.dispose();
    model.generate("abc", { seed: 2, match: { states: [{ accepting: true, next: { a: 0 } }] }, length: 20 });
    for await (const chunk of model.stream("abc", { seed: 3, length: 5, maxCopy: number })) {
      assert.ok(chunk);
    }
    assert.throws(() => model.start("xyz", { stop: "a" }), TextgenError);
    assert.throws(() => model.start("abc", { stop: "a", mirostatTau: 2, topK: 3 }), TextgenError);
    assert.throws(() => model.core.withMemory(2 ** 16, () => assert.fail()), { name: "AssertionError" });
  };
  for (let i = 1; i <= 5; i += 1) {
    await once(i);
  }
  const before = sizeOf(model);
  for (let i = 6; i <= 300; i += 1) {
    await once(i);
  }
  assert.equal(sizeOf(model), before);
});

test("the memory of generations that a program drops is used again", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc");
  const model = await load(content("tiny"));
  const drop = async () => {
    for (let i = 0; i < 100; i += 1) {
      model.start("abc", { seed: 1, stop: "cab" });
    }
    collect();
    // Finalizers run in a turn of their own.
    await new Promise((resolve) => setTimeout(resolve, 0));
  };
  await drop();
  const before = sizeOf(model);
  for (let i = 0; i < 20; i += 1) {
    await drop();
  }
  assert.ok(sizeOf(model) < 2 * before, `${before} bytes became ${sizeOf(model)}`);
});

test("memory above 2 GB gives the same text", async () => {
  const model = await load(content("tiny"));
  const options = { seed: 1, stop: ["cab", "bb"], logitBias: { a: 1 }, repetitionPenalty: 1.5 };
  const expected = model.generate("abc", options);
  // The allocator rounds a size and its own data up to a power of two.
  for (let i = 0; i < 4; i += 1) {
    model.core.allocate(2 ** 29 - 2 ** 16);
  }
  // A stream is small, and may have room below.
  const generations = Array.from({ length: 200 }, () => model.start("abc", options));
  const last = generations.at(-1);
  assert.ok(last.pointer > 2 ** 31);
  const resumed = model.resume(last.save());
  assert.deepEqual(last.logits(), generations[0].logits());
  assert.equal(resumed.take(400, { finish: true }), expected);
  assert.equal(last.take(400, { finish: true }), expected);
});
