// Damaged model files and saved generations: each runs, or is refused with a code. None is a trap, a hang, or memory
// without bound.

import assert from "node:assert/strict";
import { test } from "node:test";
import { load, TextgenError } from "../../runtime/web/index.js";
import { cases, content, loadCase } from "./package-cases.mjs";

/** Yield damaged copies of some bytes, always the same: a flipped bit, changed or missing bytes, up to four times. */
function* damagedCopies(bytes, count) {
  let state = 12345;
  // Xorshift, Marsaglia 2003.
  const random = (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
  for (let i = 0; i < count; i += 1) {
    const damaged = Array.from(bytes);
    for (let left = 1 + random(4); left > 0; left -= 1) {
      const [start, size] = [random(damaged.length), [1, 2, 4, 16, 200][random(5)]];
      if (random(2)) damaged[start] ^= 1 << random(8);
      else if (random(2)) damaged.fill([0xff, 0, 0x7f, 0x80][random(4)], start, start + size);
      else if (damaged.length > size) damaged.splice(start, size);
    }
    yield Uint8Array.from(damaged);
  }
}

/** Return how many of some bytes can be used without an error. */
async function countAccepted(copies, use) {
  let accepted = 0;
  for (const bytes of copies) {
    try {
      await use(bytes);
      accepted += 1;
    } catch (error) {
      assert.ok(error instanceof TextgenError && error.code, error.stack);
      assert.match(error.message, /^.{5,1000}$/);
    }
  }
  return accepted;
}

async function generate(bytes) {
  const model = await load(bytes);
  // The prompts of a file may have become empty, and its weights NaN.
  model.generate(null, { seed: 1, length: 5 });
  model.dispose();
}

for (const name of Object.keys(cases.models.baseline).filter((one) => !one.startsWith("nietzsche"))) {
  test(`damaged copies of the model ${name} run or are refused`, async () => {
    assert.ok((await countAccepted(damagedCopies(content(name), 100), generate)) < 100);
  });
}

test("a model cut at any byte is refused", async () => {
  const bytes = content("tiny");
  const cuts = Array.from({ length: Math.ceil(bytes.length / 5) }, (_, i) => bytes.subarray(0, 5 * i));
  assert.equal(await countAccepted(cuts, generate), 0);
});

test("damaged copies of a saved generation continue or are refused", async () => {
  const model = await loadCase("tiny", { novel: "abc dad hab bad" });
  const generation = model.start("abc", { seed: 1, stop: "cab", repetitionPenalty: 2, maxCopy: 3 });
  generation.take(5);
  const resume = (bytes) => {
    const resumed = model.resume(bytes);
    resumed.take(50, { finish: true });
    resumed.next();
  };
  const accepted = await countAccepted(damagedCopies(generation.save(), 1000), resume);
  assert.ok(accepted > 10 && accepted < 900, String(accepted));
});
