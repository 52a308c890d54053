// The start of the page: load the model, and connect the controls.

import { load } from "../plain.js";
import { App } from "./app.js";
import { freshSeed } from "./link.js";
import { knownRecords } from "./shelf.js";
import { View, element } from "./view.js";

// Milliseconds without a key after which the panel follows the prompt.
const TYPING_PAUSE = 120;

async function start() {
  const model = await load(await modelSource());
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
  view.seed = freshSeed();
  view.say("");
  element("write").disabled = false;
  app.followPrompt();
  app.open(location.hash);
}

/** Return the model in an element of the page, or the address of the file beside it. */
async function modelSource() {
  const element = document.getElementById("model");
  if (!element) return new URL("model.onnx", document.baseURI);
  const packed = Uint8Array.from(atob(element.textContent), (character) => character.charCodeAt(0));
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate")));
}

function connect(app, view) {
  let typing = 0;
  const on = (id, event, action) => element(id).addEventListener(event, action);
  const write = () => {
    clearTimeout(typing);
    app.writeOrStop();
  };
  const color = () => {
    const { checked } = element("colors");
    view.paper.isColored = checked;
    element("legend").hidden = !checked;
  };
  on("prompt", "input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => app.followPrompt(), TYPING_PAUSE);
  });
  on("form", "submit", (event) => {
    event.preventDefault();
    write();
  });
  on("continue", "click", () => app.continue());
  on("list", "click", () => app.writeList());
  on("undo", "click", () => history.back());
  on("copy", "click", () => copy(view, app.textToCopy));
  on("share", "click", () => copy(view, location.href));
  on("temperature", "input", () => {
    view.showTemperature();
    view.panel.bend(view.temperature);
  });
  on("temperature", "change", () => app.changeTemperature());
  on("seed", "input", () => (element("keep").checked = true));
  on("colors", "change", color);
  // A browser that returns to the page restores the controls.
  view.showTemperature();
  color();
  addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) write();
    if (event.key === "Escape") {
      app.stop();
      view.score.stop();
    }
  });
  addEventListener("hashchange", () => app.open(location.hash));
}

/** Copy a text, also where the browser has no clipboard for pages that are files. */
async function copy(view, text) {
  const isCopied = await navigator.clipboard?.writeText(text).then(() => true, () => false);
  view.say(isCopied || copySelected(text) ? "Copied." : "The browser does not permit copying.");
}

function copySelected(text) {
  const area = document.createElement("textarea");
  const focused = document.activeElement;
  area.value = text;
  area.className = "offscreen";
  document.body.append(area);
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  focused?.focus();
  return isCopied;
}

start().catch((error) => {
  element("status").textContent = "";
  element("error").hidden = false;
  element("error").textContent = `The model cannot run here: ${error.message}`;
});
