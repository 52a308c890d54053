// Compares the package with Python. The same checks run in Node and in a browser, so they import nothing.

/** Throw an error unless two values are equal. */
function equal(found, expected, what) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  if (a !== b) {
    throw new Error(`${what}: ${a} is not ${b}`);
  }
}

/** Throw an error unless numbers are equal up to a difference. */
function near(found, expected, difference, what) {
  const isNear = found.length === expected.length && found.every((value, i) => Math.abs(value - expected[i]) <= difference);
  if (!isNear) {
    throw new Error(`${what}: ${found} is not ${expected}`);
  }
}

/** Return the characters that the texts of tokens have, with the sum of their values. */
const sum = (values) => values.reduce((total, value) => total + value, 0);

/** Compare a model with its case, and the name of its kernels. */
export async function checkModel(load, content, expected, kernels) {
  const model = await load(content, { novel: expected.novel });
  try {
    equal(model.info.kernels, kernels, "the kernels");
    equal(model.info.parameters, expected.parameters, "the number of weights");
    equal(model.info.bits, expected.bits, "the bits of a weight");
    equal(model.generate(null, { seed: 3 }), expected.default, "the text of the default prompt");
    for (const text of expected.texts) {
      await checkText(model, expected.prompt, text);
    }
    for (const constraint of expected.constraints) {
      const texts = constraint.texts.map((_, seed) =>
        model.generate(expected.prompt, { match: constraint.table, banned: constraint.banned, length: 12, temperature: 1, seed }),
      );
      equal(texts, constraint.texts, constraint.name);
    }
    checkPosition(model, expected);
  } finally {
    model.dispose();
  }
}

async function checkText(model, prompt, { name, options, seed, text, taken }) {
  const given = { ...options, seed: BigInt(seed) };
  equal(model.generate(prompt, { ...given, length: 400 }), text, name);
  let streamed = "";
  for await (const chunk of model.stream(prompt, { ...given, length: 400 })) {
    streamed += chunk;
  }
  equal(streamed, text, `${name}, streamed`);
  let generation = model.start(prompt, { ...given, substream: 2 });
  for (const [chunk, ending] of taken) {
    // A copy, and a saved and resumed generation, continue like the original.
    const copied = generation.copy();
    const resumed = model.resume(generation.save());
    for (const one of [generation, copied, resumed]) {
      equal([one.take(37), one.ending], [chunk, ending], `${name}, taken`);
    }
    generation.dispose();
    copied.dispose();
    generation = resumed;
  }
  generation.dispose();
}

function checkPosition(model, { prompt, logits, top, surprise, fed }) {
  const generation = model.start(prompt, { seed: 1 });
  equal(Array.from(generation.logits()), logits, "the logits");
  near(
    generation.next({ k: 5 }).map(({ drawProbability }) => drawProbability),
    top.map((entry) => entry.draw_probability),
    1e-12,
    "the probabilities",
  );
  equal(
    generation.next({ k: 5 }).map(({ text, token }) => [text, token]),
    top.map(({ text, token }) => [text, token]),
    "the most likely tokens",
  );
  const isRecords = model.info.records !== null;
  const scored = model.start(isRecords ? "" : "b").surprise(isRecords ? "bad cab é" : "ad cab é");
  near([sum(scored)], [sum(surprise)], 1e-9, "the surprise");
  const running = model.start(prompt, { seed: 11, temperature: 0.9 });
  equal([running.take(30), running.feed("cab"), running.take(30), running.finish()], fed, "text around fed text");
}
