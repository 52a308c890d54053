// The page of textgen-web with models of records, of bytes and of words, in other scripts, and with what goes wrong.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { test } from "node:test";
import { SITES, Visit, expected, fileOf, hashOf, pageTests } from "./browser.mjs";

const onPage = pageTests();
const TYPES = { html: "text/html", js: "text/javascript", css: "text/css", onnx: "application/octet-stream" };

for (const level of ["character", "byte", "word"]) {
  onPage(`a model of records and the level ${level} writes the records of textgen-run`, level, async (visit) => {
    for (const [seed, text] of expected.records[level].entries()) {
      await visit.open(fileOf(level) + hashOf({ prompt: "", seed, temperature: 0.8, length: 10_000 }));
      assert.equal(await visit.text(), text);
    }
  });
}

for (const site of ["small", "unknown"]) {
  onPage(`the model ${site}, which knows no capitals, reads them in lower case`, site, async (visit, page) => {
    await page.getByLabel("Beginning").fill("Cab\u2603 E\u0301");
    await visit.write();
    assert.equal(await page.locator(".prompt").textContent(), "cab é");
    const note = "The model reads capitals in lower case. The model skips \u201c\u2603\u201d, which it does not know.";
    assert.equal(await page.locator("#prompt-help").textContent(), note);
    const text = await visit.text();
    await visit.open(fileOf(site) + (await visit.hash()));
    assert.equal(await visit.text(), text);
    await page.getByLabel("Beginning").fill("cab");
    await visit.write();
    assert.equal(await page.locator("#prompt-help").textContent(), "");
  });
}

onPage("each press adds a record to the list, and another button many", "character", async (visit, page) => {
  const records = page.getByRole("region", { name: "Written so far" }).getByRole("listitem");
  await visit.write();
  await visit.write();
  assert.equal(await records.count(), 2);
  assert.equal(await records.nth(1).textContent(), await visit.text());
  await page.getByRole("button", { name: "Write 20", exact: true }).click();
  await page.waitForFunction(() => document.querySelectorAll("#shelf li").length === 22);
  await visit.complete();
  const first = await records.nth(0).textContent();
  await records.nth(0).getByRole("button").click();
  await visit.complete();
  assert.equal(await visit.text(), first);
  assert.equal(await records.count(), 22);
  assert.equal(await records.nth(0).getByRole("button").getAttribute("aria-current"), "true");
});

// The model has a symbol for unknown characters.
for (const beginning of ["", "a\u2603", "\u2603"]) {
  const name = `a page with known records writes only others after "${beginning}", unless the switch is off`;
  onPage(name, "known", async (visit, page) => {
    const known = new Set(expected.known);
    await page.getByLabel("Beginning").fill(beginning);
    const write = async () => {
      const texts = [];
      for (let count = 0; count < 20; count++) {
        await visit.write();
        texts.push((await page.locator(".prompt").textContent()) + (await visit.text()));
      }
      return texts;
    };
    const onlyNew = page.getByRole("checkbox", { name: "Only new" });
    assert.ok(await onlyNew.isChecked());
    assert.deepEqual((await write()).filter((text) => known.has(text)), []);
    await onlyNew.uncheck();
    assert.ok((await write()).some((text) => known.has(text)));
  });
}

onPage("a page that finds no new record says so", "known", async (visit, page) => {
  await page.getByRole("slider", { name: "Temperature" }).fill("0");
  await page.getByRole("button", { name: "Write", exact: true }).click();
  await page.getByRole("alert").waitFor();
  assert.match(await page.getByRole("alert").textContent(), /^No new text was found: raise the temperature/);
});

const keptTexts = (page) => page.evaluate(() => JSON.parse(Object.values(sessionStorage)[0]).map(([, text]) => text));

onPage("a page writes no record twice, also after a reload, unless the switch is off", "character", async (visit, page) => {
  // Each time, the page draws the same seeds.
  const write = async (count) => {
    await page.evaluate(() => {
      let seed = 0;
      crypto.getRandomValues = (array) => array.fill(seed++);
    });
    for (let i = 0; i < count; i += 1) await visit.write();
    return keptTexts(page);
  };
  // Records of a few letters.
  await page.getByRole("slider", { name: "Temperature" }).fill("2");
  assert.equal(new Set(await write(30)).size, 30);
  await visit.reload();
  await page.getByRole("slider", { name: "Temperature" }).fill("2");
  assert.equal(new Set(await write(30)).size, 60);
  await page.getByRole("checkbox", { name: "Only new" }).uncheck();
  assert.equal(new Set(await write(30)).size, 60);
}, { ownTab: true });

onPage("a page writes no empty record, also if the switch is off", "character", async (visit, page) => {
  await page.getByRole("checkbox", { name: "Only new" }).uncheck();
  for (const count of [20, 40]) {
    await page.getByRole("button", { name: "Write 20", exact: true }).click();
    await page.waitForFunction((all) => document.querySelectorAll("#shelf li").length === all, count);
    await visit.complete();
  }
  assert.ok((await keptTexts(page)).every(Boolean));
});

onPage("an empty record of a link is not listed", "character", async (visit, page) => {
  await visit.open(fileOf("character") + hashOf({ prompt: "", seed: 10, temperature: 0.8, length: 10_000 }));
  assert.equal(await visit.text(), "");
  assert.ok(await page.locator("#shelf").isHidden());
});

for (const [site, meaning] of [
  ["character", "Only new: not written in this tab before"],
  ["known", `Only new: not written in this tab before, and not one of ${expected.known.length.toLocaleString("en")} known ones`],
  ["small", null],
]) {
  onPage(`the page ${site} says what is new, if it has records`, site, async (visit, page) => {
    const onlyNew = page.getByRole("checkbox", { name: "Only new" });
    assert.equal(await onlyNew.count(), meaning ? 1 : 0);
    if (meaning) assert.equal(await page.locator("label", { has: onlyNew }).innerText(), meaning);
  });
}

onPage("a list of records changes the address only once or twice", "character", async (visit, page) => {
  await page.evaluate(() => {
    window.changes = [];
    for (const name of ["pushState", "replaceState"]) {
      const change = history[name].bind(history);
      history[name] = (...values) => (window.changes.push(name), change(...values));
    }
  });
  await page.getByRole("button", { name: "Write 20", exact: true }).click();
  await page.waitForFunction(() => document.querySelectorAll("#shelf li").length === 20);
  await visit.complete();
  const changes = await page.evaluate(() => window.changes);
  assert.ok(changes.length > 0 && changes.length <= 2, changes.join());
  const last = await visit.text();
  await visit.open(fileOf("character") + (await visit.hash()));
  assert.equal(await visit.text(), last);
});

/** Call a function on the page when a list has so many records, and wait for the end. */
async function duringList(visit, page, count, action) {
  const watch = (wanted, act) => {
    const shelf = document.querySelector("#shelf ol");
    const observer = new MutationObserver(() => {
      if (shelf.childElementCount < wanted) return;
      observer.disconnect();
      act();
    });
    observer.observe(shelf, { childList: true });
  };
  await page.evaluate(`(${watch})(${count}, ${action})`);
  await page.getByRole("button", { name: "Write 20", exact: true }).click();
  await page.waitForFunction((wanted) => document.querySelectorAll("#shelf li").length >= wanted, count);
  await visit.complete();
}

/** Assert that the address opens the record that the page shows. */
async function assertIsOpened(visit) {
  const text = await visit.text();
  await visit.open(fileOf("character") + (await visit.hash()));
  assert.equal(await visit.text(), text);
}

onPage("a list is one entry of the history", "character", async (visit, page) => {
  await visit.write();
  const [before, text] = [await visit.hash(), await visit.text()];
  await page.getByRole("button", { name: "Write 20", exact: true }).click();
  await page.waitForFunction(() => document.querySelectorAll("#shelf li").length === 21);
  await visit.complete();
  assert.notEqual(await visit.hash(), before);
  await page.getByRole("button", { name: "Undo", exact: true }).click();
  await page.waitForFunction((link) => location.hash === link, before);
  await visit.complete();
  assert.equal(await visit.text(), text);
});

onPage("only new is on for the text of a link, and for those after it", "known", async (visit, page) => {
  const [onlyNew, known] = [page.getByRole("checkbox", { name: "Only new" }), new Set(expected.known)];
  // The text of the link itself is shown, also if it is known.
  const link = hashOf({ prompt: "", seed: 1, temperature: 0.5, length: 10_000 });
  await visit.open(fileOf("known") + link);
  assert.ok(await onlyNew.isChecked());
  assert.ok(known.has(await visit.text()));
  for (let count = 0; count < 20; count += 1) {
    await visit.write();
    assert.ok(!known.has(await visit.text()));
    const [hash, text] = [await visit.hash(), await visit.text()];
    if (count === 0) {
      await visit.reload();
      assert.deepEqual([await visit.hash(), await visit.text(), await onlyNew.isChecked()], [hash, text, true]);
    }
  }
}, { ownTab: true });

onPage("a name that needs several lines is listed as a whole, with its number beside the first", "character", async (visit, page) => {
  await visit.write();
  const places = await page.evaluate(() => {
    const button = document.querySelector("#shelf li button");
    button.textContent = "grinning face with open mouth and closed eyes ".repeat(4);
    const [range, number] = [document.createRange(), document.createElement("span")];
    range.selectNodeContents(button);
    const middle = ({ top, bottom }) => (top + bottom) / 2;
    // The number of the list is where a text in place of the button would be.
    number.textContent = "1";
    button.before(number);
    const place = middle(number.getBoundingClientRect());
    number.remove();
    const lines = [...range.getClientRects()];
    return {
      lines: lines.length,
      hidden: button.scrollHeight - button.clientHeight,
      offset: middle(lines[0]) - place,
    };
  });
  assert.ok(places.lines > 2);
  assert.ok(places.hidden <= 0 && Math.abs(places.offset) < 2, JSON.stringify(places));
}, { context: { viewport: { width: 400, height: 900 } } });

for (const count of [18, 19]) {
  const name = `after a list that fails with ${count} records, the address is that of the text on the page`;
  onPage(name, "character", async (visit, page) => {
    await visit.write();
    const before = await visit.hash();
    await duringList(visit, page, count, () => {
      document.getElementById("keep").checked = true;
      document.getElementById("seed").value = "x";
    });
    assert.equal(await page.locator("#shelf li").count(), count + 1);
    assert.match(await page.getByRole("alert").textContent(), /^The seed must be a number/);
    assert.notEqual(await visit.hash(), before);
    await assertIsOpened(visit);
  });
}

onPage("an address without a text does not end a list", "character", async (visit, page) => {
  await duringList(visit, page, 6, () => {
    location.hash = "";
    dispatchEvent(new HashChangeEvent("hashchange"));
  });
  await page.waitForFunction(() => document.querySelectorAll("#shelf li").length === 20);
  await visit.complete();
  await assertIsOpened(visit);
});

onPage("choosing a character ends a list, and can be undone", "character", async (visit, page) => {
  await visit.write();
  const before = await visit.hash();
  await duringList(visit, page, 5, () => document.querySelector("#candidates button:not([aria-current])").click());
  assert.equal(await page.locator("#shelf li").count(), 6);
  const branch = await visit.hash();
  assert.match(branch, /&branch=/);
  await page.getByRole("button", { name: "Undo", exact: true }).click();
  await page.waitForFunction((link) => location.hash !== link, branch);
  await visit.complete();
  const record = await visit.hash();
  assert.equal(record, branch.split("&branch=")[0]);
  await page.getByRole("button", { name: "Undo", exact: true }).click();
  await page.waitForFunction((link) => location.hash === link, before);
});

for (const [name, action, goBack] of [
  [
    "choosing a record",
    () => document.querySelector("#shelf li button").click(),
    (page) => page.getByRole("button", { name: "Undo", exact: true }).click(),
  ],
  [
    "opening an address",
    () => {
      location.hash = window.opened;
      // That of the browser comes later, when the list may be complete.
      dispatchEvent(new HashChangeEvent("hashchange"));
    },
    (page) => page.evaluate(() => history.back()),
  ],
]) {
  onPage(`${name} ends a list`, "character", async (visit, page) => {
    await visit.write();
    const text = await visit.text();
    await page.evaluate(() => (window.opened = location.hash));
    await visit.write();
    const before = await visit.hash();
    await duringList(visit, page, 6, action);
    assert.equal(await visit.text(), text);
    assert.ok((await page.locator("#shelf li").count()) < 22);
    const link = await visit.hash();
    await goBack(page);
    await page.waitForFunction((hash) => location.hash === hash, before);
    await visit.open(fileOf("character") + link);
    assert.equal(await visit.text(), text);
  });
}

onPage("a record can be ended, and continued after its end", "character", async (visit, page) => {
  await visit.open(fileOf("character") + hashOf({ prompt: "a", seed: 3, temperature: 1, length: 10_000 }));
  const whole = await visit.text();
  assert.ok(whole.length > 2);
  await page.getByLabel("Position").fill("1");
  await page.getByRole("button", { name: /^end / }).click();
  await visit.complete();
  assert.equal(await visit.text(), whole.slice(0, 1));
  assert.ok(await page.getByRole("button", { name: "Continue", exact: true }).isDisabled());
  const link = await visit.hash();
  const bars = await visit.bars();
  assert.equal(bars.find(({ isTaken }) => isTaken).name.split(" ")[0], "end");
  await page.locator("#candidates button:not([aria-current])").first().click();
  await visit.complete();
  assert.ok((await visit.text()).length > 1);
  await visit.open(fileOf("character") + link);
  assert.equal(await visit.text(), whole.slice(0, 1));
});

onPage("a beginning that is empty shows how records begin", "character", async (visit, page) => {
  assert.equal(await page.locator("#context").textContent(), "at the beginning");
  assert.ok((await visit.bars()).length > 3);
});

onPage("a bar of a model of words is a word", "word", async (visit, page) => {
  await page.getByLabel("Beginning").fill("a");
  await page.waitForFunction(() => document.getElementById("context").textContent === "after a");
  const names = (await visit.bars()).map(({ name }) => name.split(" ")[0]);
  assert.ok(names.some((name) => /^\u2423?[a-z]{2,}$/.test(name)), names.join());
});

onPage("a bar of a model of bytes is a character, also one of several bytes", "accented", async (visit, page) => {
  const address = fileOf("accented") + hashOf({ prompt: "abc", seed: 1, temperature: 1, length: 40 });
  await visit.open(address);
  await page.getByLabel("Position").fill("0");
  await page.getByRole("button", { name: /^é / }).click();
  await visit.complete();
  const text = await visit.text();
  assert.equal(text[0], "é");
  const link = await visit.hash();
  await page.getByLabel("Position").fill("0");
  const taken = (await visit.bars()).filter(({ isTaken }) => isTaken);
  assert.deepEqual(taken.map(({ name }) => name[0]), ["é"]);
  await visit.open(fileOf("accented") + link);
  assert.equal(await visit.text(), text);
});

onPage("a text of letters from right to left has that direction", "hebrew", async (visit, page) => {
  await visit.write();
  const [left, right] = await page.evaluate(() => {
    const range = document.createRange();
    const { firstChild } = document.querySelector("#text .prompt");
    const at = (index) => {
      range.setStart(firstChild, index);
      range.setEnd(firstChild, index + 1);
      return range.getBoundingClientRect().left;
    };
    return [at(1), at(0)];
  });
  assert.ok(left < right);
  assert.equal(await page.evaluate(() => getComputedStyle(document.getElementById("text")).direction), "rtl");
  const letter = (await visit.text()).search(/[\u05d0-\u05ea]/);
  await visit.clickCharacter(letter);
  assert.equal(await page.getByLabel("Position").inputValue(), String(letter));
});

onPage("a link that describes no text is told in one line, until a text is written", "nietzsche", async (visit, page) => {
  assert.equal(await page.getByRole("alert").textContent(), "The seed of the link is not a number from 0 to 4294967295.");
  await visit.write();
  assert.ok(await page.locator("#error").isHidden());
  assert.equal((await visit.text()).length, 400);
}, { hash: hashOf({ seed: "x" }) });

onPage("a seed that is no number is told in one line", "nietzsche", async (visit, page) => {
  await page.getByText("Settings").click();
  await page.locator("#seed").fill("seven");
  await visit.write();
  assert.equal(await page.getByRole("alert").textContent(), "The seed must be a number from 0 to 4294967295.");
});

/** Return the error of a page that cannot start. */
async function startError(visit, address) {
  await visit.page.goto(address);
  await visit.page.waitForFunction(() => !document.getElementById("error").hidden);
  assert.ok(await visit.page.getByRole("button", { name: "Write", exact: true }).isDisabled());
  return visit.page.getByRole("alert").textContent();
}

onPage("a model that cannot be read is told in one line", "nietzsche", async (visit) => {
  visit.requests.length = 0;
  const error = await startError(visit, fileOf("damaged"));
  visit.requests.length = 0;
  assert.match(error, /^The model cannot run here: [^\n]+$/);
});

onPage("a browser without WebAssembly is told in one line", "nietzsche", async (visit) => {
  await visit.page.addInitScript("delete globalThis.WebAssembly");
  assert.match(await startError(visit, fileOf("nietzsche")), /^The model cannot run here: /);
}, { ownTab: true });

onPage("the page of several files says on the disk that it needs a server", "nietzsche", async (visit) => {
  const error = await startError(visit, fileOf("folder"));
  assert.match(error, /^This page needs a web server, because .*without --folder needs none\.$/);
  assert.equal(await visit.page.getByRole("status").textContent(), "");
  // The browser reports the files that it does not load from the disk.
  visit.requests.length = 0;
  visit.problems.length = 0;
});

onPage("the page of several files works on a server, and loads only its own files", "nietzsche", async (visit) => {
  const server = createServer((request, response) => {
    const name = request.url === "/" ? "index.html" : request.url.slice(1);
    response.setHeader("content-type", TYPES[name.split(".").at(-1)]);
    response.end(readFileSync(`${SITES}/folder/${name}`));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  const online = await Visit.start(visit.page.context().browser(), { isOnline: true });
  try {
    await online.open(`${origin}/${hashOf({ prompt: "the will to ", seed: 7, temperature: 0.5, length: 400 })}`);
    assert.equal(await online.text(), expected.cold.nietzsche);
    assert.deepEqual(online.problems, []);
    const files = ["", "style.css", "page.js", "model.onnx"].map((file) => `${origin}/${file}`);
    assert.deepEqual(new Set(online.requests.map((url) => url.split("#")[0])), new Set(files));
  } finally {
    await online.context.close();
    server.close();
  }
});
