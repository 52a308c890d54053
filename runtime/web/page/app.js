// What the controls do to the text on the page, to the panel of next characters, and to the address.

import { Addresses } from "./addresses.js";
import { Beginning } from "./beginning.js";
import { fromLink, toLink } from "./link.js";
import { Pace, RATES } from "./pace.js";
import { Reading } from "./reading.js";
import { RunningText } from "./running-text.js";

// At least so many tokens, and a quarter of a text, follow a branch.
const MIN_AFTER_BRANCH = 100;

export class App {
  #model;
  #view;
  #beginning;
  #pace = new Pace();
  #reading = new Reading((error) => this.#fail(error));
  /** The text on the page, or null. */
  #current = null;
  /** Whether the panel shows the end of the text, and not a place that the reader has selected. */
  #followsEnd = true;
  #addresses;

  constructor(model, view, known) {
    this.#model = model;
    this.#view = view;
    this.#addresses = new Addresses(view);
    this.#beginning = new Beginning(model, view, known, (error) => this.#fail(error));
  }

  /** Write a new text, or stop the one that is streaming. */
  writeOrStop() {
    if (this.#pace.isRunning) this.stop();
    else this.#write();
  }

  /** Write several records at once. */
  writeList() {
    this.#addresses.startList();
    this.#write();
  }

  /** Write more of the text. */
  continue() {
    const [{ settings, temperature }, text] = [this.#view, this.#current];
    if (temperature !== text.currentTemperature && !this.#view.permits(text.changeTemperature(temperature))) return;
    text.extend(settings.length);
    this.#stream("replace");
  }

  /** Stop a streaming text. */
  stop() {
    if (!this.#pace.isRunning) return;
    this.#pace.stop();
    this.#current.stop();
    this.#addresses.endList(this.#current);
    this.#finish("Stopped: ");
  }

  /** Let a streaming text go on at the temperature of the slider. */
  changeTemperature() {
    if (this.#pace.isRunning) this.#view.permits(this.#current.changeTemperature(this.#view.temperature));
  }

  /** Select a unit of the text; the index of the end is the number of units. */
  select(index) {
    if (!this.#current) return;
    this.#followsEnd = index >= this.#current.units.length;
    this.#showPanel(index);
  }

  /** Continue with a candidate of the panel instead of what stands at its place. */
  choose(choice) {
    const { panel: { text, index }, temperature } = this.#view;
    this.#addresses.endList(this.#current);
    if (text === this.#beginning.draft) this.#adopt(text);
    const fits = text.branch(index, choice, temperature, Math.max(this.#beginning.length / 4, MIN_AFTER_BRANCH));
    if (this.#view.permits(fits)) this.#stream("push");
  }

  /** Show what could come after the prompt that the person types. */
  followPrompt() {
    if (this.#pace.isRunning) return;
    this.#guard(() => {
      const { panel, paper, temperature } = this.#view;
      const draft = this.#beginning.nextDraft(() => panel.show(draft, 0, this.#view.temperature));
      if (!draft) return panel.clear("Type a beginning.");
      if (!this.#current) paper.show(draft);
      panel.show(draft, 0, temperature);
    });
  }

  /** Show the text of an address at once. Return whether it has one. */
  open(hash) {
    return this.#guard(() => {
      const description = fromLink(hash);
      if (!description) return false;
      this.#addresses.endList(null);
      if (!this.#current || toLink(this.#current.describe()) !== hash) this.show(description);
      return true;
    });
  }

  /** Show the text of a description at once. */
  show(description) {
    this.#guard(() => {
      this.#addresses.endList(this.#current);
      this.#view.fillIn(description);
      this.#run(new RunningText(this.#model, description), "replace", Infinity);
    });
  }

  get textToCopy() {
    return this.#current.prompt + this.#current.text;
  }

  #write() {
    this.#guard(() => this.#run(this.#beginning.start(), "push"));
  }

  #run(text, address, rate) {
    this.#adopt(text);
    this.#stream(address, rate);
  }

  #adopt(text) {
    this.#pace.stop();
    this.#reading.stop();
    this.#current?.dispose();
    this.#beginning.release(text);
    this.#current = text;
    this.#followsEnd = true;
    this.#view.paper.show(text);
    // Otherwise, the panel would keep the text that was disposed.
    this.#showPanel();
  }

  #stream(address, rate) {
    const text = this.#current;
    this.#followsEnd = true;
    this.#reading.stop();
    this.#beginning.stopReading();
    this.#addresses.remember(text, address);
    this.#view.showRunning(true);
    this.#view.paper.mark(null);
    const isInstant = () => text.isReading || this.#addresses.isInList;
    const currentRate = () => rate ?? (isInstant() ? Infinity : RATES[this.#view.settings.pace]);
    this.#pace.run({
      rate: currentRate,
      isDone: () => text.isComplete,
      step: () => text.advance().length,
      onFrame: () => this.#showProgress(currentRate() < Infinity),
      onEnd: () => this.#finish(""),
      onError: (error) => this.#fail(error),
    });
  }

  #finish(prefix) {
    const text = this.#current;
    this.#addresses.remember(text, "replace");
    this.#view.paper.update();
    this.#showPanel();
    this.#view.showComplete(text, prefix);
    this.#reading.run(text, () => this.#showPanel());
    const { isInList } = this.#addresses;
    if (this.#addresses.completeRecord()) this.#write();
    else this.#view.showLast(text, isInList);
  }

  #showProgress(isFollowed) {
    const { paper, panel, lowestLine } = this.#view;
    paper.update();
    if (isFollowed) paper.follow(lowestLine);
    if (panel.isDue) this.#showPanel();
  }

  #showPanel(index = this.#followsEnd ? Infinity : this.#view.panel.index) {
    this.#view.panel.show(this.#current, index, this.#view.temperature);
    this.#view.paper.mark(this.#followsEnd ? null : index);
  }

  /** Do something, and show an error that it raises. */
  #guard(action) {
    this.#view.fail("");
    try {
      return action();
    } catch (error) {
      this.#fail(error);
      return false;
    }
  }

  #fail(error) {
    this.#pace.stop();
    this.#addresses.endList(this.#current);
    this.#view.showRunning(false, this.#current !== null);
    this.#view.fail(error.message);
  }
}
