// The page of textgen-web in a browser: what a person sees and does.

import assert from "node:assert/strict";
import { load } from "../../runtime/web/index.js";
import { Visit, expected, fileOf, hashOf, pageTests } from "./browser.mjs";

const MODEL = "runtime/textgen_runtime/bundled_models/nietzsche.onnx";

const COLD = { prompt: "the will to ", seed: 7, temperature: 0.5, length: 400 };

const onPage = pageTests();

for (const [name, text] of Object.entries(expected.cold)) {
  onPage(`the page of the bundled model ${name} writes the text of textgen-run`, name, async (visit, page) => {
    await page.getByText("Settings").click();
    await page.getByLabel("Seed", { exact: true }).fill("7");
    assert.ok(await page.getByLabel("Keep the seed").isChecked());
    await visit.write();
    assert.equal(await visit.text(), text);
    await visit.write();
    assert.equal(await visit.text(), text);
  });
}

onPage("a link shows its text at once", "nietzsche", async (visit, page) => {
  assert.equal(await visit.text(), expected.warm);
  assert.equal(await page.getByLabel("Temperature").inputValue(), "1");
  assert.equal(await page.locator("#seed").inputValue(), "4294967295");
}, { hash: hashOf({ ...COLD, seed: 4294967295, temperature: 1 }) });

onPage("each press writes another text, until the seed is kept", "nietzsche", async (visit, page) => {
  const texts = new Set();
  for (let i = 0; i < 3; i += 1) {
    await visit.write();
    texts.add(await visit.text());
  }
  assert.equal(texts.size, 3);
  await page.locator("#keep").evaluate((box) => box.click());
  await visit.write();
  assert.ok(texts.has(await visit.text()));
});

onPage("a text streams, stops, and continues to what it would have been", "nietzsche", async (visit, page) => {
  await visit.writeSlowly();
  await page.getByRole("button", { name: "Write", exact: true }).click();
  await page.waitForFunction(() => document.querySelector(".continuation").textContent.length > 5);
  assert.equal(await page.locator("#text").getAttribute("aria-busy"), "true");
  await page.getByRole("button", { name: "Stop", exact: true }).click();
  const stopped = await visit.text();
  assert.ok(stopped.length > 5 && stopped.length < 4000);
  assert.match(await page.getByRole("status").textContent(), /^Stopped: \d+ characters\.$/);
  const { seed } = Object.fromEntries(new URLSearchParams((await visit.hash()).slice(1)));
  await page.evaluate(() => {
    document.getElementById("length").value = "400";
    document.getElementById("pace").value = "instant";
  });
  await page.getByRole("button", { name: "Continue", exact: true }).click();
  await visit.complete();
  const whole = await visit.text();
  assert.equal(whole.length, stopped.length + 400);
  assert.ok(whole.startsWith(stopped));
  await visit.open(fileOf("nietzsche") + hashOf({ ...COLD, seed, length: whole.length }));
  assert.equal(await visit.text(), whole);
}, { instant: false });

onPage("the last ten texts are kept, also after a reload, and can be opened and copied", "nietzsche", async (visit, page) => {
  const items = page.getByRole("region", { name: "Written so far" }).getByRole("listitem");
  const written = [];
  for (let i = 0; i < 11; i += 1) {
    await visit.write();
    written.push({ text: await visit.text(), link: await visit.hash() });
  }
  const assertListed = async (texts) => {
    assert.equal(await items.count(), texts.length);
    for (const [i, { text }] of texts.entries()) {
      const shown = await items.nth(i).getByRole("button").first().textContent();
      assert.equal(shown, `${text.trim().slice(0, 200)}\u2026`);
    }
  };
  await assertListed(written.slice(1));
  await visit.reload();
  await assertListed(written.slice(1));
  await items.nth(3).getByRole("button").first().click();
  await visit.complete();
  assert.equal(await visit.text(), written[4].text);
  assert.equal(await visit.hash(), written[4].link);
  assert.equal(await items.nth(3).getByRole("button").first().getAttribute("aria-current"), "true");
  await page.evaluate(() => {
    navigator.clipboard.writeText = async (text) => { window.copied = text; };
  });
  await items.nth(6).getByRole("button", { name: "Copy" }).click();
  await page.getByText("Copied.").waitFor();
  assert.equal(await page.evaluate(() => window.copied), COLD.prompt + written[7].text);
  assert.equal(await visit.text(), written[4].text);
  // A text that is continued is the same text, and a branch is another one.
  await page.evaluate(() => (document.getElementById("length").value = "100"));
  await page.getByRole("button", { name: "Continue", exact: true }).click();
  await visit.complete();
  assert.equal(await items.count(), 10);
  await visit.reload();
  assert.equal((await visit.text()).length, written[4].text.length + 100);
  await page.locator("#candidates button:not([aria-current])").first().click();
  await visit.complete();
  assert.equal(await items.count(), 10);
  assert.match(await visit.hash(), /&branch=/);
  assert.equal(await items.nth(9).getByRole("button").first().getAttribute("aria-current"), "true");
}, { ownTab: true });

onPage("the page shows what the browser restores when a person goes back to it", "nietzsche", async (visit, page) => {
  await page.getByRole("slider", { name: "Temperature" }).fill("1.7");
  await page.getByLabel("Color by surprise").check();
  await page.goto("about:blank");
  await page.goBack();
  await visit.isLoaded();
  assert.equal(await page.getByRole("slider", { name: "Temperature" }).inputValue(), "1.7");
  assert.equal(await page.locator("#temperature-value").textContent(), "1.70");
  assert.ok(await page.locator("#legend").isVisible());
  await visit.write();
  assert.match(await visit.hash(), /&temperature=1\.7&/);
  assert.ok(await page.evaluate(() => CSS.highlights.size > 0));
}, { ownTab: true });

onPage("a page without storage works", "nietzsche", async (visit, page) => {
  await page.evaluate(() => {
    Storage.prototype.setItem = () => { throw new DOMException("full", "QuotaExceededError"); };
  });
  await visit.write();
  assert.equal(await page.locator("#shelf li").count(), 1);
  assert.equal(await page.getByRole("alert").isVisible(), false);
}, { ownTab: true });

onPage("the temperature bends the bars, and the marks stay", "nietzsche", async (visit, page) => {
  const slider = page.getByLabel("Temperature");
  const at = {};
  for (const temperature of ["0", "0.3", "1", "2"]) {
    await slider.fill(temperature);
    at[temperature] = await visit.bars();
  }
  const names = (bars) => bars.map(({ name }) => name.replace(/ (< )?[\d.]+%$/, ""));
  const widths = (bars) => bars.map(({ width }) => width);
  for (const bars of Object.values(at)) {
    assert.deepEqual(names(bars), names(at[1]));
    assert.deepEqual(bars.map(({ mark }) => mark), at[1].map(({ mark }) => mark));
  }
  assert.deepEqual(at[1].map(({ mark }) => mark), widths(at[1]));
  assert.deepEqual(widths(at[0]), [100, ...new Array(9).fill(0)]);
  assert.ok(at["0.3"][0].width > at[1][0].width && at[1][0].width > at[2][0].width);
  assert.ok(at["0.3"][9].width < at[1][9].width && at[1][9].width < at[2][9].width);
  assert.equal(await page.locator("#temperature-value").textContent(), "2.00");
});

onPage("the bars follow the beginning that a person types", "nietzsche", async (visit, page) => {
  await page.getByLabel("Beginning").fill("christianit");
  await page.waitForFunction(() => document.getElementById("context").textContent.endsWith("christianit"));
  assert.match((await visit.bars())[0].name, /^y \d+%$/);
  await page.getByLabel("Beginning").fill("");
  await page.waitForFunction(() => document.getElementById("context").textContent === "Type a beginning.");
  assert.deepEqual(await visit.bars(), []);
});

onPage("a long beginning is read while the page can be used, and gives the same text", "nietzsche", async (visit, page) => {
  const beginning = `${"the will to power. ".repeat(250)}i thin`;
  await page.locator("#seed").evaluate((field) => { field.value = "7"; field.dispatchEvent(new Event("input")); });
  await page.getByLabel("Beginning").fill(beginning);
  await page.waitForFunction(() => document.getElementById("context").textContent.endsWith("i thin"));
  assert.equal((await visit.bars()).length, 10);
  const context = await page.evaluate(() => {
    document.getElementById("write").click();
    return document.getElementById("context").textContent;
  });
  assert.equal(context, "Reading the beginning.");
  await visit.complete();
  const model = await load(MODEL);
  assert.equal(await visit.text(), model.generate(beginning, { seed: 7, temperature: 0.5, length: 400 }));

  // A text that is stopped before the beginning was read continues after it.
  await page.evaluate(() => {
    document.getElementById("write").click();
    document.getElementById("write").click();
  });
  assert.equal(await page.getByRole("status").textContent(), "Stopped: 4,756 characters.");
  await page.waitForFunction(() => document.getElementById("context").textContent.endsWith("i thin"));
  await page.getByRole("button", { name: "Continue", exact: true }).click();
  await visit.complete();
  assert.equal((await visit.text()).length, 400);
});

onPage("a click on a character shows what else could stand there, and branches", "nietzsche", async (visit, page) => {
  const before = await visit.text();
  await visit.clickCharacter(30);
  assert.equal(await page.locator("#place").textContent(), `Instead of \u201c${before[30]}\u201d`);
  const bars = await visit.bars();
  assert.equal(bars.filter(({ isTaken }) => isTaken).length, 1);
  const other = bars.findIndex(({ isTaken, name }) => !isTaken && /^[a-z] /.test(name));
  const choice = bars[other].name[0];
  await page.locator("#candidates button").nth(other).click();
  await visit.complete();
  const branched = await visit.text();
  assert.equal(branched.slice(0, 31), before.slice(0, 30) + choice);
  assert.notEqual(branched.slice(31), before.slice(31));
  const link = await visit.hash();
  assert.ok(link.endsWith(hashOf({ branch: `30_0.5_${choice}` }).slice(1)));

  const elsewhere = await Visit.start(page.context().browser());
  await elsewhere.open(fileOf("nietzsche") + link);
  assert.equal(await elsewhere.text(), branched);
  await elsewhere.context.close();

  await page.getByRole("button", { name: "Undo", exact: true }).click();
  await page.waitForFunction((text) => document.querySelector(".continuation").textContent === text, before);
  assert.equal(await visit.hash(), hashOf(COLD));
  assert.ok(await page.getByRole("button", { name: "Undo", exact: true }).isDisabled());
}, { hash: hashOf(COLD) });

onPage("a branch continues with the next seed, its own temperature, and all text before it as its prompt", "nietzsche", async (visit) => {
  assert.equal(await visit.text(), expected.branch);
}, { hash: hashOf({ ...COLD, length: 131, branch: "30_1.2_z" }) });

onPage("a branch of a branch, and another temperature after it, are in the link", "nietzsche", async (visit, page) => {
  for (const [index, temperature] of [["200", "1.5"], ["40", "0.2"], ["120", "0.9"]]) {
    await page.getByLabel("Position").fill(index);
    await page.getByLabel("Temperature").fill(temperature);
    await page.locator("#candidates button").nth(2).click();
    await visit.complete();
  }
  await page.getByLabel("Temperature").fill("0.7");
  await page.getByRole("button", { name: "Continue", exact: true }).click();
  await visit.complete();
  const [text, link] = [await visit.text(), await visit.hash()];
  assert.equal(new URLSearchParams(link.slice(1)).getAll("branch").length, 3);
  await visit.open(fileOf("nietzsche") + link);
  assert.equal(await visit.text(), text);
  assert.equal(await page.getByLabel("Temperature").inputValue(), "0.7");
}, { hash: hashOf(COLD) });

onPage("surprise has colors with a legend", "nietzsche", async (visit, page) => {
  const legend = page.getByRole("list", { name: /^Surprise in bits/ });
  assert.ok(await legend.isHidden());
  const colored = () => page.evaluate(() =>
    Array.from(CSS.highlights).filter(([name]) => name.startsWith("surprise")).map(([name, ranges]) =>
      [name, Array.from(ranges, String).join("").length]));
  assert.deepEqual(await colored(), []);
  await page.getByLabel("Color by surprise").check();
  assert.equal(await legend.getByRole("listitem").count(), 7);
  const lengths = new Map(await colored());
  assert.ok(lengths.size >= 5);
  assert.ok(lengths.get("surprise-1") > lengths.get("surprise-6") ?? 0);
  await page.getByLabel("Color by surprise").uncheck();
  assert.deepEqual(await colored(), []);
}, { hash: hashOf({ ...COLD, temperature: 1 }) });

onPage("a text and a link are copied", "nietzsche", async (visit, page) => {
  const copied = () => page.evaluate(() => window.copied);
  await page.evaluate(() => {
    navigator.clipboard.writeText = async (text) => { window.copied = text; };
  });
  await page.getByRole("button", { name: "Copy text", exact: true }).click();
  assert.equal(await copied(), COLD.prompt + expected.cold.nietzsche);
  await page.getByRole("button", { name: "Copy link", exact: true }).click();
  assert.equal(await copied(), fileOf("nietzsche") + hashOf(COLD));
  assert.equal(await page.getByRole("status").textContent(), "Copied.");
}, { hash: hashOf(COLD) });

onPage("the prompt is read as the training text was", "nietzsche", async (visit, page) => {
  await page.getByLabel("Beginning").fill("The WILL\u2603 to ");
  await page.locator("#seed").evaluate((field) => { field.value = "7"; field.dispatchEvent(new Event("input")); });
  await visit.write();
  assert.equal(await visit.text(), expected.cold.nietzsche);
  const note = "The model reads capitals in lower case. The model skips \u201c\u2603\u201d, which it does not know.";
  assert.equal(await page.locator("#prompt-help").textContent(), note);
  await page.getByLabel("Beginning").fill("");
  await visit.write();
  assert.ok((await page.getByLabel("Beginning").inputValue()).length > 20);
});
