// A program in TypeScript: the compiler checks it against index.d.ts.

import { load, TextgenError, type Generation, type Options } from "../../runtime/web/index.js";

const options: Options = { temperature: 0.5, seed: 7n, stop: ["a", "b"], match: null };
const model = await load(new URL("model.onnx", "http://localhost"));
const text: string = model.generate("the will to ", options);
for await (const chunk of model.stream(null, { length: 10, signal: AbortSignal.timeout(1) })) {
  console.log(chunk.length + text.length);
}
const generation: Generation = model.start();
const best: { text: string; probability: number } | undefined = generation.next({ k: 3 })[0];
const nats: number[] = generation.surprise("abc");
const resumed: Generation = model.resume(generation.save());
// @ts-expect-error The options have no such name.
model.generate("abc", { temprature: 1 });
// @ts-expect-error A generation is no text.
resumed satisfies string;
console.log(best, nats, new TextgenError("CODE", "message").code, model.info.vocabulary.length);
