// examples/onnxruntime_node.mjs generates text with another engine.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { load } from "../../runtime/web/index.js";
import { FOLDER, content } from "./package-cases.mjs";

test("the example for onnxruntime-node writes a text of the vocabulary", async () => {
  // A copy in this folder, because Node searches packages from the folder of the program on.
  const program = "tests/web/node_modules/onnxruntime_node.mjs";
  copyFileSync("examples/onnxruntime_node.mjs", program);
  const { vocabulary } = (await load(content("tiny"))).info;
  const description = `${FOLDER}/tiny.json`;
  writeFileSync(description, JSON.stringify({ vocabulary }));
  const text = execFileSync(process.execPath, [program, `${FOLDER}/tiny.onnx`, description, "abc", "0.5"], { encoding: "utf-8" });
  assert.ok(text.startsWith("abc") && text.length >= 404);
  assert.ok(Array.from(text).every((character) => vocabulary.includes(character)));
});
