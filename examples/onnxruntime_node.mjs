// Generates text with onnxruntime-node, an engine that runs any ONNX file.
//
//     textgen-info nietzsche --json > nietzsche.json
//     node onnxruntime_node.mjs nietzsche.onnx nietzsche.json "the will to " 0.5

import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-node";

const [model, description, prompt, temperature] = process.argv.slice(2);
const { vocabulary } = JSON.parse(readFileSync(description, "utf-8"));
const session = await ort.InferenceSession.create(model);

/** Draw the index of a logit. */
function draw(logits) {
  const largest = Math.max(...logits);
  const weights = Array.from(logits, (logit) => Math.exp((logit - largest) / Number(temperature)));
  let rest = Math.random() * weights.reduce((sum, weight) => sum + weight, 0);
  return weights.findIndex((weight) => (rest -= weight) < 0);
}

// Every input except the token is a part of the state, of the shape [layers, 1, units]. It starts at zero.
let state = {};
for (const { name, shape } of session.inputMetadata.filter((input) => input.name !== "token")) {
  const [layers, , units] = shape;
  state[name] = new ort.Tensor("float32", new Float32Array(layers * units), [layers, 1, units]);
}
const tokens = Array.from(prompt, (character) => vocabulary.indexOf(character));
let text = prompt;
for (let i = 0; text.length < prompt.length + 400; i++) {
  const token = new ort.Tensor("int64", [BigInt(tokens[i])], [1, 1]);
  const outputs = await session.run({ token, ...state });
  state = Object.fromEntries(Object.keys(state).map((name) => [name, outputs[`next_${name}`]]));
  if (i + 1 >= tokens.length) {
    tokens.push(draw(outputs.logits.data));
    text += vocabulary[tokens.at(-1)];
  }
}
console.log(text);
