// The elements of the page: what they say, and what the person has set.

import { MAX_BRANCHES, MAX_LENGTH } from "./link.js";
import { Panel } from "./panel.js";
import { HAS_COLORS, Paper, fillLegend } from "./paper.js";
import { Score } from "./score.js";
import { Shelf } from "./shelf.js";

export function element(id) {
  return document.getElementById(id);
}

export class View {
  score = new Score(element("score"));

  /** `actions` has the functions `choose`, `select`, `show` and `copy`. */
  constructor(model, actions) {
    this.info = model.info;
    this.panel = new Panel(actions.choose, actions.select);
    this.paper = new Paper(element("text"), actions.select);
    this.shelf = new Shelf(element("shelf"), model, actions.show, actions.copy);
    this.#describeModel();
    fillLegend(element("legend"));
    element("colors").disabled = !HAS_COLORS;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) element("pace").value = "instant";
  }

  get prompt() {
    return element("prompt").value;
  }

  get seed() {
    return element("seed").value;
  }

  set seed(seed) {
    element("seed").value = seed;
  }

  get temperature() {
    return element("temperature").valueAsNumber;
  }

  get settings() {
    return {
      keepsSeed: element("keep").checked,
      length: Number(element("length").value),
      onlyNew: Boolean(this.info.records) && element("only-new").checked,
      pace: element("pace").value,
    };
  }

  set note(text) {
    element("prompt-help").textContent = text;
  }

  /** Set the controls to the values of a description. */
  fillIn({ prompt, seed, temperature, branches }) {
    element("prompt").value = prompt;
    if (seed !== undefined) this.seed = seed;
    if (temperature !== undefined) {
      element("temperature").value = branches?.at(-1)?.temperature ?? temperature;
      this.showTemperature();
    }
  }

  showTemperature() {
    element("temperature-value").textContent = this.temperature.toFixed(2);
  }

  /** The lowest point of the window that the panel does not cover, in pixels. */
  get lowestLine() {
    const { top, left } = document.querySelector(".panel").getBoundingClientRect();
    const isBelow = left < element("text").getBoundingClientRect().right;
    return isBelow ? Math.min(top, innerHeight) : innerHeight;
  }

  /** Show an error in one line; "" removes it. */
  fail(message) {
    element("error").hidden = !message;
    element("error").textContent = message;
  }

  say(message) {
    element("status").textContent = message;
  }

  /** Show whether a text is streaming, and whether there is one. */
  showRunning(isRunning, hasText = true) {
    element("write").textContent = isRunning ? "Stop" : "Write";
    element("text").setAttribute("aria-busy", isRunning);
    for (const id of ["continue", "copy", "share"]) element(id).disabled = isRunning || !hasText;
    element("list").disabled = isRunning;
    element("undo").disabled = isRunning || depth() === 0;
    this.say(isRunning ? "Writing." : "");
    if (isRunning) this.score.hide();
  }

  /** Return whether a branch fits; otherwise, say what does. */
  permits(fits) {
    const limits = [MAX_LENGTH, MAX_BRANCHES].map((number) => number.toLocaleString("en"));
    this.fail(fits ? "" : `A text has at most ${limits[0]} symbols and ${limits[1]} branches.`);
    return fits;
  }

  /** Show the score of a complete text that no other one follows, and the list whose last record it is. */
  showLast(text, listed) {
    this.score.show(text.prompt + text.text);
    if (listed) this.shelf.reveal(listed, this.lowestLine);
  }

  /** Show that a text is complete. */
  showComplete(text, prefix) {
    this.showRunning(false);
    const isFull = !text.ended && text.length >= MAX_LENGTH;
    element("continue").disabled = text.ended || isFull;
    const count = Array.from(text.prompt + text.text).length;
    const limit = isFull ? ", and a link can have no more" : "";
    const amount = `${count.toLocaleString("en")} character${count === 1 ? "" : "s"}${limit}.`;
    // The beginning of a text is no text, but a beginning can be a whole record.
    if (text.text || (this.info.records && text.prompt)) this.shelf.add(text);
    // A record is short, so a screen reader may read it.
    this.say(this.info.records === "lines" ? `${prefix}${text.prompt}${text.text}: ${amount}` : prefix + amount);
  }

  /** Put a link in the address: as a new entry of the history ("push"), or in place of the current one. */
  remember(link, how) {
    if (location.hash === link) return;
    if (how === "push" && location.hash) history.pushState({ depth: depth() + 1 }, "", link);
    else history.replaceState(history.state, "", link);
  }

  #describeModel() {
    const { level, parameters, records, bits } = this.info;
    const kind = { character: "one character", byte: "one byte", word: "one word" }[level];
    const size = `${parameters.toLocaleString("en")}${bits === 8 ? " 8-bit" : ""} numbers`;
    element("about").textContent =
      `A model of ${size} that writes ${kind} at a time. It runs in this page, without a network.`;
    for (const id of ["list", "only-new-label"]) element(id).hidden = !records;
    // Records end by themselves.
    for (const control of document.querySelectorAll(".of-texts")) control.hidden = Boolean(records);
    element("text").classList.toggle("record", records === "lines");
  }
}

/** Return how many entries of the history this page has added before the current one. */
function depth() {
  return history.state?.depth ?? 0;
}
