// The trainer: it learns what the trainer in C does, to the last bit, alone and together with others.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { load } from "../../runtime/web/index.js";
import { Trainer } from "../../runtime/web/lib/trainer.js";
import { cases, error } from "./package-cases.mjs";
import { COVERED, KERNELS } from "./package-modules.mjs";

const MODULES = Object.fromEntries(
  KERNELS.map((name) => [name, new WebAssembly.Module(readFileSync(`runtime/web/trainer${name === "baseline" ? "" : "-relaxed"}.wasm`))]),
);
const [LESSON] = cases.learned.baseline;

function trainerOf(lesson, kernels = "baseline", options = {}) {
  const { text, records, values } = lesson;
  const chosen = { name: "names", records, values, epochs: 30, seed: 7, ...options };
  return new Trainer(new WebAssembly.Instance(MODULES[kernels]), text, chosen);
}

const digest = (trainer) => createHash("sha256").update(trainer.save()).digest("hex");

test(`a run is that of the trainer in C; covers ${COVERED}`, () => {
  for (const kernels of KERNELS) {
    for (const lesson of cases.learned[kernels]) {
      const trainer = trainerOf(lesson, kernels);
      assert.deepEqual(lesson.losses.map((_, step) => trainer.update(step / lesson.losses.length)), lesson.losses);
      assert.equal(digest(trainer), lesson.run);
      assert.equal(trainer.score(), lesson.heldOut);
    }
  }
});

test("trainers without common memory make the updates of one", () => {
  for (const lesson of cases.learned.baseline) {
    const [leader, ...others] = [1, 2, 3].map(() => trainerOf(lesson));
    const { parts } = leader.info();
    lesson.losses.forEach((loss, step) => {
      const progress = step / lesson.losses.length;
      [leader, ...others].forEach((trainer) => trainer.begin(progress));
      for (let part = parts - 1; part >= 0; part -= 1) {
        const trainer = [leader, ...others][part % 3];
        trainer.computePart(part);
        if (trainer !== leader) {
          leader.readPart(part, trainer.writePart(part));
        }
      }
      assert.equal(leader.end(), loss);
      others.forEach((trainer) => trainer.follow(leader.weights()));
    });
    assert.equal(digest(leader), lesson.run);
  }
});

test("a saved run goes on exactly, and a damaged or another one is refused", () => {
  const [first, second] = [trainerOf(LESSON), trainerOf(LESSON)];
  first.update(0.5);
  const saved = first.save();
  second.resume(saved);
  assert.equal(second.update(0.6), first.update(0.6));
  assert.deepEqual(second.save(), first.save());
  assert.throws(() => second.resume(saved.subarray(0, -4)), error("DAMAGED_SAVED"));
  assert.throws(() => trainerOf({ ...LESSON, text: LESSON.text.replace("Bo", "By") }).resume(saved), error("OTHER_SAVED"));
});

test("the model file does what was learned, and says how", async () => {
  for (const lesson of cases.learned.baseline) {
    const trainer = trainerOf(lesson);
    trainer.regularize(1000);
    for (let step = 0; step < 200; step += 1) {
      trainer.update(step / 200);
    }
    const heldOut = trainer.score();
    const model = await load(trainer.model(heldOut));
    const { recipe, ...training } = model.info.training;
    assert.deepEqual([training.held_out_nats, recipe.units, recipe.layers], [heldOut, lesson.values.units, lesson.values.layers]);
    assert.equal(recipe.weight_dropout, lesson.values.weightDropout ?? 0.5);
    assert.ok(heldOut < 2, heldOut);
    const generated = model.generate(lesson.records ? "" : "\n", { length: 60, temperature: 0.5, seed: 1 });
    assert.match(generated, /Zoë|Ana|Bo/);
  }
});

test("what no run can have is an error", () => {
  const long = "An unusual text. ".repeat(40);
  for (const [text, options, found] of [
    ["", {}, error("INVALID_ARGUMENT", "text")],
    ["aaaaaaaaaaaaaaaaaaaaaaaaaaaa", {}, error("INVALID_ARGUMENT", "text")],
    [long, { records: "pages" }, error("INVALID_ARGUMENT", "records")],
    [long, { preset: "huge" }, error("INVALID_ARGUMENT", "preset")],
    [long, { values: { units: 0 } }, error("INVALID_ARGUMENT", "units")],
    [long, { values: { batch: 1.5 } }, error("INVALID_ARGUMENT", "batch")],
    [long, { values: { dropout: NaN } }, error("INVALID_ARGUMENT", "dropout")],
  ]) {
    assert.throws(() => new Trainer(new WebAssembly.Instance(MODULES.baseline), text, options), found);
  }
});
