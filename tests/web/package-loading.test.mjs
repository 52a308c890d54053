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
      assert.equal(model.info.parameters, cases.models.baseline.tiny.info.parameters);
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
      assert.equal(model.info.parameters, cases.models.baseline.tiny.info.parameters);
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
