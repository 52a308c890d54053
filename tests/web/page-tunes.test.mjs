// The page of textgen-web with a model of tunes, and abcjs.

import assert from "node:assert/strict";
import { fileOf, hashOf, pageTests } from "./browser.mjs";

const TUNE = { prompt: "", seed: 110, temperature: 0.5, length: 400 };

// Notes of an eighth in a second, at the tempo of dancers. The model of the page "abc" knows all printable characters.
const RATES = [
  ["tunes", "C|", "", 6],
  ["tunes", "2/4", "", 3],
  ["tunes", "C", "", 6],
  ["tunes", "2/2", "Q:1/2=135\n", 9],
  ["abc", "2/2", 'Q:"fast"\n', 6],
];

const onPage = pageTests();

/** Return the address part of a page that shows just this text. */
function written(text) {
  return hashOf({ prompt: text, seed: 1, temperature: 0, length: 0 });
}

/** Let the page collect its contexts, and the frequency, the beginning and the end of each note. */
async function listen(page) {
  await page.evaluate(() => {
    Object.assign(window, { contexts: [], played: [], oscillators: [] });
    const [Context, Oscillator] = [window.AudioContext, window.OscillatorNode];
    window.AudioContext = class extends Context {
      constructor() {
        super();
        window.contexts.push(this);
      }
    };
    window.OscillatorNode = class extends Oscillator {
      constructor(...parameters) {
        super(...parameters);
        window.oscillators.push(this);
      }
      start(time) {
        this.from = time;
        super.start(time);
      }
      stop(time) {
        window.played.push([this.frequency.value, this.from, time]);
        super.stop(time);
      }
    };
  });
}

const play = (page) => page.getByRole("button", { name: "Play", exact: true });

/** Press Play, and return the notes, from the beginning of the first one. */
async function notesOf(page) {
  await play(page).click();
  const played = await page.evaluate(() => window.played);
  return played.map(([frequency, from, to]) => [Math.round(frequency), from - played[0][1], to - played[0][1]]);
}

/** Whether the score is shown. */
const isShown = (page) => page.locator("#score").isVisible();

onPage("a tune has a score, and no other text has one", "tunes", async (visit, page) => {
  assert.match(await visit.text(), /^X:1\nT:Mullinagar Maid\n/);
  assert.ok(await page.getByRole("img", { name: 'Sheet Music for "Mullinagar Maid"' }).isVisible());
  // The last two are a header without notes, and a text that abcjs cannot read.
  for (const text of ["No tune", "K:D\nabc|", "X:1\nabc|", "X:1\nK:D\n", "X:1\nK:D\n:|abc|"]) {
    await visit.open(fileOf("tunes") + written(text));
    assert.ok(!(await isShown(page)), text);
    await visit.open(fileOf("tunes") + hashOf(TUNE));
    assert.ok(await isShown(page));
  }
}, { hash: hashOf(TUNE) });

onPage("a press plays the notes of a tune, and another one stops them", "tunes", async (visit, page) => {
  await listen(page);
  const played = await notesOf(page);
  // D, F sharp, E, F sharp, which are eighths: a bar of 6/8 takes a second.
  assert.deepEqual(played.slice(0, 4).map(([frequency]) => frequency), [294, 370, 330, 370]);
  for (const [i, [, from, to]] of played.slice(0, 4).entries()) {
    assert.deepEqual([Math.round(from * 600), Math.round(to * 600)], [100 * i, 100 * i + 100]);
  }
  // Both parts are repeated.
  const notes = (await visit.text()).split("\n").slice(5).join("").match(/[A-Ga-g]/g).length;
  assert.equal(played.length, 2 * notes);
  await page.waitForFunction(() => document.querySelector("#score .sounding"));
  await page.getByRole("button", { name: "Stop playing" }).click();
  assert.equal(await page.locator("#score .sounding").count(), 0);
  await page.waitForFunction(() => window.contexts[0].state === "closed");
  await play(page).click();
  await page.waitForFunction(() => document.querySelector("#score .sounding"));
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => window.contexts[1].state === "closed");
}, { hash: hashOf(TUNE) });

onPage("a tune that plays stops at its end, and when the next text begins", "tunes", async (visit, page) => {
  await listen(page);
  await play(page).click();
  await page.evaluate(() => window.oscillators.at(-1).dispatchEvent(new Event("ended")));
  await page.waitForFunction(() => window.contexts[0].state === "closed");
  await play(page).click();
  await visit.write();
  await page.waitForFunction(() => window.contexts[1].state === "closed");
}, { hash: hashOf(TUNE) });

for (const [site, meter, tempo, rate] of RATES) {
  const name = `an eighth of the meter ${meter} takes 1/${rate} s${tempo && ` with ${tempo.trim()}`}`;
  onPage(name, site, async (visit, page) => {
    await listen(page);
    const [, [, from]] = await notesOf(page);
    assert.equal(Math.round(1 / from), rate);
  }, { hash: written(`X:1\nM:${meter}\nL:1/8\n${tempo}K:D\nabc`) });
}

onPage("a tune whose bars have no length has no score", "abc", async (visit, page) => {
  assert.ok(!(await isShown(page)));
  await visit.open(fileOf("abc") + written("X:1\nM:4/4\nK:D\nabc"));
  assert.ok(await isShown(page));
}, { hash: written("X:1\nM:0/4\nK:D\nabc") });

onPage("the last note of several voices ends a tune", "tunes", async (visit, page) => {
  await listen(page);
  const ends = (await notesOf(page)).map(([, , to]) => to);
  assert.equal(ends.length, 6);
  assert.equal(ends.at(-1), Math.max(...ends));
}, { hash: written("X:1\nM:C\nL:1/8\nK:D\nV:1\nabcd\nV:2\nab") });

onPage("a score fits a narrow screen", "tunes", async (visit, page) => {
  const { width, height } = await page.locator("#score svg").boundingBox();
  assert.ok(width <= 390 && height > width);
}, { hash: hashOf(TUNE), context: { viewport: { width: 390, height: 800 } } });

onPage("the list shows the titles of tunes", "tunes", async (visit, page) => {
  const item = page.getByRole("region", { name: "Written so far" }).getByRole("listitem");
  assert.match(await item.getByRole("button").first().textContent(), /^X:1\s+T:Mullinagar Maid\s/);
}, { hash: hashOf(TUNE) });

onPage("a melody and a chord of four notes are not too loud", "abc", async (_, page) => {
  await page.evaluate(() => {
    window.AudioContext = class extends OfflineAudioContext {
      constructor() {
        super(1, 44100, 44100);
      }
      async resume() {
        const samples = (await this.startRendering()).getChannelData(0);
        window.peak = samples.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0);
      }
      close() {}
    };
  });
  await play(page).click();
  const peak = await (await page.waitForFunction(() => window.peak)).jsonValue();
  assert.ok(peak > 0.5 && peak <= 1, String(peak));
}, { hash: written('X:1\nL:1/1\nK:C\n"C7"c|') });
