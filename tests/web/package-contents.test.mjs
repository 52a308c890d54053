// What npm would publish.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

const WEB = "runtime/web";

const packed = () => JSON.parse(execFileSync("npm", ["pack", "--dry-run", "--json"], { cwd: WEB, encoding: "utf-8" }))[0];

test("the package contains the modules, their types and the license, and no sources of the module", () => {
  const lib = ["automata", "core", "decoder", "errors", "generation", "info", "loading", "model", "normalization"];
  const others = ["sampling", "saving", "scheduling", "sha256", "surprise", "vocabulary"];
  const expected = [
    ...["LICENSE", "README.md", "index.d.ts", "index.js", "package.json", "separate.js", "textgen.wasm", "wasm.js"],
    ...[...lib, ...others].map((name) => `lib/${name}.js`),
  ];
  assert.deepEqual(packed().files.map(({ path }) => path).sort(), expected.sort());
});

test("the module takes at most 30 KiB with gzip, and no file more than 150 KB", () => {
  assert.ok(gzipSync(readFileSync(`${WEB}/textgen.wasm`), { level: 9 }).length <= 30 * 1024);
  for (const { path, size } of packed().files) {
    assert.ok(size < 150_000, path);
  }
});

test("the module imports nothing", async () => {
  const module = await WebAssembly.compile(readFileSync(`${WEB}/textgen.wasm`));
  assert.deepEqual(WebAssembly.Module.imports(module), []);
});

test("the inlined module is the module, and the package has the license and the version of the project", async () => {
  const { default: base64 } = await import("../../runtime/web/wasm.js");
  assert.deepEqual(Buffer.from(base64, "base64"), readFileSync(`${WEB}/textgen.wasm`));
  assert.equal(readFileSync(`${WEB}/LICENSE`, "utf-8"), readFileSync("LICENSE", "utf-8"));
  const { version } = JSON.parse(readFileSync(`${WEB}/package.json`, "utf-8"));
  assert.ok(readFileSync("runtime/textgen_runtime/_version.py", "utf-8").includes(`"${version}"`));
});
