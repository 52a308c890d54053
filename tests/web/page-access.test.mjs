// The page of textgen-web for everybody: keyboard, screen readers, narrow screens, and settings of the system.

import assert from "node:assert/strict";
import { expected, hashOf, pageTests } from "./browser.mjs";

const onPage = pageTests();
const TEXT = { prompt: "the will to ", seed: 7, temperature: 0.5, length: 400 };
const COLD = hashOf(TEXT);

onPage("everything works by keyboard", "nietzsche", async (visit, page) => {
  const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.className);
  const tabTo = async (id) => {
    for (let i = 0; i < 40; i += 1) {
      await page.keyboard.press("Tab");
      if ((await focused()) === id) return;
    }
    assert.fail(`Tab does not reach ${id}`);
  };
  await tabTo("prompt");
  await page.keyboard.press("Control+A");
  await page.keyboard.type("the will to ");
  await page.keyboard.press("Control+Enter");
  await visit.complete();
  const text = await visit.text();
  assert.equal(text.length, 400);

  await tabTo("position");
  await page.keyboard.press("Home");
  for (let i = 0; i < 5; i += 1) await page.keyboard.press("ArrowRight");
  assert.match(await page.getByLabel("Position").getAttribute("aria-valuetext"), /^.+, 6 of 400, [\d.]+% likely$/);
  await tabTo("temperature");
  const before = await visit.bars();
  for (let i = 0; i < 10; i += 1) await page.keyboard.press("ArrowRight");
  assert.ok((await visit.bars())[0].width < before[0].width);

  await page.keyboard.press("Tab");
  const choice = (await visit.bars())[0].name;
  await page.keyboard.press("Enter");
  await visit.complete();
  assert.equal((await visit.text()).slice(0, 5), text.slice(0, 5));
  assert.equal((await visit.text())[5], choice.startsWith("space") ? " " : choice[0]);
});

onPage("Escape stops a text", "nietzsche", async (visit, page) => {
  await visit.writeSlowly();
  await page.getByLabel("Beginning").press("Control+Enter");
  await page.waitForFunction(() => document.querySelector(".continuation").textContent.length > 3);
  await page.keyboard.press("Escape");
  await visit.complete();
  assert.ok((await visit.text()).length < 4000);
}, { instant: false });

onPage("the focus can be seen on every control", "nietzsche", async (visit, page) => {
  await page.getByText("Settings").click();
  await page.getByLabel("Beginning").focus();
  const unmarked = await page.evaluate(() => {
    const controls = document.querySelectorAll("button:enabled, input:enabled, select, textarea, summary");
    return Array.from(controls).filter((control) => {
      if (control.closest("[hidden]")) return false;
      control.focus({ focusVisible: true });
      const { outlineStyle, outlineWidth } = getComputedStyle(control);
      return outlineStyle === "none" || parseFloat(outlineWidth) < 2;
    }).map((control) => control.outerHTML);
  });
  assert.deepEqual(unmarked, []);
}, { hash: COLD });

onPage("every control has a role and a name", "nietzsche", async (visit, page) => {
  await page.getByText("Settings").click();
  for (const [role, names] of [
    ["textbox", ["Beginning", "Seed"]],
    ["button", ["Write", "Continue", "Undo", "Copy text", "Copy link"]],
    ["slider", ["Temperature", "Position"]],
    ["checkbox", ["Color by surprise", /^Keep the seed/]],
    ["combobox", ["Length", "Pace"]],
    ["region", ["Text"]],
    ["complementary", ["What comes next"]],
    ["heading", ["Nietzsche", "Next"]],
    ["list", ["Next"]],
  ]) {
    for (const name of names) {
      assert.equal(await page.getByRole(role, { name, exact: true }).count(), 1, `${role} ${name}`);
    }
  }
  assert.equal(await page.getByRole("list", { name: "Next" }).getByRole("button").count(), 10);
  assert.equal(await page.title(), "Nietzsche");
  assert.equal(await page.locator("html").getAttribute("lang"), "en");
}, { hash: COLD });

onPage("a screen reader hears the start and the end of a text, and nothing between them", "nietzsche", async (visit, page) => {
  await page.evaluate(() => {
    window.heard = [];
    const hear = () => window.heard.push(document.getElementById("status").textContent);
    new MutationObserver(hear).observe(document.getElementById("status"), { childList: true, characterData: true, subtree: true });
  });
  const live = await page.locator("[aria-live], [role=status], [role=alert], [role=log], output").evaluateAll((all) => all.map(({ id }) => id));
  assert.deepEqual(live, ["error", "status"]);
  await page.getByRole("button", { name: "Write", exact: true }).click();
  await page.waitForFunction(() => document.querySelector(".continuation").textContent.length > 20);
  await page.evaluate(() => (document.getElementById("pace").value = "instant"));
  await visit.complete();
  const heard = await page.evaluate(() => window.heard.filter(Boolean));
  assert.deepEqual(heard, ["Writing.", "412 characters."]);
}, { instant: false });

for (const site of ["nietzsche", "character", "word", "byte", "accented", "hebrew"]) {
  onPage(`the page of ${site} fits a screen of 360 pixels`, site, async (visit, page) => {
    const excess = () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.equal(await excess(), 0);
    await visit.write();
    await page.getByLabel("Color by surprise").check();
    await page.getByText("Settings").click();
    assert.equal(await excess(), 0);
    const small = await page.locator("button:visible, select:visible, input:visible").evaluateAll((controls) =>
      controls.filter((control) => {
        const target = control.type === "checkbox" ? control.closest("label") : control;
        const { width, height } = target.getBoundingClientRect();
        return width < 24 || height < 24;
      }).map((control) => control.outerHTML));
    assert.deepEqual(small, []);
  }, { context: { viewport: { width: 360, height: 740 } } });
}

onPage("a percentage is one line on a narrow screen", "nietzsche", async (visit, page) => {
  const lines = await page.locator(".percent:visible").evaluateAll((elements) =>
    elements.map((element) => {
      const range = document.createRange();
      range.selectNodeContents(element);
      return [element.textContent, range.getClientRects().length];
    }));
  assert.ok(lines.some(([text]) => text === "< 0.1%"));
  assert.deepEqual(lines.filter(([, count]) => count !== 1), []);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0);
}, { context: { viewport: { width: 320, height: 640 } }, hash: hashOf({ ...TEXT, temperature: 0.1 }) });

onPage("the last setting stays above the panel of a narrow screen", "nietzsche", async (visit, page) => {
  await page.getByText("Settings").click();
  const [end, panel] = await page.evaluate(() => {
    scrollTo(0, document.documentElement.scrollHeight);
    return [document.getElementById("pace").getBoundingClientRect().bottom, document.querySelector(".panel").getBoundingClientRect().top];
  });
  assert.ok(end <= panel - 8, `${end} ${panel}`);
}, { context: { viewport: { width: 320, height: 640 } } });

onPage("the list of many records is above the panel of a narrow screen", "character", async (visit, page) => {
  await page.getByRole("button", { name: "Write 20", exact: true }).click();
  await page.waitForFunction(() => document.querySelectorAll("#shelf li").length === 20);
  await visit.complete();
  const { top, bottom, panel } = await page.evaluate(() => {
    const { top, bottom } = document.querySelector("#shelf li").getBoundingClientRect();
    return { top, bottom, panel: document.querySelector(".panel").getBoundingClientRect().top };
  });
  assert.ok(top >= 0 && bottom <= panel, `${top} ${bottom} ${panel}`);
}, { context: { viewport: { width: 375, height: 700 } } });

onPage("the end of a streaming text stays above the panel of a narrow screen", "nietzsche", async (visit, page) => {
  await page.getByRole("button", { name: "Write", exact: true }).click();
  await page.waitForFunction(() => document.querySelector(".continuation").textContent.length > 300);
  const [end, panel] = await page.evaluate(() => [
    document.querySelector(".continuation").getBoundingClientRect().bottom,
    document.querySelector(".panel").getBoundingClientRect().top,
  ]);
  assert.ok(end <= panel + 1, `${end} ${panel}`);
}, { instant: false, context: { viewport: { width: 360, height: 740 } } });

onPage("a text appears at once if the system asks for less motion", "nietzsche", async (visit, page) => {
  assert.equal(await page.locator("#pace").inputValue(), "instant");
  await visit.write();
  assert.equal((await visit.text()).length, 400);
}, { instant: false, context: { reducedMotion: "reduce" } });

for (const colorScheme of ["light", "dark"]) {
  onPage(`texts have contrast in ${colorScheme} mode`, "nietzsche", async (visit, page) => {
    const ratios = await page.evaluate(() => {
      const luminance = (color) => {
        const channels = color.match(/[\d.]+/g).slice(0, 3).map((value) => value / 255);
        const [r, g, b] = channels.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const behind = (element) => {
        for (let node = element; node; node = node.parentElement) {
          const color = getComputedStyle(node).backgroundColor;
          if (!/, 0\)$|transparent/.test(color)) return color;
        }
        return "rgb(255, 255, 255)";
      };
      return [".prompt", ".continuation", "#about", "#write", "#status", "label", ".percent", "#context", "summary"].map((selector) => {
        const element = document.querySelector(`main ${selector}, header ${selector}`);
        const [low, high] = [getComputedStyle(element).color, behind(element)].map(luminance).sort((a, b) => a - b);
        return [selector, (high + 0.05) / (low + 0.05)];
      });
    });
    assert.deepEqual(ratios.filter(([, ratio]) => !(ratio >= 4.5)), []);
    const dark = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(dark === "rgb(252, 251, 249)", colorScheme === "light");
  }, { hash: COLD, context: { colorScheme } });
}

onPage("the text is one node, so that screen readers read words", "nietzsche", async (visit, page) => {
  await page.getByLabel("Color by surprise").check();
  await visit.clickCharacter(10);
  const nodes = await page.evaluate(() => document.querySelector(".continuation").childNodes.length);
  assert.equal(nodes, 1);
  assert.equal(await visit.text(), expected.cold.nietzsche);
}, { hash: COLD });
