// How the texts of the page begin, without a browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { pageModules } from "./page-modules.mjs";

const { Beginning } = await pageModules("beginning.js");

test("an error says that a model writes only empty records, without the advice for a switch that is off", () => {
  const generation = { prompt: "", ended: true, dispose: () => {} };
  const info = { level: "character", records: "lines", vocabulary: ["a"] };
  const model = { info, normalize: (text) => text, start: () => generation };
  const view = { prompt: "", temperature: 1, settings: { keepsSeed: false, onlyNew: false } };
  const beginning = new Beginning(model, view, null, assert.fail);
  assert.throws(() => beginning.start(), { message: "All texts were empty: raise the temperature, or type a beginning." });
});
