// From a source to a model: files, addresses and bytes, the WebAssembly module, and the description of the model.

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { load } from "../../runtime/web/index.js";
import { load as loadSeparate } from "../../runtime/web/separate.js";
import { FOLDER, cases, content } from "./package-cases.mjs";
import { COVERED, KERNELS } from "./package-modules.mjs";

test("a model is loaded from a path, a file URL, a Response, a buffer and a view, with the module as a file too", async () => {
  const path = `${FOLDER}/tiny.onnx`;
  const bytes = content("tiny");
  const padded = new Uint8Array(bytes.length + 10);
  padded.set(bytes, 5);
  const url = new URL(`file://${path}`);
  const sources = [path, url, url.href, new Response(bytes), bytes.buffer, padded.subarray(5, -5)];
  for (const open of [load, loadSeparate]) {
    for (const source of sources.map((one) => (one instanceof Response ? one.clone() : one))) {
      const model = await open(source);
      assert.equal(model.info.parameters, cases.models.baseline.tiny.parameters);
    }
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
      assert.equal(model.info.parameters, cases.models.baseline.tiny.parameters);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
});

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

test("a model describes itself", async () => {
  const { vocabulary, kernels, ...info } = (await load(content("tiny"))).info;
  assert.equal(vocabulary.join(""), "\n abcdehé€ж𝄞");
  assert.ok(kernels);
  assert.deepEqual(info, {
    ...{ level: "character", records: null, lowercase: true, unicode: "NFC", special: {}, format: 1 },
    prompts: ["abc", "dad had", "é€ж𝄞"],
    training: { corpus: "none: the weights are random" },
    parameters: cases.models.baseline.tiny.parameters,
    units: 4,
    layers: 1,
    embedding: 3,
    residual: false,
    bits: 32,
    quantization: null,
  });
  const records = (await load(content("word"))).info;
  assert.deepEqual([records.level, records.records, records.prompts, records.unicode], ["word", "lines", [], "NFC"]);
  assert.deepEqual(records.special, { unknown: 0, begin: 11, end: 12 });
  const quantized = (await load(content("tiny_int8"))).info;
  assert.deepEqual([quantized.bits, typeof quantized.quantization, quantized.format], [8, "object", 2]);
});
