// The package in Chromium, as modules of a page and of a worker, gives the texts of Python.

import assert from "node:assert/strict";
import { resolve } from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { FOLDER, cases } from "./package-cases.mjs";
import { BROWSER, serve } from "./server.mjs";

let browser, server, origin;

before(async () => {
  server = await serve({ package: resolve("runtime/web"), tests: resolve("tests/web"), cases: FOLDER });
  origin = server.origin;
  browser = await chromium.launch(BROWSER);
});

after(async () => {
  await browser.close();
  server.close();
});

/** Run a function in an empty page of the server. */
async function inPage(action, argument) {
  const page = await browser.newPage();
  try {
    await page.goto(origin);
    return await page.evaluate(action, argument);
  } finally {
    await page.close();
  }
}

for (const [entry, hasRelaxedSimd, kernels, file] of [
  ["index.js", true, "relaxed-simd", "wasm-relaxed.js"],
  ["index.js", false, "baseline", "wasm.js"],
  ["separate.js", true, "relaxed-simd", "textgen-relaxed.wasm"],
  ["separate.js", false, "baseline", "textgen.wasm"],
  ["plain.js", true, "baseline", "wasm.js"],
]) {
  test(`a page with ${entry} downloads only ${file}, and each model gives the numbers and texts of Python`, async () => {
    const files = await inPage(
      async ([entry, hasRelaxedSimd, kernels, models]) => {
        if (!hasRelaxedSimd) WebAssembly.validate = () => false;
        const { load } = await import(`/package/${entry}`);
        const { checkModel } = await import("/tests/package-checks.mjs");
        for (const [name, expected] of Object.entries(models)) await checkModel(load, `/cases/${name}.onnx`, expected, kernels);
        return performance.getEntriesByType("resource").map(({ name }) => name.split("/").at(-1));
      },
      [entry, hasRelaxedSimd, kernels, cases.models[kernels]],
    );
    assert.deepEqual(files.filter((name) => name.includes("wasm")), [file]);
  });
}

test("in a worker, with the module as a file, a model gives the numbers and texts of Python", async () => {
  const result = await inPage(
    (expected) =>
      new Promise((resolve) => {
        const code = `
          import { load } from "${location.origin}/package/separate.js";
          import { checkModel } from "${location.origin}/tests/package-checks.mjs";
          onmessage = ({ data }) =>
            checkModel(load, "${location.origin}/cases/tiny.onnx", data, "relaxed-simd").then(() => postMessage("equal"), (error) => postMessage(error.stack));
          postMessage("ready");
        `;
        const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })), { type: "module" });
        worker.onerror = (event) => resolve(event.message);
        worker.onmessage = ({ data }) => (data === "ready" ? worker.postMessage(expected) : resolve(data));
      }),
    cases.models["relaxed-simd"].tiny,
  );
  assert.equal(result, "equal");
});

test("while a text streams, a page handles other events, and a signal ends the text", async () => {
  const result = await inPage(async () => {
    const { load } = await import("/package/index.js");
    const model = await load("/cases/nietzsche.onnx");
    const controller = new AbortController();
    let [turns, characters] = [0, 0];
    const count = () => {
      turns += 1;
      turns >= 5 && characters ? controller.abort() : setTimeout(count, 0);
    };
    setTimeout(count, 0);
    try {
      for await (const chunk of model.stream(null, { length: 1e9, signal: controller.signal })) characters += chunk.length;
    } catch (error) {
      return error.name;
    }
  });
  assert.equal(result, "AbortError");
});
