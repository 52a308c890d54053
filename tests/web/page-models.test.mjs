// The page of textgen-web with models of records, of bytes, of tunes and in other scripts, and with what goes wrong.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname } from "node:path";
import { load } from "../../runtime/web/index.js";
import { COLD, SITES, TUNE, Visit, expected, given, hashOf, pageTests, records } from "./browser.mjs";
import { content } from "./package-cases.mjs";

const sum = (values) => values.reduce((total, value) => total + value, 0);

const onPage = pageTests();

onPage("records of each level are those of textgen-run, can be ended, and continued after their end", "character", async (visit, page) => {
  for (const level of ["character", "byte", "word"]) {
    for (const [seed, text] of expected.records[level].entries()) {
      await visit.open(level, hashOf({ prompt: "", seed, temperature: 0.8, length: 10_000 }));
      assert.equal(await visit.text(), text);
    }
  }
  assert.ok((await visit.bars()).some(({ name }) => /^\u2423?[a-z]{2,}$/.test(name)));
  await visit.open("character", hashOf({ prompt: "a", seed: 3, temperature: 1, length: 10_000 }));
  const whole = await visit.text();
  assert.ok(whole.length > 2);
  await visit.set({ position: "1" });
  await page.getByRole("button", { name: /^end / }).click();
  await visit.complete();
  assert.equal(await visit.text(), whole.slice(0, 1));
  assert.ok(await visit.button("Continue").isDisabled());
  assert.deepEqual((await visit.bars()).filter(({ isTaken }) => isTaken).map(({ name }) => name), ["end"]);
  const link = await visit.hash();
  await page.locator("#candidates button:not([aria-current])").first().click();
  await visit.complete();
  assert.ok((await visit.text()).length > 1);
  await visit.open("character", link);
  assert.equal(await visit.text(), whole.slice(0, 1));
  // An empty record is not listed.
  await visit.open("character", hashOf({ prompt: "", seed: 10, temperature: 0.8, length: 10_000 }));
  assert.deepEqual([await visit.text(), await visit.read("context")], ["", "at the beginning"]);
  assert.ok(!(await records(page).allTextContents()).includes(""));
});

/** Write a list, call a function of the page when it has so many records, and wait for its end. */
async function duringList(visit, count, action = () => {}) {
  const watch = (wanted, act) => {
    const shelf = document.querySelector("#shelf ol");
    const observer = new MutationObserver(() => {
      if (shelf.childElementCount < wanted) return;
      observer.disconnect();
      act();
    });
    observer.observe(shelf, { childList: true });
  };
  await visit.page.evaluate(`(${watch})(${count}, ${action})`);
  await visit.button("Write 20").click();
  await visit.page.waitForFunction((wanted) => document.querySelectorAll("#shelf li").length >= wanted, count);
  await visit.complete();
}

onPage("a list of records is one entry of the history, and what ends it can be undone", "character", async (visit, page) => {
  for (const [count, action, listed, problem] of [
    [21, () => {}, 21],
    [6, () => document.querySelector("#candidates button:not([aria-current])").click(), 7],
    [6, () => document.querySelector("#shelf li button").click(), 6],
    [6, () => (location.hash = window.opened, dispatchEvent(new HashChangeEvent("hashchange"))), 6],
    [6, () => (location.hash = "", dispatchEvent(new HashChangeEvent("hashchange"))), 21],
    [18, () => { document.getElementById("seed").value = "x"; document.getElementById("keep").checked = true; }, 18, /^The seed must be/],
  ]) {
    await page.evaluate(() => sessionStorage.clear());
    await visit.open("character");
    await visit.press("Write");
    const before = await visit.hash();
    await page.evaluate(() => {
      window.opened = location.hash;
      window.changes = 0;
      for (const name of ["pushState", "replaceState"]) {
        const change = history[name].bind(history);
        history[name] = (...values) => { window.changes += 1; change(...values); };
      }
    });
    await duringList(visit, count, action);
    await page.waitForFunction((wanted) => document.querySelectorAll("#shelf li").length >= wanted, listed);
    await visit.complete();
    assert.ok(Math.abs((await records(page).count()) - listed) <= 1, String(action));
    assert.equal(await page.getByRole("alert").isVisible(), Boolean(problem));
    assert.ok((await page.evaluate(() => window.changes)) <= 4);
    const [text, link] = [await visit.text(), await visit.hash()];
    if (count === 21) {
      await visit.button("Undo").click();
      await page.waitForFunction((hash) => location.hash === hash, before);
      await visit.complete();
    }
    await visit.open("character", link);
    assert.equal(await visit.text(), text, String(action));
  }
});

for (const beginning of ["", "a\u2603"]) {
  onPage(`a page with known records writes only new ones after "${beginning}", unless the switch is off`, "known", async (visit, page) => {
    const known = new Set(expected.known);
    const onlyNew = page.getByRole("checkbox", { name: "Only new" });
    await visit.set({ prompt: beginning });
    const write = async (count) => {
      const texts = [];
      for (let i = 0; i < count; i += 1) {
        await visit.press("Write");
        texts.push((await page.locator(".prompt").textContent()) + (await visit.text()));
      }
      assert.ok(texts.every(Boolean));
      return texts;
    };
    assert.match(await page.locator("label", { has: onlyNew }).innerText(), new RegExp(`${known.size.toLocaleString("en")} known`));
    const texts = await write(20);
    await visit.reload();
    assert.ok(await onlyNew.isChecked());
    await visit.set({ prompt: beginning });
    texts.push(...(await write(20)));
    assert.deepEqual(texts.filter((text) => known.has(text)), []);
    assert.equal(new Set(texts).size, 40);
    await onlyNew.uncheck();
    assert.ok((await write(20)).some((text) => known.has(text)));
    await onlyNew.check();
    await visit.set({ temperature: "0" });
    await visit.button("Write").click();
    await page.getByRole("alert").waitFor();
  });
}

onPage("a bar of a model of bytes is a character, by the product of the probabilities of its bytes", "accented", async (visit) => {
  const model = await load(content("accented"));
  for (const prompt of ["a", "\u00e9\u20ac", "ccc"]) {
    await visit.open("accented", given(prompt));
    const generation = model.start(prompt);
    const characters = Array.from({ length: 0x800 }, (_, code) => String.fromCharCode(code)).concat("\u20ac", "\ufeff");
    const likely = characters.map((text) => ({ text, mark: 100 * Math.exp(-sum(generation.surprise(text))) }));
    likely.sort((a, b) => b.mark - a.mark);
    const bars = (await visit.bars()).filter(({ name }) => !/^\\x|^\ufffd/.test(name));
    assert.ok(bars.some(({ name }) => name > "\u007f"));
    bars.forEach(({ mark }, i) => assert.ok(Math.abs(mark - likely[i].mark) < 1e-3));
  }
  await visit.open("accented", hashOf({ prompt: "abc", seed: 1, temperature: 1, length: 40 }));
  await visit.set({ position: "0" });
  await visit.page.getByRole("button", { name: /^é / }).click();
  await visit.complete();
  const text = await visit.text();
  const link = await visit.hash();
  // The character counts as two tokens.
  assert.equal(text, `é${model.generate("abcé", { seed: 2, temperature: 1, length: 98 })}`);
  await visit.set({ position: "0" });
  assert.deepEqual((await visit.bars()).filter(({ isTaken }) => isTaken).map(({ name }) => name), ["é"]);
  await visit.open("accented", link);
  assert.equal(await visit.text(), text);
});

onPage("a text of letters from right to left has that direction", "hebrew", async (visit, page) => {
  await visit.press("Write");
  const [second, first] = await page.evaluate(() => [1, 0].map((index) => {
    const range = document.createRange();
    range.setStart(document.querySelector("#text .prompt").firstChild, index);
    range.setEnd(document.querySelector("#text .prompt").firstChild, index + 1);
    return range.getBoundingClientRect().left;
  }));
  assert.ok(second < first);
  const letter = (await visit.text()).search(/[\u05d0-\u05ea]/);
  await visit.clickCharacter(letter);
  assert.equal(await page.getByLabel("Position").inputValue(), String(letter));
});

onPage("a tune has a score, whose notes are played at their tempo, and no other text has one", "tunes", async (visit, page) => {
  const listen = () => page.evaluate(() => {
    Object.assign(window, { contexts: [], played: [], oscillators: [] });
    const [Context, Oscillator] = [window.AudioContext, window.OscillatorNode];
    window.AudioContext = class extends Context {
      constructor() {
        super();
        window.contexts.push(this);
      }
    };
    window.OscillatorNode = class extends Oscillator {
      start(time) {
        window.oscillators.push(this);
        this.from = time;
        super.start(time);
      }
      stop(time) {
        window.played.push([this.frequency.value, this.from, time]);
        super.stop(time);
      }
    };
  });
  const isClosed = (i) => page.waitForFunction((index) => window.contexts[index].state === "closed", i);
  const play = async () => {
    await listen();
    await visit.button("Play").click();
    const played = await page.evaluate(() => window.played);
    return played.map(([frequency, from, to]) => [Math.round(frequency), from - played[0][1], to - played[0][1]]);
  };
  assert.ok(await page.getByRole("img", { name: 'Sheet Music for "Mullinagar Maid"' }).isVisible());
  const played = await play();
  // D, F sharp, E, F sharp, which are eighths: a bar of 6/8 takes a second. Both parts are repeated.
  assert.deepEqual(played.slice(0, 4).map(([frequency, from, to]) => [frequency, Math.round(from * 6), Math.round(to * 6)]),
    [[294, 0, 1], [370, 1, 2], [330, 2, 3], [370, 3, 4]]);
  assert.equal(played.length, 2 * (await visit.text()).split("\n").slice(5).join("").match(/[A-Ga-g]/g).length);
  await page.waitForFunction(() => document.querySelector("#score .sounding"));
  for (const [i, stop] of [
    () => visit.button("Stop playing").click(),
    () => page.keyboard.press("Escape"),
    () => page.evaluate(() => window.oscillators.at(-1).dispatchEvent(new Event("ended"))),
    () => visit.press("Write"),
  ].entries()) {
    if (i) await visit.button("Play").click();
    await stop();
    await isClosed(i);
    assert.equal(await page.locator("#score .sounding").count(), 0);
  }
  for (const [site, meter, tempo, rate] of [
    ["tunes", "C|", "", 6], ["tunes", "2/4", "", 3], ["tunes", "C", "", 6], ["tunes", "2/2", "Q:1/2=135\n", 9], ["abc", "2/2", 'Q:"fast"\n', 6],
  ]) {
    await visit.open(site, given(`X:1\nM:${meter}\nL:1/8\n${tempo}K:D\nabc`));
    assert.equal(Math.round(1 / (await play())[1][1]), rate, meter);
  }
  await visit.open("tunes", given("X:1\nM:C\nL:1/8\nK:D\nV:1\nabcd\nV:2\nab"));
  const ends = (await play()).map(([, , to]) => to);
  assert.equal(ends.at(-1), Math.max(...ends));
  // A header without notes, a text that abcjs cannot read, and bars that have no length.
  for (const text of ["No tune", "K:D\nabc|", "X:1\nabc|", "X:1\nK:D\n", "X:1\nK:D\n:|abc|", "X:1\nM:0/4\nK:D\nabc"]) {
    await visit.open(text.includes("0/4") ? "abc" : "tunes", given(text));
    assert.ok(await page.locator("#score").isHidden(), text);
  }
}, { hash: hashOf(TUNE) });

onPage("a melody and a chord of four notes are not too loud", "abc", async (visit, page) => {
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
  await visit.button("Play").click();
  const peak = await (await page.waitForFunction(() => window.peak)).jsonValue();
  assert.ok(peak > 0.5 && peak <= 1, String(peak));
}, { hash: given('X:1\nL:1/1\nK:C\n"C7"c|') });

onPage("a page that cannot start, and one without storage, say so or work", "nietzsche", async (visit, page) => {
  await page.evaluate(() => (Storage.prototype.setItem = () => { throw new DOMException("full", "QuotaExceededError"); }));
  await visit.press("Write");
  assert.equal(await records(page).count(), 1);
  for (const [site, script, message] of [
    ["damaged", "", /^The model cannot run here: [^\n]+$/],
    ["nietzsche", "delete globalThis.WebAssembly", /^The model cannot run here: /],
    ["folder", "", /^This page needs a web server/],
  ]) {
    await page.addInitScript(script);
    await page.goto("about:blank");
    await page.goto(`file://${SITES}/${site}/index.html`);
    await page.waitForFunction(() => !document.getElementById("error").hidden);
    assert.ok(await visit.button("Write").isDisabled());
    assert.match(await page.getByRole("alert").textContent(), message);
  }
  // The browser reports the files that it does not load from the disk.
  visit.requests.length = visit.problems.length = 0;
});

onPage("the page of several files works on a server, and loads only its own files", "nietzsche", async (visit) => {
  const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".onnx": "application/octet-stream" };
  const server = createServer((request, response) => {
    const name = request.url === "/" ? "index.html" : request.url.slice(1);
    response.setHeader("content-type", types[extname(name)]);
    response.end(readFileSync(`${SITES}/folder/${name}`));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  const online = await Visit.start(visit.page.context().browser(), { isOnline: true });
  try {
    await online.page.goto(`${origin}/${hashOf(COLD)}`);
    await online.isLoaded();
    await online.page.waitForFunction((text) => document.querySelector(".continuation").textContent === text, expected.cold.nietzsche);
    const files = ["", "style.css", "page.js", "model.onnx"].map((file) => `${origin}/${file}`);
    assert.deepEqual([online.problems, new Set(online.requests.map((url) => url.split("#")[0]))], [[], new Set(files)]);
  } finally {
    await online.context.close();
    server.close();
  }
});
