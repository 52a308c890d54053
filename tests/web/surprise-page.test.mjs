// The page of textgen-eval --surprise by keyboard.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { fileOf, Visit } from "./browser.mjs";
import { BROWSER } from "./server.mjs";

let browser;
before(async () => (browser = await chromium.launch(BROWSER)));
after(() => browser.close());

test("the keyboard reaches each character, and shows what the pointer shows", async () => {
  const { page, problems } = await Visit.start(browser);
  await page.goto(fileOf("surprise"));
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
    return page.evaluate(() => document.activeElement.textContent);
  };
  const detail = page.getByRole("status");
  // The first character of a text is not predicted.
  assert.equal(await press("Tab"), "h");
  assert.match(await detail.textContent(), /^\u201ch\u201d: [\d.]+ bits/);
  assert.equal(await press("ArrowLeft"), "h");
  assert.equal(await press("ArrowRight", "ArrowRight", "ArrowRight"), "w");
  const shown = await detail.textContent();
  await page.locator("i").nth(1).hover();
  assert.notEqual(await detail.textContent(), shown);
  await page.locator("i").nth(3).hover();
  assert.equal(await detail.textContent(), shown);
  // A shorter line ends before the place, and an empty one has only its end.
  assert.equal(await press("ArrowDown"), "\u21b5");
  assert.equal(await press("ArrowLeft"), "o");
  assert.equal(await press("ArrowDown", "ArrowDown"), "p");
  assert.equal(await press("ArrowRight", "ArrowUp", "ArrowUp"), "t");
  assert.equal(await press("Home", "ArrowLeft"), "\u21b5");
  assert.equal(await press("End", "ArrowRight"), "t");
  // Each text has one stop of Tab, which stays where it was.
  assert.equal(await press("Tab"), "g");
  assert.equal(await press("Shift+Tab"), "t");
  assert.deepEqual(problems, []);
});
