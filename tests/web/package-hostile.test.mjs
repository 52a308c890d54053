// Damaged model files: each runs, or is refused with a code. None is a trap, a hang, or memory without bound.

import assert from "node:assert/strict";
import { test } from "node:test";
import { load, TextgenError } from "../../runtime/web/index.js";
import { cases, content } from "./package-cases.mjs";

const COUNT = Number(process.env.TEXTGEN_MUTATIONS ?? 800);

/** A small random number generator, so that a failure can be repeated: xorshift, Marsaglia 2003. */
function randomNumbers(seed) {
  let state = seed;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

/** Flip a bit, set bytes, or leave some out, up to four times. */
function mutate(bytes, random) {
  const damaged = Array.from(bytes);
  for (let left = 1 + random(4); left > 0; left -= 1) {
    const [start, size] = [random(damaged.length), [1, 2, 4, 16, 200][random(5)]];
    if (random(2)) damaged[start] ^= 1 << random(8);
    else if (random(2)) damaged.fill([0xff, 0, 0x7f, 0x80][random(4)], start, start + size);
    else if (damaged.length > size) damaged.splice(start, size);
  }
  return Uint8Array.from(damaged);
}

/** Load a damaged file and use it. Return whether it was accepted. */
async function use(bytes) {
  try {
    const model = await load(bytes);
    // The prompts of a file may have become empty, and its weights NaN.
    model.generate(null, { seed: 1, length: 5 });
    model.dispose();
    return true;
  } catch (error) {
    assert.ok(error instanceof TextgenError, error.stack);
    assert.ok(error.code && error.message && !error.message.includes("\n") && error.message.length < 1000, error.message);
    return false;
  }
}

for (const name of Object.keys(cases.models.baseline).filter((one) => !one.startsWith("nietzsche"))) {
  test(`damaged copies of the model ${name} run or are refused`, async () => {
    const bytes = content(name);
    const random = randomNumbers(12345);
    let accepted = 0;
    for (let i = 0; i < COUNT / 8; i += 1) {
      accepted += Number(await use(mutate(bytes, random)));
    }
    assert.ok(accepted < COUNT / 8);
  });
}

test("a model cut at any byte is refused", async () => {
  const bytes = content("tiny");
  for (let size = 0; size < bytes.length; size += 5) {
    assert.equal(await use(bytes.subarray(0, size)), false, `${size} bytes`);
  }
});
