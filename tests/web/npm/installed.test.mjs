// Engines and bundlers of the registry, in their latest versions, run the package as npm packs and installs it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { BROWSER, serve } from "../server.mjs";

const GOLDEN = readFileSync("tests/data/tiny_int8.txt", "utf-8");
const { platform, arch } = process;
const ENTRIES = ["textgen-onnx", "textgen-onnx/separate", "textgen-onnx/plain"];
const GENERATE = `async (load, source) => {
  const model = await load(source);
  return [model.info.kernels, model.start("abc", { temperature: 1, seed: 7 }).take(400)];
}`;

/** Install packages in a new project, which is deleted after the test, and return its folder. */
function install(context, packages, files) {
  const folder = mkdtempSync(join(tmpdir(), "textgen-npm-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const [{ filename }] = JSON.parse(execFileSync("npm", ["pack", "--json", "--pack-destination", folder], { cwd: "runtime/web", encoding: "utf-8" }));
  for (const [name, text] of Object.entries({ "package.json": '{ "private": true, "type": "module" }', ...files })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  cpSync("tests/data/tiny_int8.onnx", join(folder, "model.onnx"));
  execFileSync("npm", ["install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", `./${filename}`, ...packages], { cwd: folder, stdio: "pipe" });
  const { dependencies } = JSON.parse(execFileSync("npm", ["ls", "--json"], { cwd: folder, encoding: "utf-8" }));
  context.diagnostic(Object.entries(dependencies).map(([name, { version }]) => `${name} ${version}`).join(", "));
  return folder;
}

/** By the package of each engine: its program, its words before a file, and its kernels. */
for (const [name, program, words = [], kernels = "relaxed-simd"] of [
  ...[18, 20, 22, 24, 26].map((version) => [`node-${platform}-${arch}@${version}`, "bin/node", [], version > 20 ? undefined : "baseline"]),
  [`@oven/bun-${platform}-${arch === "arm64" ? "aarch64" : arch}`, "bin/bun"],
  [`@deno/${platform}-${arch}${platform === "linux" ? "-glibc" : ""}`, "deno", ["run", "--no-remote", "--allow-read"]],
]) {
  test(`${name} generates the golden text with each entry point`, (context) => {
    const files = ENTRIES.map((entry) => `import { load } from "${entry}"; console.log(JSON.stringify(await (${GENERATE})(load, "model.onnx")));`);
    const folder = install(context, [name], Object.fromEntries(files.map((text, i) => [`${i}.mjs`, text])));
    for (const [i, entry] of ENTRIES.entries()) {
      const path = join(folder, "node_modules", name.replace(/(.)@.*/, "$1"), program);
      const found = JSON.parse(execFileSync(path, [...words, `${i}.mjs`], { cwd: folder, encoding: "utf-8" }));
      assert.deepEqual(found, [entry.endsWith("plain") ? "baseline" : kernels, GOLDEN], entry);
    }
  });
}

let browser;
before(async () => (browser = await chromium.launch(BROWSER)));
after(() => browser.close());

const PAGE = `
  ${ENTRIES.map((entry, i) => `import { load as load${i} } from "${entry}";`).join("\n")}
  const generate = ${GENERATE};
  const inWorker = new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage(new URL("model.onnx", location.href).href);
  });
  globalThis.texts = Promise.all([...[load0, load1, load2].map((load) => generate(load, "model.onnx")), inWorker]);
`;
const WORKER = `import { load } from "textgen-onnx"; onmessage = async ({ data }) => postMessage(await (${GENERATE})(load, data));`;
const COPY = "cp node_modules/textgen-onnx/*.wasm dist/";
const html = (script) => `<!doctype html><title>Bundle</title><script type="module" src="${script}"></script>`;

/** By the packages of each bundler: its files, and its command, which writes the folder dist. */
for (const [packages, files, command] of [
  [["esbuild"], { "dist/index.html": html("page.js") }, `esbuild page.js worker.js --bundle --splitting --format=esm --outdir=dist && ${COPY}`],
  [["rollup", "@rollup/plugin-node-resolve"], { "dist/index.html": html("page.js") }, `rollup page.js worker.js --plugin node-resolve --format es --dir dist && ${COPY}`],
  [["vite"], { "index.html": html("./page.js") }, "vite build --base=./"],
  [["vite@7"], { "index.html": html("./page.js"), "vite.config.js": 'export default { worker: { format: "es" } };' }, "vite build --base=./"],
  [["webpack", "webpack-cli"], { "dist/index.html": html("main.js") }, "webpack ./page.js --mode production"],
]) {
  test(`a bundle of ${packages[0]} generates the golden text with each entry point, and in a worker`, async (context) => {
    const folder = install(context, packages, { "page.js": PAGE, "worker.js": WORKER, ...files });
    execFileSync("sh", ["-ec", command], { cwd: folder, stdio: "pipe", env: { ...process.env, PATH: `${folder}/node_modules/.bin:${process.env.PATH}` } });
    cpSync(join(folder, "model.onnx"), join(folder, "dist/model.onnx"));
    const site = await serve({ site: join(folder, "dist") });
    context.after(() => site.close());
    const page = await browser.newPage();
    await page.goto(`${site.origin}/site/index.html`);
    await page.waitForFunction(() => globalThis.texts);
    const found = await page.evaluate(() => globalThis.texts.catch((error) => error.stack));
    const expected = ["relaxed-simd", "relaxed-simd", "baseline", "relaxed-simd"];
    assert.deepEqual(found, expected.map((kernels) => [kernels, GOLDEN]));
  });
}
