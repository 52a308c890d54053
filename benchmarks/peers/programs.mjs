// Programs that generate in Node: node programs.mjs PROGRAM MODEL FOLDER; see __main__.py. The folder has the packages.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { load } from "../../runtime/web/index.js";

const [program, path, folder] = process.argv.slice(2);
const [TEMPERATURE, ROUNDS] = [0.5, 5];
const model = await load(path);

/** Draw a token. */
function draw(logits) {
  const largest = Math.max(...logits);
  const weights = Array.from(logits, (logit) => Math.exp((logit - largest) / TEMPERATURE));
  let rest = Math.random() * weights.reduce((sum, weight) => sum + weight, 0);
  return weights.findIndex((weight) => (rest -= weight) < 0);
}

const PROGRAMS = {
  textgen: async () => {
    const generation = model.start("a", { seed: 7, temperature: TEMPERATURE });
    return [(length) => generation.take(length), 50_000, "../../../runtime/web"];
  },
  // One call of the session for each character.
  onnxruntime: async () => {
    const ort = createRequire(resolve(folder, "node_modules"))("onnxruntime-web");
    ort.env.wasm.numThreads = 1;
    const session = await ort.InferenceSession.create(readFileSync(path));
    let [token, state] = [0, {}];
    for (const { name, shape } of session.inputMetadata.filter((input) => input.name !== "token")) {
      const dimensions = [shape[0], 1, shape[2]];
      state[name] = new ort.Tensor("float32", new Float32Array(shape[0] * shape[2]), dimensions);
    }
    const generate = async (length) => {
      for (let i = 0; i < length; i += 1) {
        const output = await session.run({ token: new ort.Tensor("int64", [BigInt(token)], [1, 1]), ...state });
        state = { hidden: output.next_hidden, cell: output.next_cell };
        token = draw(output.logits.data);
      }
    };
    return [generate, 2_000, "node_modules/onnxruntime-web"];
  },
};

const [generate, characters, source] = await PROGRAMS[program]();
await generate(characters / 10);
const seconds = [];
for (let round = 0; round < ROUNDS; round += 1) {
  const start = performance.now();
  await generate(characters);
  seconds.push((performance.now() - start) / 1e3 / characters);
}
const { name, version } = JSON.parse(readFileSync(join(folder, source, "package.json"), "utf-8"));
const median = seconds.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)];
console.log(JSON.stringify({ seconds: median, version: `${name} ${version}` }));
