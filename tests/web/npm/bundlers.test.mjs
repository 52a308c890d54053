// Bundlers of the registry bundle a page and a worker that import the installed package. Chromium runs them.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { BROWSER, Project } from "../packed.mjs";
import { serve } from "../server.mjs";

const GOLDEN = readFileSync("tests/data/tiny_int8.txt", "utf-8");

const PAGE = `
  import { load } from "textgen-onnx";
  import { load as loadSeparate } from "textgen-onnx/separate";
  import { load as loadPlain } from "textgen-onnx/plain";

  async function generate(load) {
    const model = await load("model.onnx");
    return [model.info.kernels, model.start("abc", { temperature: 1, seed: 7 }).take(400)];
  }

  const inWorker = () =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
      worker.postMessage(new URL("model.onnx", location.href).href);
    });

  globalThis.texts = Promise.all([generate(load), generate(loadSeparate), generate(loadPlain), inWorker()]);
`;

const WORKER = `
  import { load } from "textgen-onnx";
  onmessage = async ({ data: address }) => {
    const model = await load(address);
    postMessage([model.info.kernels, model.start("abc", { temperature: 1, seed: 7 }).take(400)]);
  };
`;

const html = (script) => `<!doctype html><title>Bundle</title><script type="module" src="${script}"></script>`;

const COPY_MODULES = "cp node_modules/textgen-onnx/*.wasm dist/";

/** For each bundler its package, others that it needs, its files, and its commands, which write the folder dist. */
const BUNDLERS = [
  {
    name: "esbuild",
    files: { "dist/index.html": html("page.js") },
    commands: ["esbuild page.js worker.js --bundle --minify --splitting --format=esm --outdir=dist", COPY_MODULES],
  },
  {
    name: "rollup",
    others: ["@rollup/plugin-node-resolve"],
    files: { "dist/index.html": html("page.js") },
    commands: ["rollup page.js worker.js --plugin node-resolve --format es --dir dist", COPY_MODULES],
  },
  { name: "vite", files: { "index.html": html("./page.js") }, commands: ["vite build --base=./"] },
  {
    name: "vite",
    version: "7",
    files: { "index.html": html("./page.js"), "vite.config.js": 'export default { worker: { format: "es" } };' },
    commands: ["vite build --base=./"],
  },
  {
    name: "webpack",
    others: ["webpack-cli"],
    files: { "dist/index.html": html("main.js") },
    commands: ["webpack ./page.js --mode production"],
  },
];

let browser;
before(async () => (browser = await chromium.launch(BROWSER)));
after(() => browser.close());

/** Return what the page of a folder generates, or its error. */
async function generated(folder) {
  const site = await serve({ site: folder });
  const page = await browser.newPage();
  try {
    await page.goto(`${site.origin}/site/index.html`);
    await page.waitForFunction(() => globalThis.texts);
    return await page.evaluate(() => globalThis.texts.catch((error) => error.stack));
  } finally {
    await page.close();
    site.close();
  }
}

for (const { name, version = "latest", others = [], files, commands } of BUNDLERS) {
  test(`a bundle of ${name}@${version} generates the golden text with each entry point, and in a worker`, async (context) => {
    const project = new Project(`${name}@${version}`, ...others);
    context.after(() => project.delete());
    context.diagnostic(`${name} ${project.versionOf(name)}`);
    project.write({ "page.js": PAGE, "worker.js": WORKER, ...files });
    for (const command of commands) {
      await project.run("sh", "-c", command);
    }
    project.copyModel("tiny_int8.onnx", "dist/model.onnx");
    const [index, separate, plain, worker] = await generated(`${project.folder}/dist`);
    assert.deepEqual(index, ["relaxed-simd", GOLDEN]);
    assert.deepEqual(separate, ["relaxed-simd", GOLDEN]);
    assert.deepEqual(plain, ["baseline", GOLDEN]);
    assert.deepEqual(worker, ["relaxed-simd", GOLDEN]);
  });
}
