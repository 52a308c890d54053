// Compare the JavaScript package with onnxruntime-web on one model file: size and speed, in Node and in Chromium.
//
//     node benchmarks/javascript/speed.mjs [MODEL] [ROUNDS]
//
// The programs take turns in each round. Each time is the median of the rounds, and the ratios are those of medians.

import { createServer } from "node:http";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { chromium } from "playwright-core";
import * as ort from "onnxruntime-web";
import { load } from "../../runtime/web/index.js";

const MODEL = process.argv[2] ?? "runtime/textgen_runtime/bundled_models/nietzsche-float32.onnx";
const ROUNDS = Number(process.argv[3] ?? 15);
const PROMPT = "the will to ";
const CHARACTERS = { textgen: 10_000, ort: 500 };
const ORT = dirname(createRequire(import.meta.url).resolve("onnxruntime-web"));

/** Return a function that generates text with the package. */
async function textgenProgram() {
  const model = await load(MODEL);
  const generation = model.start(PROMPT, { seed: 7, temperature: 0.5 });
  return () => generation.take(CHARACTERS.textgen);
}

/** Return a function that generates text with onnxruntime-web: one call of the session for each character. */
async function ortProgram() {
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(readFileSync(MODEL));
  const { vocabulary } = (await load(MODEL)).info;
  let state = {};
  for (const name of ["hidden", "cell"]) {
    const [layers, , units] = session.inputMetadata.find((input) => input.name === name).shape;
    state[name] = new ort.Tensor("float32", new Float32Array(layers * units), [layers, 1, units]);
  }
  let token = vocabulary.indexOf("t");
  return async () => {
    let text = "";
    for (let i = 0; i < CHARACTERS.ort; i += 1) {
      const output = await session.run({ token: new ort.Tensor("int64", [BigInt(token)], [1, 1]), ...state });
      state = { hidden: output.next_hidden, cell: output.next_cell };
      token = draw(output.logits.data, 0.5);
      text += vocabulary[token];
    }
    return text;
  };
}

/** Draw a token at a temperature. */
function draw(logits, temperature) {
  const largest = Math.max(...logits);
  const weights = Array.from(logits, (logit) => Math.exp((logit - largest) / temperature));
  let rest = Math.random() * weights.reduce((sum, weight) => sum + weight, 0);
  return weights.findIndex((weight) => (rest -= weight) < 0);
}

/**
 * Return a function that generates text with the package in a page of Chromium, one that closes it, and the name of
 * the kernels.
 */
async function pageProgram() {
  const server = createServer((request, response) => {
    const type = extname(request.url) === ".js" ? "text/javascript" : "text/html";
    const body = request.url === "/" ? `<link rel="icon" href="data:,">` : readFileSync(join(".", request.url));
    response.writeHead(200, { "content-type": type }).end(body);
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const kernels = await page.evaluate(
    async ([file, prompt]) => {
      const { load } = await import("/runtime/web/index.js");
      const model = await load(file);
      window.generation = model.start(prompt, { seed: 7, temperature: 0.5 });
      return model.info.kernels;
    },
    [`/${MODEL}`, PROMPT],
  );
  const run = () =>
    page.evaluate((length) => {
      const start = performance.now();
      window.generation.take(length);
      return performance.now() - start;
    }, CHARACTERS.textgen);
  return [run, () => Promise.all([browser.close(), server.close()]), kernels];
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const size = (path) => {
  const content = readFileSync(path);
  return `${content.length.toLocaleString("en")} bytes, ${gzipSync(content, { level: 9 }).length.toLocaleString("en")} with gzip`;
};

const textgen = await textgenProgram();
const onnxruntime = await ortProgram();
const [inPage, close, pageKernels] = await pageProgram();
/** Microseconds per character. */
const times = { textgen: [], page: [], ort: [] };
for (let round = 0; round < ROUNDS; round += 1) {
  let start = performance.now();
  textgen();
  times.textgen.push(((performance.now() - start) / CHARACTERS.textgen) * 1000);
  times.page.push(((await inPage()) / CHARACTERS.textgen) * 1000);
  start = performance.now();
  await onnxruntime();
  times.ort.push(((performance.now() - start) / CHARACTERS.ort) * 1000);
}
await close();

const { version } = JSON.parse(readFileSync(join(ORT, "../package.json"), "utf-8"));
const model = await load(MODEL);
console.log(`Node ${process.version}, onnxruntime-web ${version}, kernels ${model.info.kernels} (${pageKernels} in Chromium), ${model.info.units} units, ${ROUNDS} rounds`);
for (const [name, title] of [["textgen", "textgen-onnx in Node"], ["page", "textgen-onnx in Chromium"], ["ort", "onnxruntime-web in Node"]]) {
  const time = median(times[name]);
  const speed = Math.round(1e6 / time).toLocaleString("en");
  const ratio = (time / median(times.textgen)).toFixed(2);
  console.log(`${title.padEnd(26)} ${time.toFixed(2).padStart(9)} us per character ${speed.padStart(9)} characters/s ${ratio.padStart(8)}`);
}
for (const name of ["textgen.wasm", "textgen-relaxed.wasm"]) {
  console.log(`${name}: ${size(`runtime/web/${name}`)}`);
}
console.log(`ort-wasm-simd-threaded.wasm: ${size(join(ORT, "ort-wasm-simd-threaded.wasm"))}`);
