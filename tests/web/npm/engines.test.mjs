// Node, Bun and Deno, as packages of the registry contain them, run the installed package.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Project } from "../packed.mjs";

const GOLDEN = readFileSync("tests/data/tiny_int8.txt", "utf-8");

const { platform, arch } = process;

/** For each engine its package, its program in it, its words before a file, and its kernels unless it has relaxed SIMD. */
const ENGINES = [
  ...[18, 20, 22, 24, 26].map((version) => ({
    name: `Node ${version}`,
    package: `node-${platform}-${arch}`,
    version: String(version),
    program: "bin/node",
    kernels: version > 20 ? "relaxed-simd" : "baseline",
  })),
  { name: "Bun", package: `@oven/bun-${platform}-${arch === "arm64" ? "aarch64" : arch}`, program: "bin/bun" },
  {
    name: "Deno",
    package: `@deno/${platform}-${arch}${platform === "linux" ? "-glibc" : ""}`,
    program: "deno",
    words: ["run", "--no-remote", "--allow-read"],
  },
];

const program = (entry) => `
  import { load } from "${entry}";
  const model = await load("model.onnx");
  const text = model.start("abc", { temperature: 1, seed: 7 }).take(400);
  console.log(JSON.stringify([model.info.kernels, text]));
`;

const COMMON_JS = `
  import("textgen-onnx").then(async ({ load }) => {
    const model = await load("model.onnx");
    console.log(JSON.stringify([model.info.kernels, model.start("abc", { temperature: 1, seed: 7 }).take(400)]));
  });
`;

const FILES = {
  "index.mjs": program("textgen-onnx"),
  "separate.mjs": program("textgen-onnx/separate"),
  "plain.mjs": program("textgen-onnx/plain"),
  "common.cjs": COMMON_JS,
};

for (const engine of ENGINES) {
  test(`${engine.name} generates the golden text with each entry point`, async (context) => {
    const project = new Project(`${engine.package}@${engine.version ?? "latest"}`);
    context.after(() => project.delete());
    context.diagnostic(`${engine.package} ${project.versionOf(engine.package)}`);
    project.copyModel("tiny_int8.onnx", "model.onnx");
    project.write(FILES);
    for (const file of Object.keys(FILES)) {
      const words = [...(engine.words ?? []), file];
      const [kernels, text] = JSON.parse(await project.run(join(project.folderOf(engine.package), engine.program), ...words));
      assert.equal(text, GOLDEN, file);
      assert.equal(kernels, file === "plain.mjs" ? "baseline" : (engine.kernels ?? "relaxed-simd"), file);
    }
  });
}
