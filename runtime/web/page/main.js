// The start of the page: load the model, and connect the controls.

import { App } from "./app.js";
import { copy } from "./clipboard.js";
import { knownRecords } from "./known.js";
import { freshSeed } from "./link.js";
import { openModel } from "./model.js";
import { View, element } from "./view.js";

// Milliseconds without a key after which the panel follows the prompt.
const TYPING_PAUSE = 120;

async function start() {
  const model = await openModel();
  const view = new View(model.info, {
    choose: (choice) => app.choose(choice),
    select: (index) => app.select(index),
    show: (description) => app.show(description),
    copy: (text) => tellCopied(view, text),
  });
  const known = knownRecords();
  if (known) element("new").textContent += `, and not one of ${known.count.toLocaleString("en")} known ones`;
  const app = new App(model, view, known);
  connect(app, view);
  view.seed = freshSeed();
  view.say("");
  element("write").disabled = false;
  app.followPrompt();
  app.open(location.hash);
}

function connect(app, view) {
  let typing = 0;
  element("prompt").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => app.followPrompt(), TYPING_PAUSE);
  });
  const write = () => {
    clearTimeout(typing);
    app.writeOrStop();
  };
  element("form").addEventListener("submit", (event) => {
    event.preventDefault();
    write();
  });
  element("continue").addEventListener("click", () => app.continue());
  element("list").addEventListener("click", () => app.writeList());
  element("undo").addEventListener("click", () => history.back());
  element("copy").addEventListener("click", () => tellCopied(view, app.textToCopy));
  element("share").addEventListener("click", () => tellCopied(view, location.href));
  element("temperature").addEventListener("input", () => {
    view.showTemperature();
    view.panel.bend(view.temperature);
  });
  element("temperature").addEventListener("change", () => app.changeTemperature());
  element("seed").addEventListener("input", () => {
    element("keep").checked = true;
  });
  const color = () => {
    const { checked } = element("colors");
    view.paper.isColored = checked;
    element("legend").hidden = !checked;
  };
  element("colors").addEventListener("change", color);
  // A browser that returns to the page restores the controls.
  view.showTemperature();
  color();
  addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) write();
    if (event.key === "Escape") {
      app.stop();
      view.stopPlaying();
    }
  });
  addEventListener("hashchange", () => app.open(location.hash));
}

async function tellCopied(view, text) {
  view.say((await copy(text)) ? "Copied." : "The browser does not permit copying.");
}

start().catch((error) => {
  element("status").textContent = "";
  element("error").hidden = false;
  element("error").textContent = `The model cannot run here: ${error.message}`;
});
