// The start of the page: load the model, and connect the controls.

import { decodeBase64 } from "../lib/loading.js";
import { load } from "../plain.js";
import { App } from "./app.js";
import { freshSeed } from "./link.js";
import { knownRecords } from "./shelf.js";
import { View, element } from "./view.js";

async function start() {
  const packed = decodeBase64(element("model").textContent);
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const model = await load(new Response(unpacked));
  const view = new View(model, {
    choose: (choice) => app.choose(choice),
    select: (index) => app.select(index),
    show: (description) => app.show(description),
    copy: (text) => copy(view, text),
  });
  const known = knownRecords(model);
  if (known) element("new").textContent += `, and not one of ${known.count.toLocaleString("en")} known ones`;
  const app = new App(model, view, known);
  connect(app, view);
  view.fillIn({ seed: freshSeed() });
  view.say("");
  element("write").disabled = false;
  app.followPrompt();
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
  on("temperature", "input", () => {
    view.showTemperature();
    view.panel.bend(view.settings.temperature);
  });
  on("temperature", "change", () => app.changeTemperature());
  on("seed", "input", () => (element("keep").checked = true));
  on("colors", "change", color);
  // A browser that returns to the page restores the controls.
  view.showTemperature();
  color();
  addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) app.writeOrStop();
    if (event.key === "Escape") {
      app.stop();
      view.score.stop();
    }
  });
  addEventListener("hashchange", () => app.open(location.hash));
}

/** Copy a text. Browsers have a clipboard for pages that are files, or come over https. */
async function copy(view, text) {
  const isCopied = await navigator.clipboard?.writeText(text).then(() => true, () => false);
  view.say(isCopied ? "Copied." : "The browser does not permit copying.");
}

start().catch((error) => {
  element("status").textContent = "";
  element("error").hidden = false;
  element("error").textContent = `The model cannot run here: ${error.message}`;
});
