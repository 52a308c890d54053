// The elements of the page: what they say, and what the person has set.

import { MAX_LENGTH } from "./link.js";
import { Panel } from "./panel.js";
import { Paper, fillLegend } from "./paper.js";
import { Score } from "./score.js";
import { Shelf } from "./shelf.js";
import { describe } from "./symbols.js";

export function element(id) {
  return document.getElementById(id);
}

export class View {
  score = new Score(element("score"));

  /** What is known of the model. */
  info = null;

  /** `actions` has the functions `choose`, `select`, `show` and `copy`. */
  constructor(actions) {
    this.panel = new Panel(actions.choose, actions.select);
    this.paper = new Paper(element("text"), actions.select);
    this.shelf = new Shelf(element("shelf"), actions.show, actions.copy);
    fillLegend(element("legend"));
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) element("pace").value = "instant";
  }

  /** What the person has set. */
  get settings() {
    return {
      prompt: element("prompt").value,
      seed: element("seed").value.trim(),
      keepsSeed: element("keep").checked,
      temperature: element("temperature").valueAsNumber,
      length: Number(element("length").value),
      onlyNew: element("only-new").checked,
      pace: element("pace").value,
    };
  }

  /** Set the controls of these names. */
  fillIn(values) {
    for (const [id, value] of Object.entries(values)) element(id).value = value;
    this.showTemperature();
  }

  /** Name the characters that the model left out when it read the prompt. */
  noteSkipped(read) {
    const { unicode, lowercase } = this.info;
    const { prompt } = this.settings;
    const typed = unicode ? prompt.normalize(unicode) : prompt;
    const skipped = Array.from(new Set(lowercase ? typed.toLowerCase() : typed)).filter((character) => !read.includes(character));
    element("prompt-help").textContent = skipped.length ? `The model skips ${skipped.map(describe).join(", ")}, which it does not know.` : "";
  }

  showTemperature() {
    element("temperature-value").textContent = this.settings.temperature.toFixed(2);
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
    this.say(isRunning ? "Writing." : "");
    if (isRunning) this.score.hide();
  }

  /** Show that a text is complete. */
  showComplete(text, prefix) {
    const whole = text.prompt + text.text;
    this.showRunning(false);
    element("continue").disabled = text.ended || text.length >= MAX_LENGTH;
    // The beginning of a text is no text, but a beginning can be a whole record.
    if (text.text || (this.info.records && text.prompt)) this.shelf.add(text);
    // A record is short, so a screen reader may read it.
    const record = this.info.records === "lines" ? `${whole}: ` : "";
    this.say(`${prefix}${record}${Array.from(whole).length.toLocaleString("en")} characters.`);
    this.score.show(whole);
  }

  /** Put a link in the address: as a new entry of the history ("push"), or in place of the current one. */
  remember(link, how) {
    if (location.hash === link) return;
    if (how === "push" && location.hash) history.pushState(null, "", link);
    else history.replaceState(null, "", link);
  }

  /** Show the controls that a model needs. */
  use(info) {
    this.info = info;
    const { level, parameters, records, bits } = info;
    for (const part of document.querySelectorAll(".of-models")) part.hidden = false;
    element("write").disabled = false;
    this.shelf.use(records);
    const kind = { character: "one character", byte: "one byte", word: "one word" }[level];
    const size = `${parameters.toLocaleString("en")}${bits === 8 ? " 8-bit" : ""} numbers`;
    element("about").textContent =
      `A model of ${size} that writes ${kind} at a time. It runs in this page, without a network.`;
    // Records end by themselves.
    for (const control of document.querySelectorAll(".of-texts")) control.hidden = Boolean(records);
    for (const control of document.querySelectorAll(".of-records")) control.hidden = !records;
    element("text").classList.toggle("record", records === "lines");
  }
}
