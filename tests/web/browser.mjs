// A headless Chromium, and what the tests do with the page of textgen-web.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { buildSync } from "esbuild";
import { chromium } from "playwright-core";
import { BROWSER } from "./server.mjs";

// The folder that tests/helpers/web_cases.py writes.
export const SITES = resolve(process.env.TEXTGEN_SITES ?? "build/web-test/sites");

export const expected = JSON.parse(readFileSync(`${SITES}/expected.json`, "utf-8"));

const folder = mkdtempSync(`${tmpdir()}/textgen-pages-`);
const MODULE = /<script type="module">(.*?)<\/script>/s;
let script;

/** Return the address of a page that is a file, with the script of the sources, so that a test sees a change of them. */
export function fileOf(site) {
  script ??= buildSync({ entryPoints: ["runtime/web/page/main.js"], bundle: true, minify: true, format: "esm", write: false }).outputFiles[0].text.trim();
  const page = readFileSync(`${SITES}/${site}/index.html`, "utf-8");
  const hash = (text) => createHash("sha256").update(text).digest("base64");
  const old = MODULE.exec(page)?.[1] ?? "";
  mkdirSync(`${folder}/${site}`, { recursive: true });
  const changed = page.replace(MODULE, () => `<script type="module">${script}</script>`).replace(hash(old), hash(script));
  writeFileSync(`${folder}/${site}/index.html`, changed);
  return pathToFileURL(`${folder}/${site}/index.html`).href;
}

/** Return the address part of a text. */
export const hashOf = (fields) => `#${new URLSearchParams(fields)}`;

/** A text of the model nietzsche, and one of the model of tunes. */
export const COLD = { prompt: "the will to ", seed: 7, temperature: 0.5, length: 400 };
export const TUNE = { prompt: "", seed: 110, temperature: 0.5, length: 400 };

/** Return the address part of a text of which the model writes nothing. */
export const given = (prompt) => hashOf({ prompt, seed: 1, temperature: 0, length: 0 });

/** The list of the texts that the page has written. */
export const records = (page) => page.locator("#shelf li");

/**
 * Return a function that defines a test with an open page in a tab of its own. The browser starts before the first one.
 * `options` has those of the browser's context, the `hash` of the address, and whether texts appear at once (`instant`).
 *
 * The test fails if the page has an error, or requests anything but itself.
 */
export function pageTests() {
  let browser;
  before(async () => (browser = await chromium.launch(BROWSER)));
  after(async () => {
    await browser.close();
    rmSync(folder, { recursive: true });
  });
  return (name, site, action, options = {}) =>
    test(name, async () => {
      const visit = await Visit.start(browser, options.context);
      await visit.open(site, options.hash, options);
      await action(visit, visit.page);
      assert.deepEqual(visit.problems, []);
      assert.deepEqual(visit.requests, []);
      await visit.context.close();
    });
}

/** Opens pages for one test, and collects the errors and warnings of the browser, and the requests of other files. */
export class Visit {
  problems = [];
  requests = [];

  static async start(browser, options = {}) {
    const visit = new Visit();
    visit.context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    await visit.context.setOffline(true);
    visit.page = await visit.context.newPage();
    visit.page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) visit.problems.push(message.text());
    });
    visit.page.on("pageerror", (error) => visit.problems.push(error.message));
    visit.page.on("request", (request) => {
      if (!/^(about|data|blob):|index\.html(#|$)/.test(request.url())) visit.requests.push(request.url());
    });
    return visit;
  }

  /** Open the page of a site, and wait until its model is loaded, and its text is complete. */
  async open(site, hash = "", { instant = true } = {}) {
    await this.page.goto("about:blank");
    await this.page.goto(fileOf(site) + hash);
    await this.isLoaded();
    if (instant) await this.set({ pace: "instant" });
    await this.complete();
  }

  /** Wait until the page has a model, or shows that it has none. */
  isLoaded() {
    return this.page.waitForFunction(() => !document.getElementById("write").disabled || document.getElementById("learn").open);
  }

  /** Choose a file to learn, or several: their names and contents. */
  async chooseFiles(files) {
    const all = Object.entries(files).map(([name, content]) => ({ name, mimeType: "", buffer: Buffer.from(content) }));
    await this.page.locator("#files").setInputFiles(all);
  }

  /** Wait until no text is streaming. */
  complete() {
    return this.page.waitForFunction(() => document.getElementById("text").getAttribute("aria-busy") !== "true");
  }

  /** Give controls these values, as a person does, also within closed settings. */
  set(values) {
    return this.page.evaluate((entries) => {
      for (const [id, value] of entries) {
        const control = document.getElementById(id);
        if (typeof value === "boolean") control.checked = value;
        else control.value = value;
        for (const name of ["input", "change"]) control.dispatchEvent(new Event(name));
      }
    }, Object.entries(values));
  }

  button(name) {
    return this.page.getByRole("button", { name, exact: true });
  }

  /** Press a button, and wait for the text. */
  async press(name) {
    await this.button(name).click();
    await this.complete();
  }

  /** Press the candidate at an index, and wait for the text. */
  async choose(index) {
    await this.page.locator("#candidates button").nth(index).click();
    await this.complete();
  }

  /** Wait until the model has written so many characters. */
  hasWritten(count) {
    return this.page.waitForFunction((least) => document.querySelector(".continuation").textContent.length > least, count);
  }

  /** Return what the model has written. */
  text() {
    return this.page.locator(".continuation").textContent();
  }

  /** Return the text of an element. */
  read(id) {
    return this.page.locator(`#${id}`).textContent();
  }

  hash() {
    return this.page.evaluate(() => location.hash);
  }

  /** Return the bars: their names, widths in percent, and marks. */
  bars() {
    return this.page.locator("#candidates li:not([hidden]) button").evaluateAll((buttons) =>
      buttons.map((button) => ({
        name: button.querySelector(".symbol").textContent,
        percent: button.querySelector(".percent").textContent,
        width: parseFloat(button.querySelector("i").style.width),
        mark: parseFloat(button.querySelector("b").style.insetInlineStart),
        isTaken: button.getAttribute("aria-current") === "true",
      })),
    );
  }

  /** Click the character of the text at an index of its string. */
  async clickCharacter(index) {
    const [x, y] = await this.page.evaluate((start) => {
      const range = document.createRange();
      const { firstChild } = document.querySelector(".continuation");
      range.setStart(firstChild, start);
      range.setEnd(firstChild, start + 1);
      range.startContainer.parentElement.scrollIntoView({ block: "start" });
      const { left, top, width, height } = range.getBoundingClientRect();
      return [left + width / 2, top + height / 2];
    }, index);
    await this.page.mouse.click(x, y);
  }
}
