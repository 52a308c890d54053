// The page of textgen-web in a browser: twenty journeys of a person.

import assert from "node:assert/strict";
import { load } from "../../runtime/web/index.js";
import { COLD, SITES, TUNE, expected, given, hashOf, pageTests, records } from "./browser.mjs";
import { content } from "./package-cases.mjs";

const onPage = pageTests();

for (const [site, text] of Object.entries(expected.cold)) {
  onPage(`the page of ${site} writes the text of textgen-run, another one each time, or the same with a kept seed`, site, async (visit) => {
    await visit.set({ prompt: "The WILL\u2603 to ", seed: "7" });
    await visit.press("Write");
    assert.equal(await visit.text(), text);
    assert.equal(await visit.read("prompt-help"), "The model skips \u201c\u2603\u201d, which it does not know.");
    await visit.press("Write");
    assert.equal(await visit.text(), text);
    await visit.set({ keep: false, prompt: "" });
    const texts = new Set([text]);
    for (let i = 0; i < 3; i += 1) {
      await visit.press("Write");
      texts.add(await visit.text());
    }
    assert.equal(texts.size, 4);
    assert.ok((await visit.page.getByLabel("Beginning").inputValue()).length > 20);
  });
}

onPage("a link shows its text at once, with its branches, and one that describes no text is told in one line", "nietzsche", async (visit, page) => {
  await visit.open("nietzsche", hashOf({ ...COLD, seed: 4294967295, temperature: 1 }));
  assert.equal(await visit.text(), expected.warm);
  assert.deepEqual(await Promise.all(["temperature", "seed"].map((id) => page.locator(`#${id}`).inputValue())), ["1", "4294967295"]);
  await visit.open("nietzsche", hashOf({ ...COLD, length: 131, branch: "30_1.2_z" }));
  assert.equal(await visit.text(), expected.branch);
  for (const [link, culprit] of [
    ["seed=x", "seed"], ["seed=4294967296", "seed"], ["seed=1&temperature=3", "temperature"], ["seed=1&length=100001", "length"],
    ["seed=1&branch=nowhere_1_a", "branch"],
  ]) {
    await visit.open("nietzsche", `#${link}`);
    assert.match(await page.getByRole("alert").textContent(), new RegExp(culprit));
  }
  await visit.set({ seed: "seven" });
  await visit.press("Write");
  assert.match(await page.getByRole("alert").textContent(), /^The seed must be/);
  await visit.set({ keep: false });
  await visit.press("Write");
  assert.ok(await page.getByRole("alert").isHidden());
  await visit.open("abc", hashOf({ ...TUNE, prompt: "abc", branch: "0_1__" }));
  assert.equal((await visit.text())[0], "_");
});

onPage("a text streams, stops, and continues to what it would have been", "nietzsche", async (visit, page) => {
  await visit.set({ length: "4000", pace: "calm" });
  for (const [start, stop] of [
    [() => visit.button("Write").click(), () => visit.button("Stop").click()],
    [() => page.getByLabel("Beginning").press("Control+Enter"), () => page.keyboard.press("Escape")],
  ]) {
    await start();
    await page.waitForFunction(() => document.getElementById("text").getAttribute("aria-busy") === "true");
    await visit.hasWritten(5);
    await stop();
    await visit.complete();
    assert.match(await visit.read("status"), /^Stopped: \d+ characters\.$/);
  }
  const stopped = await visit.text();
  assert.ok(stopped.length > 5 && stopped.length < 4000);
  await visit.set({ length: "400", pace: "instant" });
  await visit.press("Continue");
  const whole = await visit.text();
  assert.equal(whole.length, stopped.length + 400);
  assert.ok(whole.startsWith(stopped));
  const { seed } = Object.fromEntries(new URLSearchParams((await visit.hash()).slice(1)));
  await visit.open("nietzsche", hashOf({ ...COLD, seed, length: whole.length }));
  assert.equal(await visit.text(), whole);
}, { instant: false });

onPage("the bars are the likeliest symbols after the beginning or at a place, and bend with the temperature", "nietzsche", async (visit, page) => {
  const model = await load(content("nietzsche_int8"));
  const names = (next) => next.map(({ text }) => ({ " ": "space", "\n": "line end" })[text] ?? text);
  await visit.set({ prompt: "christianit" });
  await page.waitForFunction(() => document.getElementById("context").textContent.endsWith("christianit"));
  const at = {};
  for (const temperature of ["0", "0.3", "1", "2"]) {
    await visit.set({ temperature });
    at[temperature] = await visit.bars();
    const next = model.start("christianit").next({ temperature: Number(temperature), k: 100 });
    const widths = new Map(next.map(({ text, probability }) => [names([{ text }])[0], 100 * probability]));
    assert.ok(at[temperature].every(({ name, width }) => Math.abs(width - widths.get(name)) < 0.01));
  }
  assert.equal(at[0][0].width, 100);
  for (const bars of Object.values(at)) {
    assert.ok(bars.every(({ mark }, i) => Math.abs(mark - at[1][i].width) < 0.01));
    assert.deepEqual(bars.map(({ name }) => name), names(model.start("christianit").next()));
  }
  await visit.set({ prompt: "" });
  await page.waitForFunction(() => document.getElementById("context").textContent === "Type a beginning.");
  assert.deepEqual(await visit.bars(), []);
  await visit.open("nietzsche", hashOf(COLD));
  const text = await visit.text();
  for (let i = 30; i < text.length; i += 50) {
    await visit.set({ position: String(i) });
    const next = model.start(COLD.prompt + text.slice(0, i)).next();
    const bars = await visit.bars();
    assert.deepEqual(bars.map(({ name }) => name), names(next));
    assert.equal(bars.findIndex(({ isTaken }) => isTaken), next.findIndex((one) => one.text === text[i]));
  }
});

onPage("a click on a character shows what else could stand there, and a branch is a link and an entry of the history", "nietzsche", async (visit, page) => {
  const before = await visit.text();
  await visit.clickCharacter(30);
  assert.equal(await visit.read("place"), `Instead of \u201c${before[30]}\u201d`);
  const bars = await visit.bars();
  assert.deepEqual(bars.filter(({ isTaken }) => isTaken).map(({ name }) => name), [before[30]]);
  const other = bars.findIndex(({ isTaken, name }) => !isTaken && /^[a-z]$/.test(name));
  await visit.choose(other);
  const branched = await visit.text();
  assert.equal(branched.slice(0, 31), before.slice(0, 30) + bars[other].name);
  assert.ok((await visit.hash()).endsWith(hashOf({ branch: `30_0.5_${bars[other].name}` }).slice(1)));
  await page.goBack();
  await page.waitForFunction((text) => document.querySelector(".continuation").textContent === text, before);
  assert.equal(await visit.hash(), hashOf(COLD));
  for (const [position, temperature] of [["200", "1.5"], ["40", "0.2"], ["120", "0.9"]]) {
    await visit.set({ position, temperature });
    await visit.choose(2);
  }
  await visit.set({ temperature: "0.7" });
  await visit.press("Continue");
  const [text, link] = [await visit.text(), await visit.hash()];
  assert.equal(new URLSearchParams(link.slice(1)).getAll("branch").length, 3);
  await visit.open("nietzsche", link);
  assert.equal(await visit.text(), text);
  assert.equal(await page.getByLabel("Temperature").inputValue(), "0.7");
}, { hash: hashOf(COLD) });

onPage("surprise has colors with a legend, and the text stays one node for screen readers", "nietzsche", async (visit, page) => {
  const colored = () => page.evaluate(() => Object.fromEntries(
    Array.from(CSS.highlights, ([name, ranges]) => [name, Array.from(ranges, (range) => [range.startOffset, range.endOffset])])));
  assert.deepEqual(await colored(), {});
  await page.getByLabel("Color by surprise").check();
  assert.equal(await page.getByRole("list", { name: /^Surprise in bits/ }).getByRole("listitem").count(), 7);
  const text = await visit.text();
  const nats = (await load(content("nietzsche_int8"))).start(COLD.prompt).surprise(text);
  const levels = nats.map((value) => [1, 2, 3, 4, 6, 8].filter((bound) => value / Math.LN2 >= bound).length);
  const found = new Array(text.length).fill(0);
  for (const [name, ranges] of Object.entries(await colored())) {
    for (const [from, to] of ranges) found.fill(Number(name.split("-")[1]), from, to);
  }
  assert.deepEqual(found, levels);
  assert.equal(new Set(levels).size, 7);
  await visit.clickCharacter(10);
  assert.deepEqual((await colored()).cursor, [[10, 11]]);
  assert.equal(await page.evaluate(() => document.querySelector(".continuation").childNodes.length), 1);
  // The browser restores the controls of a page to which a person goes back.
  await visit.set({ temperature: "1.7" });
  await page.goto("about:blank");
  await page.goBack();
  await visit.isLoaded();
  await visit.complete();
  assert.ok(await page.locator("#legend").isVisible());
  assert.ok(Object.keys(await colored()).length > 5);
  await page.getByLabel("Color by surprise").uncheck();
  assert.deepEqual(await colored(), {});
}, { hash: hashOf({ ...COLD, temperature: 1.4 }) });

onPage("the last ten texts are listed, and can be opened and copied", "nietzsche", async (visit, page) => {
  const written = [];
  for (let i = 0; i < 11; i += 1) {
    await visit.press("Write");
    written.push({ text: await visit.text(), link: await visit.hash() });
  }
  const item = (i) => records(page).nth(i).getByRole("button");
  const excerpts = written.slice(1).map(({ text }) => `${text.trim().slice(0, 200)}\u2026`);
  assert.deepEqual(await records(page).allTextContents(), excerpts);
  await item(3).click();
  await visit.complete();
  assert.deepEqual([await visit.text(), await visit.hash()], [written[4].text, written[4].link]);
  assert.equal(await item(3).getAttribute("aria-current"), "true");
  await page.evaluate(() => (navigator.clipboard.writeText = async (text) => { window.copied = text; }));
  for (const [name, text] of [["Copy text", COLD.prompt + written[4].text], ["Copy link", page.url()]]) {
    await visit.button(name).click();
    await page.waitForFunction((copied) => window.copied === copied, text);
  }
  // A text that is continued is the same text, and a branch is another one.
  await visit.press("Continue");
  assert.equal(await records(page).count(), 10);
  assert.equal((await visit.text()).length, 800);
  await visit.choose(1);
  assert.equal(await item(9).getAttribute("aria-current"), "true");
});

onPage("everything works by keyboard, and the focus can be seen on every control", "nietzsche", async (visit, page) => {
  const tabTo = async (id) => {
    for (let i = 0; i < 40; i += 1) {
      await page.keyboard.press("Tab");
      if ((await page.evaluate(() => document.activeElement.id)) === id) return;
    }
    assert.fail(`Tab does not reach ${id}`);
  };
  await tabTo("prompt");
  await page.keyboard.press("Control+A");
  await page.keyboard.type("the will to ");
  await page.keyboard.press("Control+Enter");
  await visit.complete();
  const text = await visit.text();
  await tabTo("position");
  await page.keyboard.press("Home");
  for (let i = 0; i < 5; i += 1) await page.keyboard.press("ArrowRight");
  assert.match(await page.getByLabel("Position").getAttribute("aria-valuetext"), /^.+, 6 of 400$/);
  await tabTo("temperature");
  const before = await visit.bars();
  await page.keyboard.press("End");
  assert.ok((await visit.bars())[0].width < before[0].width);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await visit.complete();
  assert.equal((await visit.text()).slice(0, 6), text.slice(0, 5) + before[0].name.replace("space", " "));
  await page.getByText("Settings").click();
  const outlines = await page.locator("button:enabled:visible, input:enabled:visible, select:visible, textarea:visible, summary:visible").evaluateAll((controls) =>
    controls.map((control) => {
      control.focus({ focusVisible: true });
      const { outlineStyle, outlineWidth } = getComputedStyle(control);
      return `${outlineStyle} ${outlineWidth}`;
    }));
  assert.deepEqual(outlines, new Array(outlines.length).fill("solid 2px"));
  assert.ok(outlines.length > 20);
});

onPage("every control has a role and a name, and a screen reader hears only the start and the end of a text", "nietzsche", async (visit, page) => {
  await page.getByText("Settings").click();
  for (const [role, names] of [
    ["textbox", ["Beginning", "Seed"]], ["button", ["Write", "Continue", "Copy text", "Copy link"]],
    ["slider", ["Temperature", "Position in the text"]], ["checkbox", ["Color by surprise", /^Keep the seed/]], ["combobox", ["Length", "Pace"]],
    ["region", ["Text"]], ["complementary", ["What comes next"]], ["heading", ["Nietzsche", "Next"]], ["list", ["Next"]],
  ]) {
    for (const name of names) assert.equal(await page.getByRole(role, { name, exact: true }).count(), 1, `${role} ${name}`);
  }
  await page.evaluate(() => {
    window.heard = [];
    const status = document.getElementById("status");
    new MutationObserver(() => window.heard.push(status.textContent)).observe(status, { childList: true });
  });
  await visit.set({ prompt: COLD.prompt });
  await visit.button("Write").click();
  await visit.hasWritten(20);
  await visit.set({ pace: "instant" });
  await visit.complete();
  assert.deepEqual(await page.evaluate(() => window.heard.filter(Boolean)), ["Writing.", "412 characters."]);
  const live = await page.locator("[aria-live], [role=status], [role=alert], [role=log], output").evaluateAll((all) => all.map(({ id }) => id));
  assert.deepEqual(live, ["error", "learn-error", "material", "verdict", "status"]);
}, { instant: false });

for (const [colorScheme, background] of [["light", [252, 251, 249]], ["dark", [23, 24, 27]]]) {
  onPage(`texts have contrast in ${colorScheme} mode, and appear at once if the system asks for less motion`, "nietzsche", async (visit, page) => {
    const ratios = await page.evaluate(() => {
      const luminance = (color) => {
        const channels = color.match(/[\d.]+/g).slice(0, 3).map((value) => value / 255);
        const [r, g, b] = channels.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const behind = (node) => {
        const color = getComputedStyle(node).backgroundColor;
        return /, 0\)$|transparent/.test(color) ? behind(node.parentElement) : color;
      };
      return [".prompt", ".continuation", "#about", "#write", "#status", "label", ".percent", "#context", "summary"].map((selector) => {
        const element = document.querySelector(selector);
        const [low, high] = [getComputedStyle(element).color, behind(element)].map(luminance).sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
      });
    });
    assert.ok(Math.min(...ratios) >= 4.5, String(ratios));
    assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), `rgb(${background.join(", ")})`);
    assert.equal(await page.locator("#pace").inputValue(), "instant");
  }, { instant: false, hash: hashOf(COLD), context: { colorScheme, reducedMotion: "reduce" } });
}

onPage("the pages fit a narrow screen, and nothing that is written is below the panel", "nietzsche", async (visit, page) => {
  /** The bottom of an element, above the top of the panel. */
  const room = (id) => page.evaluate((selector) =>
    document.querySelector(".panel").getBoundingClientRect().top - document.querySelector(selector).getBoundingClientRect().bottom, id);
  await visit.button("Write").click();
  await visit.hasWritten(300);
  assert.ok((await room(".continuation")) >= -1);
  for (const site of ["nietzsche", "character", "word", "byte", "accented", "hebrew", "tunes"]) {
    await visit.open(site, site === "tunes" ? hashOf(TUNE) : hashOf({ ...COLD, prompt: site === "nietzsche" ? "the " : "", temperature: 0.1 }));
    if (site === "tunes") assert.ok((await page.locator("#score svg").boundingBox()).width <= 360);
    await visit.press("Write");
    await page.getByLabel("Color by surprise").check();
    await page.getByText("Settings").click();
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360, site);
    const sizes = await page.locator("button:visible, select:visible, input:visible:not([type=checkbox]), .switch:visible").evaluateAll((targets) =>
      targets.flatMap((target) => [target.offsetWidth, target.offsetHeight]));
    assert.ok(Math.min(...sizes) >= 24, site);
    await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
    assert.ok((await room("#pace")) >= 8, site);
  }
  await visit.open("character");
  await visit.press("Write 20");
  assert.ok((await room("#shelf li:nth-last-child(20)")) >= 0);
}, { instant: false, context: { viewport: { width: 360, height: 740 } } });

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
  await page.locator("#candidates button[aria-current=false]").first().click();
  await visit.complete();
  assert.ok((await visit.text()).length > 1);
  await visit.open("character", link);
  assert.equal(await visit.text(), whole.slice(0, 1));
  // An empty record is not listed.
  await visit.open("character", hashOf({ prompt: "", seed: 10, temperature: 0.8, length: 10_000 }));
  assert.deepEqual([await visit.text(), await visit.read("context")], ["", "at the beginning"]);
  assert.ok(!(await records(page).allTextContents()).includes(""));
});

onPage("a list of records is one entry of the history, and each is listed", "character", async (visit, page) => {
  await visit.press("Write");
  const [before, link] = [await visit.text(), await visit.hash()];
  await visit.press("Write 20");
  const listed = await records(page).allTextContents();
  assert.equal(new Set(listed).size, 21);
  assert.equal(await visit.text(), listed[20]);
  const last = await visit.hash();
  await page.evaluate(() => (navigator.clipboard.writeText = async (text) => { window.copied = text; }));
  await visit.button("Copy list").click();
  await page.waitForFunction((copied) => window.copied === copied, listed.join("\n"));
  await page.goBack();
  await page.waitForFunction((hash) => location.hash === hash, link);
  await visit.complete();
  assert.equal(await visit.text(), before);
  await visit.set({ seed: "x", keep: true });
  await visit.button("Write 20").click();
  assert.match(await page.getByRole("alert").textContent(), /^The seed must be/);
  await visit.open("character", last);
  assert.equal(await visit.text(), listed[20]);
});

onPage("a page with known records writes only new ones, unless the switch is off", "known", async (visit, page) => {
  const known = new Set(expected.known);
  const write = async (count) => {
    const texts = [];
    while (texts.length < count) {
      await visit.press("Write");
      texts.push(await visit.read("text"));
    }
    assert.ok(texts.every(Boolean));
    return texts;
  };
  assert.match(await visit.read("new"), new RegExp(`${known.size.toLocaleString("en")} known`));
  const texts = await write(20);
  await visit.set({ prompt: "a\u2603" });
  texts.push(...(await write(20)));
  assert.deepEqual(texts.filter((text) => known.has(text)), []);
  assert.equal(new Set(texts).size, 40);
  await visit.set({ "only-new": false });
  assert.ok((await write(20)).some((text) => known.has(text)));
  await visit.set({ "only-new": true, temperature: "0" });
  await visit.button("Write").click();
  await page.getByRole("alert").waitFor();
});

onPage("a bar of a model of bytes is a byte, and one that is no character cannot be chosen", "accented", async (visit, page) => {
  const model = await load(content("accented"));
  const next = model.start("\u00e9").next({ temperature: 1 });
  assert.ok(next.some(({ text }) => text.startsWith("\\x")) && next.some(({ token }) => token < 128));
  const buttons = page.locator("#candidates li:not([hidden]) button");
  assert.deepEqual(await buttons.evaluateAll((all) => all.map(({ disabled }) => disabled)), next.map(({ token }) => token >= 128));
  await visit.open("accented", hashOf({ prompt: "abc", seed: 1, temperature: 1, length: 40, branch: "0_1_\u00e9" }));
  // The character counts as two tokens.
  assert.equal(await visit.text(), `\u00e9${model.generate("abc\u00e9", { seed: 2, temperature: 1, length: 38 })}`);
}, { hash: given("\u00e9") });

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
  const play = async () => {
    await page.evaluate(() => {
      window.played = [];
      const { start, stop } = AudioScheduledSourceNode.prototype;
      Object.assign(AudioScheduledSourceNode.prototype, {
        start(time) {
          window.oscillator = this;
          window.played.push([Math.round(this.frequency.value), time]);
          start.call(this, time);
        },
        stop(time) {
          window.played.at(-1).push(time);
          stop.call(this, time);
        },
      });
    });
    await visit.button("Play").click();
    const played = await page.evaluate(() => window.played);
    return played.map(([frequency, from, to]) => [frequency, from - played[0][1], to - played[0][1]]);
  };
  assert.ok(await page.getByRole("img", { name: 'Sheet Music for "Mullinagar Maid"' }).isVisible());
  const played = await play();
  // D, F sharp, E, F sharp, which are eighths: a bar of 6/8 takes a second. Both parts are repeated.
  assert.deepEqual(played.slice(0, 4).map(([frequency, from, to]) => [frequency, Math.round(from * 6), Math.round(to * 6)]),
    [[294, 0, 1], [370, 1, 2], [330, 2, 3], [370, 3, 4]]);
  assert.equal(played.length, 2 * (await visit.text()).split("\n").slice(5).join("").match(/[A-Ga-g]/g).length);
  for (const [i, stop] of [
    () => visit.button("Stop playing").click(),
    () => page.keyboard.press("Escape"),
    () => page.evaluate(() => window.oscillator.dispatchEvent(new Event("ended"))),
    () => visit.press("Write"),
  ].entries()) {
    if (i) await visit.button("Play").click();
    await stop();
    await page.waitForFunction(() => window.oscillator.context.state === "closed");
  }
  await visit.open("tunes", given("X:1\nM:2/2\nL:1/8\nQ:1/2=135\nK:D\nV:1\nabcd\nV:2\nab"));
  const two = await play();
  assert.equal(Math.round(1 / Math.min(...two.map(([, from]) => from || Infinity))), 9);
  assert.equal(two.at(-1)[2], Math.max(...two.map(([, , to]) => to)));
  // A header without notes, a text that abcjs cannot read, and bars that have no length.
  for (const text of ["No tune", "K:D\nabc|", "X:1\nabc|", "X:1\nK:D\n", "X:1\nM:0/4\nK:D\nabc"]) {
    await visit.open(text.includes("0/4") ? "abc" : "tunes", given(text));
    assert.ok(await page.locator("#score").isHidden(), text);
  }
}, { hash: hashOf(TUNE) });

onPage("a melody and a chord of four notes are not too loud", "abc", async (visit, page) => {
  await page.evaluate(() => {
    window.AudioContext = class extends OfflineAudioContext {
      constructor() {
        super(1, 44100, 44100);
        setTimeout(async () => (window.peak = Math.max(...(await this.startRendering()).getChannelData(0))));
      }
      close() {}
    };
  });
  await visit.button("Play").click();
  const peak = await (await page.waitForFunction(() => window.peak)).jsonValue();
  assert.ok(peak > 0.5 && peak <= 1, String(peak));
}, { hash: given('X:1\nL:1/1\nK:C\n"C7"c|') });

onPage("a page that cannot start says so", "nietzsche", async (visit, page) => {
  for (const [site, script, message] of [
    ["damaged", "", /^The page cannot run here: [^\n]+$/],
    ["nietzsche", "delete globalThis.WebAssembly", /^The page cannot run here: /],
  ]) {
    await page.addInitScript(script);
    await page.goto("about:blank");
    await page.goto(`file://${SITES}/${site}/index.html`);
    await page.waitForFunction(() => !document.getElementById("error").hidden);
    assert.equal(await visit.button("Write").count(), 0);
    assert.match(await page.getByRole("alert").textContent(), message);
  }
  // The browser reports the files that it does not load from the disk.
  visit.requests.length = visit.problems.length = 0;
});

