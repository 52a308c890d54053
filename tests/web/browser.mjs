// A headless Chromium, and what the tests do with the page of textgen-web.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

// The folder that tests/helpers/web_cases.py writes.
export const SITES = resolve(process.env.TEXTGEN_SITES ?? "build/web-test/sites");

export const expected = JSON.parse(readFileSync(`${SITES}/expected.json`, "utf-8"));

/**
 * Return a function that defines a test with an open page. The browser starts before the first one.
 *
 * Tests with the same options of the browser's context load their page in one tab, because a new tab takes longer than
 * most tests. A test with the option `ownTab` has a tab of its own, and one that fails leaves its tab to no other.
 *
 * The test fails if the page has an error, or requests anything but itself.
 */
export function pageTests() {
  const tabs = new Map();
  let browser;
  before(async () => {
    browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: ["--no-sandbox"],
    });
  });
  after(() => browser.close());
  return (name, site, action, options = {}) =>
    test(name, async () => {
      const key = options.ownTab ? name : JSON.stringify(options.context);
      const visit = tabs.get(key) ?? (await Visit.start(browser, options.context));
      tabs.delete(key);
      visit.problems.length = 0;
      visit.requests.length = 0;
      await visit.open(fileOf(site) + (options.hash ?? ""), options);
      await action(visit, visit.page);
      assert.deepEqual(visit.problems, []);
      assert.deepEqual(visit.requests.filter((url) => url.split("#")[0] !== fileOf(site)), []);
      tabs.set(key, visit);
    });
}

/** Return the address of a page that is a file. */
export function fileOf(name) {
  return pathToFileURL(`${SITES}/${name}/index.html`).href;
}

/** Return the address part of a text. */
export function hashOf(fields) {
  return `#${new URLSearchParams(fields)}`;
}

/**
 * Opens pages for one test, and collects the errors and warnings of the browser, and the requests.
 */
export class Visit {
  problems = [];
  requests = [];

  /** @param {object} options The options of the browser's context. */
  static async start(browser, options = {}) {
    const visit = new Visit();
    visit.context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    await visit.context.setOffline(!options.isOnline);
    // Tests that share a tab share no texts.
    await visit.context.addInitScript(() => location.protocol === "about:" || sessionStorage.clear());
    visit.page = await visit.context.newPage();
    visit.page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) visit.problems.push(message.text());
    });
    visit.page.on("pageerror", (error) => visit.problems.push(error.message));
    visit.page.on("request", (request) => {
      if (!/^(about|data|blob):/.test(request.url())) visit.requests.push(request.url());
    });
    return visit;
  }

  /** Open a page, and wait until its model is loaded. */
  async open(address, { instant = true } = {}) {
    await this.page.goto("about:blank");
    await this.page.goto(address);
    await this.isLoaded();
    if (instant) await this.page.evaluate(() => (document.getElementById("pace").value = "instant"));
    await this.complete();
  }

  /**
   * Load the page again with the texts that it has stored, in a tab of the test's own.
   *
   * They are stored once more: Chromium can lose what a page of a file has stored in the last seconds.
   */
  async reload() {
    const stored = await this.page.evaluate(() => ({ ...sessionStorage }));
    await this.context.addInitScript(
      (entries) => location.protocol === "about:" || Object.assign(sessionStorage, entries), stored,
    );
    await this.page.reload();
    await this.isLoaded();
    await this.complete();
  }

  async isLoaded() {
    await this.page.waitForFunction(() => !document.getElementById("write").disabled);
  }

  /** Wait until no text is streaming. */
  async complete() {
    await this.page.waitForFunction(() => document.getElementById("text").getAttribute("aria-busy") !== "true");
  }

  /** Press Write, and wait for the text. */
  async write() {
    await this.page.getByRole("button", { name: "Write", exact: true }).click();
    await this.complete();
  }

  /** Let the next text take minutes, so that it streams however slow the test is. */
  async writeSlowly() {
    await this.page.evaluate(() => {
      document.getElementById("length").value = "4000";
      document.getElementById("pace").value = "calm";
    });
  }

  /** Return what the model has written. */
  text() {
    return this.page.locator(".continuation").textContent();
  }

  hash() {
    return this.page.evaluate(() => location.hash);
  }

  /** Return the bars: their names, widths in percent, and marks. */
  bars() {
    return this.page.locator("#candidates li:not([hidden]) button").evaluateAll((buttons) =>
      buttons.map((button) => ({
        name: button.innerText.replace(/\s+/g, " ").trim(),
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
