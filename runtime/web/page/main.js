// The start of the page: load the model if there is one, and connect the controls.

import { quantize } from "../learn.js";
import { decodeBase64 } from "../lib/loading.js";
import { load } from "../plain.js";
import { App } from "./app.js";
import { pageWith, rememberPage, saveFile } from "./keep.js";
import { Lesson } from "./lesson.js";
import { freshSeed } from "./link.js";
import { KnownRecords } from "./shelf.js";
import { View, element } from "./view.js";

rememberPage();

/** The model on the page: its content, its name, and the records that it has learned from; or null. */
let current = null;

async function start() {
  const view = new View({
    choose: (choice) => app.choose(choice),
    select: (index) => app.select(index),
    show: ({ description, model }) => app.show(description, model),
    copy: (text) => copy(view, text),
  });
  const app = new App(view);
  connect(app, view);
  view.fillIn({ seed: freshSeed() });
  // What a person types follows the beginning, and does not come before it.
  const { length } = element("prompt").value;
  element("prompt").setSelectionRange(length, length);
  const packed = element("model").textContent;
  const use = async (content, { name, records = null, known = null }) => {
    const model = await load(content);
    if (records) known = records === current?.records ? current.known : KnownRecords.of(records, model);
    current = { content, name, records, known, isOwn: !current && Boolean(packed) };
    document.title = document.querySelector("h1").textContent = name;
    app.use(model, known);
    return model;
  };
  const lesson = new Lesson(use, () => current?.content ?? null);
  if (!packed) {
    lesson.open();
    return;
  }
  const unpacked = new Blob([decodeBase64(packed)]).stream().pipeThrough(new DecompressionStream("deflate"));
  const content = new Uint8Array(await new Response(unpacked).arrayBuffer());
  await use(content, { name: document.title, known: KnownRecords.ofPage() });
  // A browser that returned to the page has restored the controls.
  element("temperature").dispatchEvent(new Event("input"));
  element("colors").dispatchEvent(new Event("change"));
  app.open(location.hash);
}

function connect(app, view) {
  const on = (id, event, action) => element(id).addEventListener(event, action);
  const color = () => {
    const { checked } = element("colors");
    view.paper.isColored = checked;
    element("legend").hidden = !checked;
  };
  on("prompt", "input", () => app.followPrompt());
  on("form", "submit", (event) => {
    event.preventDefault();
    app.writeOrStop();
  });
  on("continue", "click", () => app.continue());
  on("list", "click", () => app.writeList());
  on("copy", "click", () => copy(view, app.textToCopy));
  on("share", "click", () => copy(view, location.href));
  const save = (id, action) => on(id, "click", () => action(current).catch((error) => view.fail(error.message)));
  save("save-model", async ({ content }) => saveFile("model.onnx", content, "application/octet-stream"));
  save("save-small", async ({ content }) => saveFile("model.onnx", await quantize(content), "application/octet-stream"));
  save("save-page", async (model) => saveFile(`${model.name}.html`, await pageWith(model), "text/html"));
  on("temperature", "input", () => {
    view.showTemperature();
    view.panel.bend(view.settings.temperature);
  });
  on("temperature", "change", () => app.changeTemperature());
  on("seed", "input", () => (element("keep").checked = true));
  on("colors", "change", color);
  addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.id !== "pasted") app.writeOrStop();
    if (event.key === "Escape") {
      app.stop();
      view.score.stop();
    }
  });
  addEventListener("hashchange", () => current && app.open(location.hash));
}

/** Copy a text. Browsers have a clipboard for pages that are files, or come over https. */
async function copy(view, text) {
  const isCopied = await navigator.clipboard?.writeText(text).then(() => true, () => false);
  view.say(isCopied ? "Copied." : "The browser does not permit copying.");
}

start().catch((error) => {
  element("status").textContent = "";
  element("error").hidden = false;
  element("error").textContent = `The page cannot run here: ${error.message}`;
});
