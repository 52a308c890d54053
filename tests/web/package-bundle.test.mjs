// A bundler: a program that reads its module as a file.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { after, test } from "node:test";
import { buildSync } from "esbuild";

const MODEL = resolve("runtime/textgen_runtime/bundled_models/nietzsche.onnx");

const folder = mkdtempSync(`${tmpdir()}/textgen-bundle-`);
after(() => rmSync(folder, { recursive: true }));

test("a bundle with the module beside it needs no package", () => {
  mkdirSync(`${folder}/node_modules`);
  symlinkSync(resolve("runtime/web"), `${folder}/node_modules/textgen-onnx`);
  writeFileSync(
    `${folder}/app.mjs`,
    `import { load } from "textgen-onnx/separate";
     const model = await load(${JSON.stringify(MODEL)});
     console.log(model.generate("the will to ", { length: 40, seed: 7 }).length);`,
  );
  buildSync({ entryPoints: [`${folder}/app.mjs`], bundle: true, format: "esm", outfile: `${folder}/dist/app.mjs`, logLevel: "error" });
  for (const name of ["textgen", "textgen-relaxed"]) cpSync(`runtime/web/${name}.wasm`, `${folder}/dist/${name}.wasm`);
  rmSync(`${folder}/node_modules`, { recursive: true });
  assert.equal(execFileSync("node", [`${folder}/dist/app.mjs`], { encoding: "utf-8" }), "40\n");
});
