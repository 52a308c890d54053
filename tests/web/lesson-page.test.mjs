// The page that learns: journeys of a person with a text.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { load } from "../../runtime/web/index.js";
import { pageTests } from "./browser.mjs";
import { content } from "./package-cases.mjs";

const onPage = pageTests();

const SYLLABLES = ["an", "be", "cor", "da", "el", "fi", "gus"];
/** A list of all names of three syllables. */
const NAMES = SYLLABLES.flatMap((a) => SYLLABLES.flatMap((b) => SYLLABLES.map((c) => a + b + c))).join("\n");
const PROSE = "The night was long, and the Sea was calm. Nobody spoke of what had happened on that day in the harbor.\n\n".repeat(30);
const TUNES = Array.from({ length: 30 }, (_, i) => `X:${i}\nT:Tune ${i}\nK:D\nabc|`).join("\n\n");
const ZIP = "PK\x03\x04\x14\x00";

/** Start to learn, and wait for a sample. */
async function learnUntilSample(visit) {
  await visit.button("Learn").click();
  await visit.page.waitForFunction(() => document.querySelector("#samples li"));
}

async function stop(visit) {
  await visit.page.locator("#end").click();
  await visit.page.waitForFunction(() => !document.getElementById("teach").hidden);
}

/** Press a button, and return the file that the page saves: its name and path. */
async function saved(visit, name) {
  const [download] = await Promise.all([visit.page.waitForEvent("download"), visit.button(name).click()]);
  return { name: download.suggestedFilename(), path: await download.path() };
}

onPage("a list is learned, writes new items, and the model and a page with it can be saved", "textgen", async (visit, page) => {
  await visit.chooseFiles({ "names.txt": NAMES });
  await page.waitForFunction(() => document.getElementById("material").textContent);
  assert.equal(await visit.read("material"), "names.txt: 2,694 characters, 15 different ones, 343 lines. That is little: a model learns it by heart. 10,000 characters are a start.");
  await learnUntilSample(visit);
  assert.match(await visit.read("progress"), /^\d+% \u00b7 [\d,]+ characters a second \u00b7 \d+ s left$/);
  await page.waitForFunction(() => document.querySelector("#chart .learned").getAttribute("points").split(" ").length > 5);
  await stop(visit);
  assert.match(await visit.read("verdict"), /surprises the model by \d\.\d\d bits per character/);
  await visit.button("Another text").click();
  assert.deepEqual([await visit.read("verdict"), await page.locator("#chart").isVisible()], ["", false]);
  assert.equal(await page.title(), "names");
  await visit.button("Write with the model").click();
  assert.equal(await page.evaluate(() => document.activeElement.id), "write");
  await visit.press("Write");
  const written = await visit.text();
  assert.ok(written && !NAMES.split("\n").includes(written), written);
  await page.getByText("Keep the model").click();
  const model = await saved(visit, "Save model.onnx");
  const { info } = await load(readFileSync(model.path));
  assert.deepEqual([model.name, info.records, info.bits, info.training.corpus], ["model.onnx", "lines", 32, "names.txt"]);
  const small = await saved(visit, "Save model.onnx, 8 bits");
  assert.equal((await load(readFileSync(small.path))).info.bits, 8);
  const copy = await saved(visit, "Save a page with it");
  assert.equal(copy.name, "names.html");
  await page.route("**/*", (route) => route.continue());
  await page.goto("about:blank");
  visit.requests.length = 0;
  // The browser shows a file only if its name says that it is a page.
  await page.setContent(readFileSync(copy.path, "utf-8"));
  await visit.isLoaded();
  assert.equal(await page.title(), "names");
  assert.match(await visit.read("new"), /343 known/);
  await visit.set({ pace: "instant" });
  for (let i = 0; i < 5; i += 1) {
    await visit.press("Write");
    assert.ok(!NAMES.split("\n").includes(await visit.text()));
  }
});

onPage("what a text is decides how the page proposes to learn it", "textgen", async (visit, page) => {
  const proposed = () => page.evaluate(() => [document.getElementById("records").value, document.getElementById("lowercase").checked]);
  for (const [files, expected] of [
    [{ "names.txt": NAMES }, ["lines", false]], [{ "book.txt": PROSE }, ["", true]], [{ "low.txt": PROSE.toLowerCase() }, ["", false]],
    [{ "tunes.abc": TUNES }, ["blank", false]], [{ "a.txt": PROSE, "b.txt": PROSE }, ["", true]],
  ]) {
    await visit.chooseFiles(files);
    const name = Object.keys(files)[0];
    await page.waitForFunction((text) => document.getElementById("material").textContent.startsWith(text), name);
    assert.deepEqual(await proposed(), expected, name);
  }
  assert.match(await visit.read("material"), /^a\.txt and 1 more: /);
  await visit.chooseFiles({ "one.abc": TUNES, "other.abc": TUNES });
  await page.waitForFunction(() => document.getElementById("material").textContent.startsWith("one.abc and 1 more: 1,"));
  assert.match(await visit.read("material"), new RegExp(` ${(2 * TUNES.length + 3).toLocaleString("en")} characters`));
  await visit.button("Another text").click();
  await page.getByLabel(/^Text to learn/).fill("Zo\u00eb and Ana");
  assert.match(await visit.read("material"), /^pasted text: 11 characters/);
  await visit.button("Learn").click();
  await page.waitForFunction(() => document.getElementById("learn-error").textContent.startsWith("text must have at least"));
});

for (const [name, bytes, message] of [
  ["a.pdf", "%PDF-1.4", /^a\.pdf is a PDF: save its text as a \.txt file/], ["a.docx", `${ZIP}word/document.xml`, /is a document of Word/],
  ["a.epub", `${ZIP}mimetypeapplication/epub+zip`, /is an e-book/], ["a.zip", ZIP, /is an archive/], ["a.rtf", "{\\rtf1 a}", /is an RTF/],
  ["a.png", "\x89PNG\r\n", /is an image/], ["a.txt", "", /is empty/], ["a.bin", "\x01\x02abc\x03", /is no text/],
  ["a.onnx", "abc", /damaged/], ["big.txt", "a".repeat(34e6), /^big\.txt has 34 MB, and a page learns at most 33 MB/],
]) {
  onPage(`${name} is refused in one line that says what it is`, "textgen", async (visit, page) => {
    await visit.chooseFiles({ [name]: Buffer.from(bytes, "latin1") });
    await page.waitForFunction(() => document.getElementById("learn-error").textContent);
    const error = await visit.read("learn-error");
    assert.match(error, message);
    assert.ok(!error.includes("\n"));
    assert.ok(await visit.button("Learn").isDisabled());
  });
}

onPage("texts in UTF-16 and Latin-1 are read, and the page says so", "textgen", async (visit, page) => {
  const wide = Buffer.from(`\ufeff${PROSE}`, "utf16le");
  for (const [bytes, note] of [
    [wide, "UTF-16"], [wide.subarray(2), "UTF-16"], [Buffer.from(wide).swap16(), "UTF-16"], [Buffer.from(`na\u00efve ${PROSE}`, "latin1"), "Latin-1"],
  ]) {
    await visit.chooseFiles({ "a.txt": bytes });
    await page.waitForFunction((name) => document.getElementById("material").textContent.includes(`was read as ${name}`), note);
    assert.match(await visit.read("excerpt"), /The night was long/);
    await visit.button("Another text").click();
  }
});

onPage("a long run of a long text is proposed a larger network", "textgen", async (visit, page) => {
  const proposed = async (text, minutes) => {
    await visit.chooseFiles({ "a.txt": text });
    await page.waitForFunction((start) => document.getElementById("material").textContent.includes(start), text.length.toLocaleString("en"));
    await page.locator("#minutes").selectOption(minutes);
    return page.locator("#preset").inputValue();
  };
  const long = PROSE.repeat(40);
  const chinese = Array.from(long, (_, i) => String.fromCharCode(0x4e00 + (i % 300))).join("");
  assert.deepEqual([await proposed(long, "20"), await proposed(PROSE, "20"), await proposed(long, "5")], ["medium", "small", "small"]);
  assert.equal(await proposed(chinese, "20"), "small");
  await page.locator("#preset").selectOption("large");
  assert.equal(await proposed(long, "20"), "large");
});

onPage("a run that is left is offered again, and goes on; one that is forgotten is not", "textgen", async (visit, page) => {
  const kept = page.locator("#kept");
  await visit.chooseFiles({ "names.txt": NAMES });
  await learnUntilSample(visit);
  await visit.button("Pause").click();
  await page.waitForFunction(() => document.getElementById("progress").textContent.endsWith("kept in this browser"));
  const samples = await page.locator("#samples li").allTextContents();
  await page.reload();
  await kept.waitFor();
  assert.match(await kept.textContent(), /^This browser has kept names\.txt, \d+% learned\./);
  await visit.button("Go on").click();
  await page.waitForFunction(() => /a second/.test(document.getElementById("progress").textContent));
  assert.deepEqual((await page.locator("#samples li").allTextContents()).slice(-samples.length), samples);
  await stop(visit);
  await page.reload();
  await kept.waitFor();
  assert.match(await kept.textContent(), /names\.txt, learned\./);
  // A text that cannot be learned takes nothing from the run.
  await visit.chooseFiles({ "short.txt": "abc" });
  await visit.button("Learn").click();
  await page.waitForFunction(() => document.getElementById("learn-error").textContent);
  await visit.button("Open").click();
  await page.waitForFunction(() => !document.getElementById("write").disabled);
  assert.match(await visit.read("material"), /^names\.txt/);
  assert.match(await page.locator("#chart").getAttribute("aria-label"), / from \d\.\d\d down to \d\.\d\d bits$/);
  assert.ok(await page.locator("#samples li").first().isVisible());
  await page.reload();
  await visit.button("Forget it").click();
  const left = await page.evaluate(() => new Promise((resolve) => {
    indexedDB.open("textgen-learn", 1).onsuccess = ({ target }) => {
      target.result.transaction("runs").objectStore("runs").getAllKeys().onsuccess = (event) => resolve(event.target.result);
    };
  }));
  assert.deepEqual(left, []);
});

onPage("of two tabs that learn, the run that is kept last has its own text", "textgen", async (visit, page) => {
  const other = await page.context().newPage();
  await other.goto(page.url());
  const pause = async (tab) => {
    await tab.locator("#pause").click();
    await tab.waitForFunction(() => document.getElementById("progress").textContent.endsWith("kept in this browser"));
  };
  await visit.chooseFiles({ "names.txt": NAMES });
  await learnUntilSample(visit);
  await other.locator("#pasted").fill(PROSE);
  await other.locator("#teach").click();
  await other.waitForFunction(() => document.querySelector("#samples li"));
  await pause(other);
  await pause(page);
  await page.reload();
  assert.match(await page.locator("#kept").textContent(), /names\.txt/);
  await visit.button("Go on").click();
  await page.waitForFunction(() => /a second/.test(document.getElementById("progress").textContent));
  assert.match(await visit.read("material"), /^names\.txt: 2,694 characters/);
});

onPage("a browser that keeps nothing learns, and says so", "textgen", async (visit, page) => {
  await page.addInitScript(() => {
    Object.defineProperty(window, "indexedDB", { get() { throw new DOMException("denied", "SecurityError"); } });
  });
  await page.reload();
  await visit.chooseFiles({ "names.txt": NAMES });
  await learnUntilSample(visit);
  await visit.button("Pause").click();
  await page.waitForFunction(() => /does not keep the run/.test(document.getElementById("keeping").textContent));
  await visit.button("Go on").click();
  await stop(visit);
  assert.ok(await visit.button("Write").isEnabled());
});

onPage("a model that is opened writes, and goes on to learn another text with its own vocabulary", "textgen", async (visit, page) => {
  await visit.chooseFiles({ "tiny.onnx": content("tiny") });
  await page.waitForFunction(() => !document.getElementById("write").disabled);
  assert.equal(await page.title(), "tiny");
  await visit.chooseFiles({ "book.txt": PROSE });
  await page.waitForFunction(() => !document.getElementById("teach").disabled);
  assert.ok(await page.getByLabel("Size").isDisabled());
  await learnUntilSample(visit);
  await stop(visit);
  await page.getByText("Keep the model").click();
  const { info } = await load(readFileSync((await saved(visit, "Save model.onnx")).path));
  const before = (await load(content("tiny"))).info;
  assert.equal(info.units, before.units);
  assert.deepEqual(info.vocabulary.slice(0, before.vocabulary.length), before.vocabulary);
});

for (const [width, height] of [[320, 568], [360, 640], [683, 310]]) {
  onPage(`on a screen of ${width} x ${height}, a new text comes into sight`, "nietzsche", async (visit, page) => {
    await page.evaluate(() => scrollTo(0, 0));
    await visit.press("Write");
    const [top, limit] = await page.evaluate(() => {
      const { top: under, left } = document.querySelector(".panel").getBoundingClientRect();
      const text = document.getElementById("text").getBoundingClientRect();
      return [text.top, left < text.right && under > text.top ? Math.min(under, innerHeight) : innerHeight];
    });
    assert.ok(top < limit - 60, `${top} ${limit}`);
  }, { context: { viewport: { width, height } } });
}

onPage("a long paste goes into the text at its place, and a picture beside a text is ignored", "textgen", async (visit, page) => {
  const paste = (text, withPicture) => page.evaluate(([pasted, hasPicture]) => {
    const data = new DataTransfer();
    data.setData("text/plain", pasted);
    if (hasPicture) data.items.add(new File(["\x89PNG"], "image.png", { type: "image/png" }));
    const field = document.getElementById("pasted");
    field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
  }, [text, withPicture]);
  await page.getByLabel(/^Text to learn/).fill("first ");
  await paste("word ".repeat(4000), true);
  assert.match(await visit.read("material"), /^pasted text: 20,006 characters/);
  assert.match(await visit.read("excerpt"), /^first word/);
});

onPage("a text that is written stays one of the model that wrote it", "textgen", async (visit, page) => {
  await visit.chooseFiles({ "tiny.onnx": content("tiny") });
  await page.waitForFunction(() => !document.getElementById("write").disabled);
  await visit.set({ prompt: "abc", pace: "instant" });
  await visit.press("Write");
  const text = await visit.text();
  await visit.chooseFiles({ "layers.onnx": content("layers") });
  await page.waitForFunction(() => document.title === "layers");
  await visit.set({ prompt: "abc" });
  await visit.press("Write");
  assert.notEqual(await visit.text(), text);
  await page.locator("#shelf li button").first().click();
  await visit.complete();
  assert.equal(await visit.text(), text);
});
