// What the controls do to the text on the page, to the panel of next characters, and to the address.

import { MAX_LENGTH, MAX_SEED, freshSeed, fromLink, numberIn, toLink } from "./link.js";
import { Pace, RATES } from "./pace.js";
import { RunningText } from "./text.js";
import { element } from "./view.js";

// At least so many tokens, and a quarter of a text, follow a branch.
const MIN_AFTER_BRANCH = 100;
// The records of a list, and the most tokens of one.
const [RECORDS, MAX_RECORD] = [20, 10_000];
// Milliseconds after which the search for a new record gives up.
const SEARCH = 500;

export class App {
  #model = null;
  #view;
  #known = null;
  #pace = new Pace();
  /** The text on the page, or null. */
  #current = null;
  /** The prompt that the person types, as a text of which nothing is written yet, or null. */
  #draft = null;
  /** Whether the panel shows the end of the text, and not a place that the reader has selected. */
  #followsEnd = true;

  constructor(view) {
    this.#view = view;
  }

  /** Write with another model from now on. `known` are the KnownRecords that are not written, or null. */
  use(model, known) {
    this.#model = model;
    this.#known = known;
    this.#view.use(model.info);
    const others = known ? `, and not one of ${known.count.toLocaleString("en")} known ones` : "";
    element("new").textContent = `Only new: not written on this page before${others}`;
    this.followPrompt();
  }

  /** Write a new text, or stop the one that is streaming. */
  writeOrStop() {
    if (this.#pace.isRunning) return this.stop();
    if (!this.#model) return;
    this.#guard(() => {
      this.#stream(this.#begin(), "push");
      this.#view.paper.reveal(this.#view.lowestLine);
    });
  }

  /** Write several records at once. */
  writeList() {
    let last = null;
    this.#guard(() => {
      for (let left = RECORDS; left > 0; left -= 1) {
        const text = this.#begin();
        while (!text.isComplete) text.advance();
        this.#view.shelf.add(text);
        last?.dispose();
        last = text;
      }
    });
    if (!last) return;
    this.#adopt(last);
    this.#finish("", "push");
    this.#view.shelf.reveal();
  }

  /** Write more of the text. */
  continue() {
    const [{ temperature, length }, text] = [this.#view.settings, this.#current];
    if (temperature !== text.currentTemperature) text.changeTemperature(temperature);
    text.extend(length);
    this.#stream(text, "replace");
  }

  /** Stop a streaming text. */
  stop() {
    if (!this.#pace.isRunning) return;
    this.#pace.stop();
    this.#current.extend(0);
    this.#finish("Stopped: ");
  }

  /** Let a streaming text go on at the temperature of the slider. */
  changeTemperature() {
    if (this.#pace.isRunning) this.#current.changeTemperature(this.#view.settings.temperature);
  }

  /** Select a unit of the text; the index of the end is the number of units. */
  select(index) {
    if (!this.#current) return;
    this.#followsEnd = index >= this.#current.units.length;
    this.#showPanel(index);
  }

  /** Continue with a candidate of the panel instead of what stands at its place. */
  choose(choice) {
    const { panel: { text, index }, settings } = this.#view;
    if (index >= MAX_LENGTH) return;
    text.branch(index, choice, settings.temperature, Math.max(this.#length / 4, MIN_AFTER_BRANCH));
    this.#stream(text, "push");
  }

  /** Show what could come after the prompt that the person types. */
  followPrompt() {
    if (this.#pace.isRunning || !this.#model) return;
    this.#guard(() => {
      const { panel, paper, settings } = this.#view;
      this.#draft?.dispose();
      this.#draft = this.#open(settings.prompt, numberIn(settings.seed, MAX_SEED, "seed"), 0);
      if (!this.#draft) return panel.clear("Type a beginning.");
      this.#view.noteSkipped(this.#draft.prompt);
      if (!this.#current) paper.show(this.#draft);
      panel.show(this.#draft, 0, settings.temperature);
    });
  }

  /** Show the text of an address at once. */
  open(hash) {
    this.#guard(() => {
      const description = fromLink(hash);
      if (description && (!this.#current || toLink(this.#current.describe()) !== hash)) this.show(description);
    });
  }

  /** Show the text of a description at once, as this model writes it. */
  show(description, model = this.#model) {
    this.#guard(() => {
      const text = new RunningText(model, description);
      this.#view.fillIn({ prompt: description.prompt, seed: text.seed, temperature: text.currentTemperature });
      this.#stream(text, "replace", Infinity);
    });
  }

  get textToCopy() {
    return this.#current.prompt + this.#current.text;
  }

  /** The maximum number of tokens of a new text. Records, such as names, end by themselves. */
  get #length() {
    return this.#model.info.records ? MAX_RECORD : this.#view.settings.length;
  }

  /** Return a new text. Without a fixed seed, it is another one each time. */
  #begin() {
    const view = this.#view;
    if (!view.settings.keepsSeed) view.fillIn({ seed: this.#model.info.records ? this.#seedOfRecord() : freshSeed() });
    const seed = numberIn(view.settings.seed, MAX_SEED, "seed");
    const typed = this.#open(view.settings.prompt, seed, this.#length);
    const text = typed ?? this.#open(null, seed, this.#length);
    if (!text) throw new Error("Type a beginning: the model has none of its own.");
    if (!typed) view.fillIn({ prompt: text.prompt });
    view.noteSkipped(text.prompt);
    return text;
  }

  /** Return a text, or null if it has no beginning. */
  #open(prompt, seed, length) {
    try {
      return new RunningText(this.#model, { prompt, seed, length, temperature: this.#view.settings.temperature });
    } catch (error) {
      if (error.code === "NO_PROMPT") return null;
      throw error;
    }
  }

  /** Return a random seed whose record is not empty. If only new ones are wanted, it was not written, and is not known. */
  #seedOfRecord() {
    const { settings: { prompt, temperature, onlyNew }, shelf } = this.#view;
    const end = performance.now() + SEARCH;
    do {
      const seed = freshSeed();
      const generation = this.#model.start(prompt, { seed, temperature, unknown: "skip" });
      const record = generation.prompt + generation.take(MAX_RECORD, { finish: true });
      generation.dispose();
      if (record && !(onlyNew && (shelf.has(record) || this.#known?.has(record, this.#model)))) return seed;
    } while (performance.now() < end);
    throw new Error("No new text was found: raise the temperature, change the beginning, or switch Only new off.");
  }

  /** Make a text the one on the page. */
  #adopt(text) {
    this.#pace.stop();
    if (text === this.#draft) this.#draft = null;
    if (text !== this.#current) {
      this.#current?.dispose();
      this.#current = text;
      this.#view.paper.show(text);
    }
    this.#followsEnd = true;
    // Otherwise, the panel would keep the text that was disposed.
    this.#showPanel();
  }

  #stream(text, address, fixedRate) {
    this.#adopt(text);
    this.#view.remember(toLink(text.describe()), address);
    this.#view.showRunning(true);
    const rate = () => fixedRate ?? RATES[this.#view.settings.pace];
    this.#pace.run(text, {
      rate,
      onFrame: () => this.#showProgress(rate() < Infinity),
      onEnd: () => this.#finish(""),
      onError: (error) => this.#fail(error),
    });
  }

  #finish(prefix, address = "replace") {
    this.#view.remember(toLink(this.#current.describe()), address);
    this.#view.paper.update();
    this.#showPanel();
    this.#view.showComplete(this.#current, prefix);
  }

  #showProgress(isFollowed) {
    const { paper, panel, lowestLine } = this.#view;
    paper.update();
    if (isFollowed) paper.follow(lowestLine);
    if (panel.isDue) this.#showPanel();
  }

  #showPanel(index = this.#followsEnd ? Infinity : this.#view.panel.index) {
    this.#view.panel.show(this.#current, index, this.#view.settings.temperature);
    this.#view.paper.mark(this.#followsEnd ? null : index);
  }

  /** Do something, and show an error that it raises. */
  #guard(action) {
    this.#view.fail("");
    try {
      action();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error) {
    this.#pace.stop();
    this.#view.showRunning(false, this.#current !== null);
    this.#view.fail(error.message);
  }
}
