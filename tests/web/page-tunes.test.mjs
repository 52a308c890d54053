// The page of textgen-web with a model of tunes, and abcjs.

import assert from "node:assert/strict";
import { hashOf, pageTests } from "./browser.mjs";

const TUNE = { prompt: "", seed: 110, temperature: 0.5, length: 400 };

const onPage = pageTests();

onPage("a tune has a score", "tunes", async (visit, page) => {
  assert.match(await visit.text(), /^X:1\nT:Mullinagar Maid\n/);
  const score = page.getByRole("img", { name: "Sheet Music for \"Mullinagar Maid\"" });
  assert.ok(await score.isVisible());
  await page.evaluate(() => (document.getElementById("prompt").value = "No tune"));
  await page.evaluate(() => (location.hash = "#prompt=No+tune&seed=1&temperature=0&length=0"));
  await visit.complete();
  assert.ok(!(await score.isVisible()));
}, { hash: hashOf(TUNE) });

onPage("a press plays the notes of a tune, and another one stops them", "tunes", async (visit, page) => {
  await page.evaluate(() => {
    window.played = [];
    const node = window.OscillatorNode;
    window.OscillatorNode = class extends node {
      start(time) {
        window.played.push([this.frequency.value, time]);
        super.start(time);
      }
    };
  });
  await page.getByRole("button", { name: "Play", exact: true }).click();
  const played = await page.evaluate(() => window.played);
  // D, F sharp, E, F sharp, which are eighths: a bar of 6/8 takes a second.
  const times = played.slice(0, 4).map(([, time]) => time - played[0][1]);
  assert.deepEqual(played.slice(0, 4).map(([frequency]) => Math.round(frequency)), [294, 370, 330, 370]);
  assert.deepEqual(times.map((time) => Math.round(time * 6)), [0, 1, 2, 3]);
  // Both parts are repeated.
  const notes = (await visit.text()).split("\n").slice(5).join("").match(/[A-Ga-g]/g).length;
  assert.equal(played.length, 2 * notes);
  await page.waitForFunction(() => document.querySelector("#score .sounding"));
  await page.getByRole("button", { name: "Stop playing" }).click();
  assert.equal(await page.locator("#score .sounding").count(), 0);
  assert.ok(await page.getByRole("button", { name: "Play", exact: true }).isVisible());
}, { hash: hashOf(TUNE) });

onPage("the list shows the titles of tunes", "tunes", async (visit, page) => {
  const item = page.getByRole("region", { name: "Written so far" }).getByRole("listitem");
  assert.match(await item.getByRole("button").first().textContent(), /^X:1\s+T:Mullinagar Maid\s/);
}, { hash: hashOf(TUNE) });
