// A program in TypeScript: the compiler checks it against index.d.ts.

import { load, TextgenError, type Generation, type Options } from "textgen-onnx";
import { learn, quantize, type Evaluation, type Learning } from "textgen-onnx/learn";
import { load as loadPlain } from "textgen-onnx/plain";
import { load as loadSeparate } from "textgen-onnx/separate";

const options: Options = { temperature: 0.5, seed: 7n, stop: ["a", "b"], match: null };
const model = await load(new URL("model.onnx", "http://localhost"), { novel: "abc" });
// The entry points have the same types.
[loadPlain, loadSeparate] satisfies (typeof load)[];
const text: string = model.generate("the will to ", options);
for await (const chunk of model.stream(null, { length: 10, signal: AbortSignal.timeout(1) })) {
  console.log(chunk.length + text.length);
}
const generation: Generation = model.start();
const best: { text: string; probability: number } | undefined = generation.next({ k: 3 })[0];
const nats: number[] = generation.surprise("abc");
const resumed: Generation = model.resume(generation.save(), { match: null });
const letters = ["a", "b"] as const;
const table = { states: [{ accepting: true, next: { a: 0 } }] } as const;
model.generate("abc", { stop: letters, allowed: letters, banned: letters, logitBias: { a: 1 } as const });
model.generate("abc", { match: table, maxCopy: 30 });
// TypeScript gives each element of such a list the properties of all, as in an imported JSON file.
const states = [{ accepting: false, next: { a: 1 } }, { accepting: true, next: { b: 0 } }];
model.generate("abc", { match: { states } });
// @ts-expect-error The options have no such name.
model.generate("abc", { temprature: 1 });
// @ts-expect-error A generation is no text.
resumed satisfies string;
console.log(best, nats, new TextgenError("CODE", "message", "topK").parameter, model.info.vocabulary.length);
const run: Learning = await learn("text", { records: "lines", minutes: 1, values: { units: 32 }, onProgress: ({ loss }) => console.log(loss) });
const result: Evaluation | null = (await run.finished).best;
if (result?.model) await load(await quantize(result.model));
await learn("text", { saved: await run.save(), from: result?.model ?? null });
// @ts-expect-error The options have no such size.
await learn("text", { preset: "huge" });
