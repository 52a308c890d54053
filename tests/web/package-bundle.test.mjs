// A bundler: the commands of the documentation, and what a page loads.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";

const MODEL = resolve("runtime/textgen_runtime/bundled_models/nietzsche.onnx");

// The folder of a program that has installed the package and the bundler.
const folder = mkdtempSync(`${tmpdir()}/textgen-bundle-`);
mkdirSync(`${folder}/node_modules`);
symlinkSync(resolve("runtime/web"), `${folder}/node_modules/textgen-onnx`);
symlinkSync(resolve("tests/web/node_modules/.bin"), `${folder}/node_modules/.bin`);
writeFileSync(`${folder}/package.json`, '{ "type": "module" }');
after(() => rmSync(folder, { recursive: true }));

/** Run a command in this folder, and return its output. */
const run = (command, ...words) => execFileSync(command, words, { cwd: folder, encoding: "utf-8", stdio: "pipe" });

test("the commands of the documentation bundle a program that reads its module as a file", () => {
  writeFileSync(
    `${folder}/app.js`,
    `import { load } from "textgen-onnx/separate";
     const model = await load(${JSON.stringify(MODEL)});
     console.log(model.generate("the will to ", { length: 40, seed: 7 }).length);`,
  );
  const [, commands] = readFileSync("docs/javascript.md", "utf-8").match(/```sh\n(npx esbuild [^`]*)```/);
  run("sh", "-ec", commands);
  // The bundle needs no package.
  renameSync(`${folder}/node_modules`, `${folder}/elsewhere`);
  try {
    assert.equal(run("node", "dist/app.js"), "40\n");
  } finally {
    renameSync(`${folder}/elsewhere`, `${folder}/node_modules`);
  }
});

test("a page loads at most 55 KB with gzip, and 45 KB with the module as a file", () => {
  for (const [entry, module, most] of [
    ["textgen-onnx", /^wasm-relaxed-/, 55_000],
    ["textgen-onnx/separate", /^textgen-relaxed\.wasm$/, 45_000],
  ]) {
    rmSync(`${folder}/out`, { recursive: true, force: true });
    writeFileSync(`${folder}/page.js`, `import { load } from "${entry}"; globalThis.load = load;`);
    run("npx", "esbuild", "page.js", "--bundle", "--minify", "--splitting", "--format=esm", "--outdir=out");
    run("sh", "-c", "cp node_modules/textgen-onnx/*.wasm out/");
    const loaded = readdirSync(`${folder}/out`).filter((name) => name === "page.js" || module.test(name));
    assert.equal(loaded.length, 2);
    const sizes = loaded.map((name) => gzipSync(readFileSync(`${folder}/out/${name}`), { level: 9 }).length);
    const size = sizes[0] + sizes[1];
    assert.ok(size <= most, `${entry}: ${size} bytes`);
  }
});
