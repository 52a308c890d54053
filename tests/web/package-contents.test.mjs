// What npm would publish.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { COVERED, FILES, KERNELS, readModule } from "./package-modules.mjs";

const WEB = "runtime/web";

const [packed] = JSON.parse(execFileSync("npm", ["pack", "--dry-run", "--json"], { cwd: WEB, encoding: "utf-8" }));

test("the package contains the modules, their types and the license, and no sources of the module", () => {
  const expected = [
    ...["LICENSE", "README.md", "index.d.ts", "index.js", "package.json", "plain.js", "separate.js"],
    ...["textgen.wasm", "textgen-relaxed.wasm", "wasm.js", "wasm-relaxed.js"],
    ...readdirSync(`${WEB}/lib`).map((name) => `lib/${name}`),
  ];
  assert.deepEqual(packed.files.map(({ path }) => path).sort(), expected.sort());
});

test("each module takes at most 31 KB with gzip, and no file more than 150 KB", () => {
  for (const kernels of Object.keys(FILES)) {
    assert.ok(gzipSync(readModule(kernels), { level: 9 }).length <= 31_000, kernels);
  }
  for (const { path, size } of packed.files) {
    assert.ok(size < 150_000, path);
  }
});

test(`a module imports nothing; covers ${COVERED}`, async () => {
  for (const kernels of KERNELS) {
    const module = await WebAssembly.compile(readModule(kernels));
    assert.deepEqual(WebAssembly.Module.imports(module), [], kernels);
  }
});

test("the modules use only features of WebAssembly that Node 18 has, and one uses relaxed SIMD", () => {
  const validate = (kernels, ...features) =>
    execFileSync("tests/web/node_modules/.bin/wasm-opt", [`${WEB}/${FILES[kernels]}`, "--mvp-features", ...features], {
      stdio: "pipe",
    });
  const inNode18 = ["simd", "bulk-memory", "sign-ext", "nontrapping-float-to-int", "mutable-globals"].map((name) => `--enable-${name}`);
  validate("baseline", ...inNode18);
  validate("relaxed-simd", ...inNode18, "--enable-relaxed-simd");
  assert.throws(() => validate("relaxed-simd", ...inNode18), /relaxed/i);
});

test("the only relaxed instructions are float32 multiply-adds of one module, so its draws have none", () => {
  /** Return the relaxed instructions of each function that has some. */
  const relaxed = (kernels) => {
    const text = execFileSync("tests/web/node_modules/.bin/wasm-dis", ["--all-features", `${WEB}/${FILES[kernels]}`], {
      encoding: "utf-8",
      maxBuffer: 2 ** 26,
    });
    const functions = text.split(/^ \(func /m).map((code) => [...new Set(code.match(/\w+\.relaxed_\w+/g))].join());
    return functions.filter((instructions) => instructions);
  };
  assert.deepEqual(relaxed("baseline"), []);
  const found = relaxed("relaxed-simd");
  assert.deepEqual(new Set(found), new Set(["f32x4.relaxed_madd"]));
});

test("the inlined modules are the modules, and the package has the license and the version of the project", async () => {
  for (const [file, inlined] of [["textgen.wasm", "wasm.js"], ["textgen-relaxed.wasm", "wasm-relaxed.js"]]) {
    const { default: base64 } = await import(`../../runtime/web/${inlined}`);
    assert.deepEqual(Buffer.from(base64, "base64"), readFileSync(`${WEB}/${file}`));
  }
  assert.equal(readFileSync(`${WEB}/LICENSE`, "utf-8"), readFileSync("LICENSE", "utf-8"));
  const { version } = JSON.parse(readFileSync(`${WEB}/package.json`, "utf-8"));
  assert.ok(readFileSync("runtime/textgen_runtime/_version.py", "utf-8").includes(`"${version}"`));
});
