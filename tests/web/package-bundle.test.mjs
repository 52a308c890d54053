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

/** The bytes of files with gzip, by a file and its content. */
const gzipped = (...files) => files.map((file) => gzipSync(readFileSync(file), { level: 9 }).length).reduce((a, b) => a + b);

/** Bundle a page that imports an entry point, and return the files of the bundle. */
function bundle(entry, ...options) {
  rmSync(`${folder}/out`, { recursive: true, force: true });
  writeFileSync(`${folder}/page.js`, `import { load } from "${entry}"; globalThis.load = load;`);
  run("node_modules/.bin/esbuild", "page.js", "--bundle", "--minify", "--format=esm", "--outdir=out", ...options);
  return readdirSync(`${folder}/out`).map((name) => `${folder}/out/${name}`);
}

test("the sizes that the README and the documentation state are those of what a page loads", () => {
  const WEB = "runtime/web";
  const inlined = gzipped(`${WEB}/wasm-relaxed.js`);
  const both = inlined + gzipped(`${WEB}/wasm.js`);
  const split = bundle("textgen-onnx", "--splitting").filter((file) => /page|wasm-relaxed-/.test(file));
  assert.equal(split.length, 2);
  const modules = readdirSync(`${WEB}/lib`).map((name) => `${WEB}/lib/${name}`);
  // The bytes of the WebAssembly module, and of all.
  const measured = [
    [inlined, gzipped(...split)],
    [both, gzipped(...bundle("textgen-onnx"))],
    [gzipped(`${WEB}/textgen-relaxed.wasm`), gzipped(`${WEB}/textgen-relaxed.wasm`, ...bundle("textgen-onnx/separate"))],
    [gzipped(`${WEB}/wasm.js`), gzipped(...bundle("textgen-onnx/plain"))],
    [inlined, gzipped(`${WEB}/index.js`, ...modules) + inlined],
  ];
  for (const document of [`${WEB}/README.md`, "docs/javascript.md"]) {
    const rows = [...readFileSync(document, "utf-8").matchAll(/^\| .* \| (\d+) KB[^|]* \| (\d+) KB \| (\d+) KB \|$/gm)];
    const stated = rows.map(([, ...numbers]) => numbers.map(Number));
    const differences = measured.map(([module, all], row) =>
      [module, all - module, all].map((bytes, column) => bytes / 1000 - stated[row][column]),
    );
    assert.equal(stated.length, measured.length);
    assert.ok(differences.flat().every((difference) => Math.abs(difference) < 1), `${document}: ${JSON.stringify(measured)}`);
  }
});
