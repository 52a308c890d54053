// Compares a model with what Python makes of it: golden.test.mjs has the texts of all parameters. The same checks run in
// Node and in a browser, so they import nothing.

/** Throw an error unless two values are equal; numbers, up to a difference. */
function equal(found, expected, what, difference = 0) {
  const isEqual = difference
    ? found.length === expected.length && found.every((value, i) => Math.abs(value - expected[i]) <= difference)
    : JSON.stringify(found) === JSON.stringify(expected);
  if (!isEqual) {
    throw new Error(`${what}: ${JSON.stringify(found)} is not ${JSON.stringify(expected)}`);
  }
}

/** Compare a model with its case, and the name of its kernels. */
export async function checkModel(load, source, expected, kernels) {
  const model = await load(source);
  const { prompt } = expected;
  for (const [name, value] of Object.entries({ ...expected.info, kernels })) equal(model.info[name], value, name);
  equal(model.generate(null, { seed: 3 }), expected.default, "the text of the default prompt");
  let text = "";
  for await (const chunk of model.stream(prompt, { length: 400, temperature: 1, seed: 7 })) {
    text += chunk;
  }
  equal(text, expected.text, "the text");
  const generation = model.start(prompt, { seed: 1 });
  const next = generation.next({ k: 5 });
  equal(Array.from(generation.logits()), expected.logits, "the logits");
  equal(next.map(({ drawProbability }) => drawProbability), expected.top.map((entry) => entry.draw_probability), "the probabilities", 1e-12);
  equal(next.map(({ text, token }) => [text, token]), expected.top.map(({ text, token }) => [text, token]), "the most likely tokens");
  const [first, rest] = model.info.records === null ? ["b", "ad cab é"] : ["", "bad cab é"];
  const sum = (values) => [values.reduce((total, value) => total + value, 0)];
  equal(sum(model.start(first).surprise(rest)), sum(expected.surprise), "the surprise", 1e-9);
  const running = model.start(prompt, { seed: 11, temperature: 0.9 });
  equal([running.take(30), running.feed("cab"), running.take(30), running.finish()], expected.fed, "text around fed text");
  model.dispose();
}
