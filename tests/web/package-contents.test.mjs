// What npm would publish.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { FILES, readModule } from "./package-modules.mjs";

const WEB = "runtime/web";
const IN_NODE_18 = ["simd", "bulk-memory", "sign-ext", "nontrapping-float-to-int", "mutable-globals"].map((name) => `--enable-${name}`);

/** Run a tool of binaryen on a module. */
const run = (tool, kernels, ...options) =>
  execFileSync(`tests/web/node_modules/.bin/${tool}`, [`${WEB}/${FILES[kernels]}`, ...options], { encoding: "utf-8", maxBuffer: 2 ** 26, stdio: "pipe" });

test("the package contains the modules, their types and the license, and no sources of the module", () => {
  const [packed] = JSON.parse(execFileSync("npm", ["pack", "--dry-run", "--json"], { cwd: WEB, encoding: "utf-8" }));
  const expected = [
    ...["LICENSE", "README.md", "index.d.ts", "index.js", "learn.d.ts", "learn.js", "learner.js", "package.json", "plain.js", "separate.js"],
    ...["textgen.wasm", "textgen-relaxed.wasm", "wasm.js", "wasm-relaxed.js"],
    ...readdirSync(`${WEB}/lib`).map((name) => `lib/${name}`),
  ];
  assert.deepEqual(packed.files.map(({ path }) => path).sort(), expected.sort());
  assert.equal(readFileSync(`${WEB}/LICENSE`, "utf-8"), readFileSync("LICENSE", "utf-8"));
});

test("each module takes at most 31 KB with gzip", () => {
  for (const kernels of Object.keys(FILES)) assert.ok(gzipSync(readModule(kernels), { level: 9 }).length <= 31_000, kernels);
});

test("the modules have only features of Node 18, and one has relaxed multiply-adds of float32, so its draws have none", () => {
  const relaxed = (kernels) => new Set(run("wasm-dis", kernels, "--all-features").match(/\w+\.relaxed_\w+/g));
  assert.deepEqual(relaxed("baseline"), new Set());
  assert.deepEqual(relaxed("relaxed-simd"), new Set(["f32x4.relaxed_madd"]));
  run("wasm-opt", "baseline", "--mvp-features", ...IN_NODE_18);
  run("wasm-opt", "relaxed-simd", "--mvp-features", ...IN_NODE_18, "--enable-relaxed-simd");
});
