// The package in Node gives the texts of Python.

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "../../runtime/web/index.js";
import { load as loadSeparate } from "../../runtime/web/separate.js";
import { normalize } from "../../runtime/web/lib/normalization.js";
import { FOLDER, cases, content } from "./package-cases.mjs";
import { checkModel } from "./package-checks.mjs";
import { COVERED, KERNELS, LOADS } from "./package-modules.mjs";

for (const kernels of KERNELS) {
  for (const [name, expected] of Object.entries(cases.models[kernels])) {
    test(`with the kernels ${kernels}, the model ${name} gives the numbers and texts of Python`, () =>
      checkModel(LOADS[kernels], content(name), expected, kernels));
  }
}

test(`an entry point takes relaxed SIMD if the engine has it; covers ${COVERED}`, async (context) => {
  const best = KERNELS.at(-1);
  const kernelsOf = async (entry) => (await (await import(`../../runtime/web/${entry}`)).load(content("tiny"))).info.kernels;
  assert.equal(await kernelsOf("index.js?new"), best);
  assert.equal(await kernelsOf("separate.js?new"), best);
  assert.equal(await kernelsOf("plain.js?new"), "baseline");
  context.mock.method(WebAssembly, "validate", () => false);
  assert.equal(await kernelsOf("index.js?old"), "baseline");
  assert.equal(await kernelsOf("separate.js?old"), "baseline");
});

test("a prompt that is read in parts gives the same text", async () => {
  const model = await load(content("tiny"));
  for (const prompt of ["a", "abababab", "ab".repeat(100)]) {
    const parts = model.startInParts(prompt, { seed: 1 });
    let count = 1;
    let step = parts.next();
    for (; !step.done; step = parts.next()) {
      assert.equal(step.value.prompt, prompt);
      count += 1;
    }
    // The first part has 8 tokens, and later ones depend on the time that a part takes.
    assert.equal(count > 1, prompt.length > 8);
    assert.deepEqual(step.value.logits(), model.start(prompt, { seed: 1 }).logits());
    assert.equal(step.value.take(50), model.start(prompt, { seed: 1 }).take(50));
  }
  assert.throws(() => model.startInParts("").next(), { code: "NO_PROMPT" });
  const half = model.startInParts("ab".repeat(100)).next().value;
  for (const use of [() => half.take(1), () => half.feed("a"), () => half.copy(), () => half.logits(), () => half.save()]) {
    assert.throws(use, { code: "INVALID_ARGUMENT", message: /^the generation has not read its prompt yet/ });
  }
  half.dispose();
});

test("a stream lets other events run while it reads the prompt, and can be aborted then", async () => {
  const model = await load(content("tiny"));
  const controller = new AbortController();
  const prompt = "ab".repeat(300_000);
  setImmediate(() => controller.abort());
  const stream = model.stream(prompt, { length: 1, signal: controller.signal });
  await assert.rejects(stream.next(), { name: "AbortError" });
});

test("a text is normalized as in Python", () => {
  for (const { lowercase, unicode, text, normalized } of cases.normalizations) {
    assert.equal(normalize(text, { level: "character", lowercase, unicode }), normalized);
  }
});

test("a model is loaded from a path, a file URL, a Response, a buffer and a view, with the module as a file too", async () => {
  const path = `${FOLDER}/tiny.onnx`;
  const bytes = content("tiny");
  const padded = new Uint8Array(bytes.length + 5);
  padded.set(bytes, 5);
  const url = new URL(`file://${path}`);
  const sources = [path, url, url.href, new Response(bytes), bytes.buffer, padded.subarray(5)];
  for (const open of [load, loadSeparate]) {
    for (const source of sources.map((one) => (one instanceof Response ? one.clone() : one))) {
      const model = await open(source);
      assert.equal(model.generate(null, { seed: 3 }), cases.models[model.info.kernels].tiny.default);
    }
  }
});
