// The same seed gives the text of tests/golden/cases.json: in any parts, copied, saved, and by C and Python too.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { after, test } from "node:test";
import { load } from "../../runtime/web/index.js";

const TESTS = new URL("../", import.meta.url);
const BUNDLED = new URL("../../runtime/textgen_runtime/bundled_models/", import.meta.url);
const CONSTRAINTS = ["match", "choices", "json_schema"];
const PART = 7;

const folder = mkdtempSync(`${tmpdir()}/textgen-`);
after(() => rmSync(folder, { recursive: true }));
const python = (...words) =>
  execFileSync(process.env.TEXTGEN_PYTHON ?? "python", ["-m", "tests.golden.exchange", folder, ...words], { encoding: "utf-8" });
python();

const cases = JSON.parse(readFileSync(new URL("golden/cases.json", TESTS), "utf-8")).map((one, number) => ({ ...one, number }));
const everywhere = cases.filter(({ engine, sampling }) => !engine && !sampling.resample);
const read = ({ number }, kind) => new Uint8Array(readFileSync(`${folder}/${number}.${kind}`));
const has = ({ number }, kind) => existsSync(`${folder}/${number}.${kind}`);

/** Return the model of a case, and what starts its text. */
async function prepare(one) {
  const { model: name, seed = "7", substream = 0, sampling, unknown = "error", novel } = one;
  const path = name.includes("/") ? new URL(name, TESTS) : new URL(`${name}.onnx`, BUNDLED);
  const model = await load(readFileSync(path), { novel });
  const match = has(one, "table") ? JSON.parse(new TextDecoder().decode(read(one, "table"))) : null;
  const named = Object.entries(sampling)
    .filter(([parameter]) => !CONSTRAINTS.includes(parameter))
    .map(([parameter, value]) => [parameter.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase()), value]);
  return { model, match, options: { ...Object.fromEntries(named), match, seed: BigInt(seed), substream, unknown } };
}

const isOver = ({ ending }) => ending !== null && ending !== "length";
const splitOf = ({ length }) => Math.floor(length / 3);

test("a text is what it was", async () => {
  for (const { name, prompt, length, text, ending, ...one } of everywhere) {
    const { model, options } = await prepare(one);
    const generation = model.start(prompt, options);
    assert.deepEqual([generation.take(length, { finish: true }), generation.ending], [text, ending], name);
    assert.equal(model.generate(prompt, { ...options, length }), text, name);
    const chunks = [];
    for await (const chunk of model.stream(prompt, { ...options, length })) {
      chunks.push(chunk);
    }
    assert.equal(chunks.join(""), text, name);
  }
});

test("a text in parts that are copied and saved is the same", async () => {
  for (const one of everywhere.filter(({ whole }) => !whole)) {
    const { model, match, options } = await prepare(one);
    let generation = model.start(one.prompt, options);
    let text = "";
    for (let left = one.length; left > 0 && !isOver(generation); left -= PART) {
      const saved = generation.save();
      const resumed = model.resume(saved, { match });
      assert.deepEqual([resumed.save(), resumed.prompt, resumed.seed], [saved, generation.prompt, generation.seed], one.name);
      generation = left % 2 ? resumed : generation.copy();
      text += generation.take(Math.min(PART, left), { finish: left <= PART });
    }
    assert.deepEqual([text, generation.ending], [one.text, one.ending], one.name);
  }
});

test("a text that Python, C or JavaScript saved continues in the others", async () => {
  const expected = {};
  for (const one of everywhere.filter((each) => has(each, "python"))) {
    const { model, match, options } = await prepare(one);
    const started = model.start(one.prompt, options);
    const first = started.take(splitOf(one));
    if (isOver(started)) continue;
    const rest = [one.text.slice(first.length), one.ending];
    for (const kind of ["python", "c"].filter((each) => has(one, each))) {
      const resumed = model.resume(read(one, kind), { match });
      assert.deepEqual([resumed.take(one.length - splitOf(one), { finish: true }), resumed.ending], rest, `${kind} ${one.name}`);
    }
    // JavaScript has the table of a constraint, but not its expression, which only a text that Python saved has. What C
    // saved has no description.
    const isOfC = has(one, "c") && one.number % 2 && !["logit_bias", "allowed", "banned", "max_copy"].some((name) => one.sampling[name]);
    const saved = match || isOfC ? model.resume(read(one, isOfC ? "c" : "python"), { match }) : started;
    writeFileSync(`${folder}/${one.number}.js`, saved.save());
    expected[one.number] = [rest, rest];
  }
  assert.deepEqual(JSON.parse(python("finish")), expected);
});
