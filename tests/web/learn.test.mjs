// learn(): a run in workers, which is that of one trainer.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import threads from "node:worker_threads";
import { load } from "../../runtime/web/index.js";
import { learn, quantize } from "../../runtime/web/learn.js";
import { hasRelaxedSimd } from "../../runtime/web/lib/loading.js";
import { startWorker } from "../../runtime/web/lib/port.js";
import { Trainer } from "../../runtime/web/lib/trainer.js";
import { cases, error } from "./package-cases.mjs";

const MODULE = new WebAssembly.Module(readFileSync(`runtime/web/trainer${hasRelaxedSimd() ? "-relaxed" : ""}.wasm`));
const LESSONS = cases.learned.baseline;
const EPOCHS = 3;

const optionsOf = ({ records, values }) => ({ name: "names", records: records || null, values, epochs: EPOCHS, seed: 7 });
const digest = ({ run }) => createHash("sha256").update(run).digest("hex");

/** Return the run that one trainer makes of a text. */
function expected(lesson) {
  const trainer = new Trainer(new WebAssembly.Instance(MODULE), lesson.text, optionsOf(lesson));
  const { perEpoch } = trainer.info();
  for (let step = 0; step < EPOCHS * perEpoch; step += 1) {
    trainer.update(Math.min(1, step / (EPOCHS * perEpoch)));
  }
  return { run: trainer.save(), heldOut: trainer.score() };
}

for (const workers of [1, 3]) {
  test(`the run of ${workers} workers is that of one trainer`, async () => {
    for (const lesson of LESSONS) {
      const progress = [];
      const learning = await learn(lesson.text, { ...optionsOf(lesson), workers, onProgress: (now) => progress.push(now) });
      const { best, saved } = await learning.finished;
      const { run, heldOut } = expected(lesson);
      assert.deepEqual(saved.run, run);
      assert.equal(best.heldOut, heldOut);
      assert.equal(learning.best, best);
      assert.deepEqual([progress.at(-1).progress, progress.at(-1).epoch, progress.at(-1).secondsLeft], [1, EPOCHS, 0]);
    }
  });
}

test("a run that was saved goes on with another number of workers, to the same bits", async () => {
  const [lesson] = LESSONS;
  const first = await learn(lesson.text, { ...optionsOf(lesson), workers: 2 });
  const saving = first.save();
  first.stop();
  const saved = await saving;
  const stopped = await first.finished;
  assert.notDeepEqual(digest(stopped.saved), digest(expected(lesson)));
  await assert.rejects(first.save(), error("FAILED"));
  const second = await learn(lesson.text, { ...optionsOf(lesson), workers: 1, saved });
  assert.equal(digest((await second.finished).saved), digest(expected(lesson)));
});

test("a paused run makes no update, can be saved, and goes on", async () => {
  const [lesson] = LESSONS;
  const learning = await learn(lesson.text, optionsOf(lesson));
  learning.pause();
  const [once, again] = [await learning.save(), await learning.save()];
  assert.equal(digest(once), digest(again));
  learning.continue();
  assert.equal(digest((await learning.finished).saved), digest(expected(lesson)));
});

test("a run goes on from a model, with characters that it did not know, and the result has 8 bits on request", async () => {
  const [, lesson] = LESSONS;
  const { best } = await (await learn(lesson.text, optionsOf(lesson))).finished;
  const still = { values: { learningRate: 1e-9, weightDecay: 0, muonLr: 0 }, epochs: EPOCHS };
  const same = await (await learn(lesson.text, { from: best.model, ...still })).finished;
  assert.ok(Math.abs(same.best.heldOut - best.heldOut) < 1e-4);
  const changed = lesson.text.replaceAll("Ana", "\u00c4na");
  const learned = await (await learn(changed, { from: best.model, epochs: EPOCHS, seed: 7 })).finished;
  const model = await load(learned.best.model);
  assert.deepEqual([model.info.units, model.info.records], [lesson.values.units, "lines"]);
  assert.equal(model.info.vocabulary.filter((symbol) => symbol === "\u00c4").length, 1);
  const small = await load(await quantize(learned.best.model));
  assert.equal(small.info.bits, 8);
  const loss = (each) => each.start("").surprise("\u00c4na77").reduce((sum, nats) => sum + nats);
  assert.ok(Math.abs(loss(small) - loss(model)) < 0.05 * loss(model));
  await assert.rejects(quantize(await quantize(learned.best.model)), error("INVALID_ARGUMENT"));
});

test("with a budget of minutes, samples are models, and the result is the best model of all evaluations", async () => {
  const [evaluations, samples] = [[], []];
  const options = { values: { ...LESSONS[0].values, learningRate: 0.05 }, minutes: 0.05 };
  const text = "the same words come again and again, ".repeat(12);
  const listeners = { onEvaluation: (evaluation) => evaluations.push(evaluation), onSample: (sample) => samples.push(sample) };
  const learning = await learn(text, { ...options, ...listeners });
  const { best } = await learning.finished;
  assert.equal(best.heldOut, Math.min(...evaluations.map(({ heldOut }) => heldOut)));
  assert.ok(evaluations.every(({ model, isOverfitted }) => !(model && isOverfitted)));
  assert.ok(samples.length && samples[0].progress < 1);
  assert.equal((await load(samples[0].model)).info.units, options.values.units);
});

for (const [options, code, culprit] of [
  [{ minutes: 0 }, "INVALID_ARGUMENT", "minutes"], [{ epochs: 1, minutes: 1 }, "INVALID_ARGUMENT", "epochs"],
  [{ records: "pages" }, "INVALID_ARGUMENT", "records"], [{ minute: 1 }, "INVALID_ARGUMENT", "minute"],
  [{ preset: "huge" }, "INVALID_ARGUMENT", "preset"], [{ values: { units: 1.5 } }, "INVALID_ARGUMENT", "units"],
  [{ seed: 1.5 }, "INVALID_ARGUMENT", "seed"], [{ seed: -1 }, "INVALID_ARGUMENT", "seed"], [{ workers: "2" }, "INVALID_ARGUMENT", "workers"],
  [{ values: { unit: 1 } }, "INVALID_ARGUMENT", "unit"], [{ values: { dropout: 2 } }, "INVALID_ARGUMENT", "[0, 0.99]"],
  [{ values: { learningRate: 0 } }, "INVALID_ARGUMENT", "[0.000000001, "], [{ values: { units: -1 } }, "INVALID_ARGUMENT", "units"], [{ workers: 0 }, "INVALID_ARGUMENT", "workers"],
  [{ from: new Uint8Array(9) }, "DAMAGED_MODEL", ""], [{ saved: { run: new Uint8Array(9) } }, "DAMAGED_SAVED", ""],
]) {
  test(`${JSON.stringify(options)} is an error that names ${culprit || code}`, async () => {
    const failed = learn(LESSONS[0].text, options).then(({ finished }) => finished);
    await assert.rejects(failed, (reason) => reason.code === code && reason.message.includes(culprit));
  });
}

test("an evaluation that would take much of a short run is only at its end", async () => {
  const [evaluations, text] = [[], "the same words come again and again, ".repeat(5000)];
  const onEvaluation = (evaluation) => evaluations.push(evaluation);
  await (await learn(text, { values: { units: 150 }, epochs: 0.3, onEvaluation })).finished;
  assert.deepEqual(evaluations.map(({ progress }) => progress), [1]);
});

test("a text that is too short, and one that is no string, are refused", async () => {
  await assert.rejects((await learn("ab")).finished, error("INVALID_ARGUMENT", "text"));
  await assert.rejects(learn(7), error("INVALID_ARGUMENT", "text"));
});

for (const source of ["throw new Error('no memory')", "process.exit(0)"]) {
  test(`a worker that ends by ${source} is an error for who waits for it`, async () => {
    const port = startWorker(source, threads);
    for (let i = 0; i < 2; i += 1) await assert.rejects(port.next(), error("FAILED"));
  });
}
