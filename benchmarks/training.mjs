// A trainer as WebAssembly for benchmarks/training.py: it makes as many updates as each line of standard input says.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Trainer } from "../runtime/web/lib/trainer.js";

const [preset, module] = process.argv.slice(2);
let random = 1;
const symbol = () => String.fromCharCode(65 + ((random = Math.imul(random, 1664525) + 1013904223) >>> 8) % 57);
const text = Array.from({ length: 100_000 }, symbol).join("");
const compiled = new WebAssembly.Module(readFileSync(new URL(`../runtime/web/${module}`, import.meta.url)));
const trainer = new Trainer(new WebAssembly.Instance(compiled), text, { preset });
for await (const line of createInterface(process.stdin)) {
  for (let i = 0; i < Number(line); i += 1) {
    trainer.update(0.5);
  }
  console.log(line);
}
