// The README that npm shows: each example runs with the packed package.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { BROWSER, Project } from "./packed.mjs";
import { serve } from "./server.mjs";

const README = readFileSync("runtime/web/README.md", "utf-8");
const CDN = "https://cdn.jsdelivr.net";
const { name, version } = JSON.parse(readFileSync("runtime/web/package.json", "utf-8"));
const PACKAGE = `npm/${name}@${version}`;

/** The blocks of code of a language. */
const blocks = (language) => [...README.matchAll(new RegExp(`\`\`\`${language}\n([^\`]*)\`\`\``, "g"))].map(([, text]) => text);

const [NODE, WORKER] = blocks("js");
const [PAGE, WORKER_PAGE] = blocks("html");
const [PROGRAM] = blocks("ts");
const [TEXT] = blocks("text").map((text) => text.trimEnd());

let project, browser, cdn, site;

before(async () => {
  project = new Project();
  project.copyModel("nietzsche.onnx", "model.onnx");
  cdn = await serve({ npm: join(project.folder, "cdn") });
  site = await serve({ site: project.folder });
  browser = await chromium.launch(BROWSER);
  await project.run("mkdir", "-p", "cdn");
  await project.run("cp", "-r", `node_modules/${name}`, `cdn/${name}@${version}`);
});

after(async () => {
  await browser.close();
  cdn.close();
  site.close();
  project.delete();
});

/** Open a page of the project, and return its text once it is complete, and the requested files of the CDN. */
async function open(file) {
  const page = await browser.newPage();
  const requests = [];
  page.on("response", (response) => response.url().startsWith(cdn.origin) && requests.push(new URL(response.url()).pathname));
  await page.goto(`${site.origin}/site/${file}`);
  const isComplete = (length) => document.getElementById("text").textContent.length >= length;
  await page.waitForFunction(isComplete, TEXT.length);
  const text = await page.locator("#text").textContent();
  await page.close();
  return { text, requests };
}

/** Text in which a local server with the paths of the CDN stands for it. */
const local = (text) => text.replaceAll(CDN, cdn.origin);

test("the example for Node writes the text that the README shows", async () => {
  project.write({ "generate.mjs": NODE });
  assert.equal(await project.run("node", "generate.mjs"), TEXT);
});

test("the page and the worker that import the package from a CDN write the same text", async () => {
  project.write({ "page.html": local(PAGE), "worker-page.html": local(WORKER_PAGE), "worker.js": local(WORKER) });
  assert.equal((await open("page.html")).text, TEXT);
  assert.equal((await open("worker-page.html")).text, TEXT);
});

test("the example for TypeScript has no error in strict mode, and writes a line", async () => {
  const tsc = resolve("tests/web/node_modules/.bin/tsc");
  project.write({ "program.ts": PROGRAM });
  const strict = ["--strict", "--target", "ES2022", "--module", "nodenext"];
  await project.run(tsc, "program.ts", ...strict);
  assert.match(await project.run("node", "program.js"), new RegExp(`^${TEXT.split("\n")[0]} stop `));
});

test("each address of the package has its name and version, and is one of its files", () => {
  const addresses = README.match(/https:\/\/(cdn\.jsdelivr\.net|unpkg\.com)[^\s`")]*/g);
  assert.ok(addresses.length >= 5);
  for (const address of addresses) {
    const path = new URL(address).pathname.replace(/^\/npm/, "");
    assert.ok(path.startsWith(`/${name}@${version}/`), address);
    assert.ok(readFileSync(join(project.folder, "cdn", path)).length, address);
  }
});
