// What the controls do to the text on the page, to the panel of next characters, and to the address.

import { Beginning } from "./beginning.js";
import { fromLink, toLink } from "./link.js";
import { Pace, RATES } from "./pace.js";
import { RunningText } from "./text.js";

// At least so many tokens, and a quarter of a text, follow a branch.
const MIN_AFTER_BRANCH = 100;
// The records of a list.
const RECORDS = 20;

export class App {
  #model;
  #view;
  #beginning;
  #pace = new Pace();
  /** They read the beginning of the text, and of the draft. */
  #reader = new Pace();
  #draftReader = new Pace();
  /** The text on the page, or null. */
  #current = null;
  /** The prompt that the person types, as a text of which nothing is written yet, or null. */
  #draft = null;
  /** Whether the panel shows the end of the text, and not a place that the reader has selected. */
  #followsEnd = true;
  /** How many records of a list are not complete. */
  #left = 0;
  /** Whether the current text is in the address. Of a list, only the last record is, so that it is one entry. */
  #isInAddress = true;

  constructor(model, view, known) {
    this.#model = model;
    this.#view = view;
    this.#beginning = new Beginning(model, view, known);
  }

  /** Write a new text, or stop the one that is streaming. */
  writeOrStop() {
    if (this.#pace.isRunning) this.stop();
    else this.#write();
  }

  /** Write several records at once. */
  writeList() {
    this.#left = RECORDS;
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
    this.#endList();
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
    this.#endList();
    if (text === this.#draft) this.#adopt(text);
    const fits = text.branch(index, choice, temperature, Math.max(this.#beginning.length / 4, MIN_AFTER_BRANCH));
    if (this.#view.permits(fits)) this.#stream("push");
  }

  /** Show what could come after the prompt that the person types. */
  followPrompt() {
    if (this.#pace.isRunning) return;
    this.#guard(() => {
      const { panel, paper } = this.#view;
      this.#draftReader.stop();
      const draft = this.#beginning.draft();
      this.#draft?.dispose();
      this.#draft = draft;
      if (!draft) return panel.clear("Type a beginning.");
      const show = () => panel.show(draft, 0, this.#view.temperature);
      this.#draftReader.read(draft, show, (error) => this.#fail(error));
      if (!this.#current) paper.show(draft);
      show();
    });
  }

  /** Show the text of an address at once. */
  open(hash) {
    this.#guard(() => {
      const description = fromLink(hash);
      if (!description) return;
      // The address is already that of this text.
      this.#isInAddress = true;
      this.#endList();
      if (!this.#current || toLink(this.#current.describe()) !== hash) this.show(description);
    });
  }

  /** Show the text of a description at once. */
  show(description) {
    this.#guard(() => {
      this.#endList();
      this.#view.fillIn(description);
      this.#adopt(new RunningText(this.#model, description));
      this.#stream("replace", Infinity);
    });
  }

  get textToCopy() {
    return this.#current.prompt + this.#current.text;
  }

  #write() {
    this.#guard(() => {
      this.#adopt(this.#beginning.start());
      this.#stream("push");
    });
  }

  #adopt(text) {
    this.#pace.stop();
    this.#reader.stop();
    this.#current?.dispose();
    if (text === this.#draft) this.#draft = null;
    this.#current = text;
    this.#followsEnd = true;
    this.#view.paper.show(text);
    // Otherwise, the panel would keep the text that was disposed.
    this.#showPanel();
  }

  #stream(address, fixedRate) {
    const text = this.#current;
    this.#followsEnd = true;
    this.#reader.stop();
    this.#draftReader.stop();
    this.#remember(address);
    this.#view.showRunning(true);
    this.#view.paper.mark(null);
    const rate = () => fixedRate ?? (text.isReading || this.#left ? Infinity : RATES[this.#view.settings.pace]);
    this.#pace.run(text, {
      rate,
      isDone: () => text.isComplete,
      onFrame: () => this.#showProgress(rate() < Infinity),
      onEnd: () => this.#finish(""),
      onError: (error) => this.#fail(error),
    });
  }

  #finish(prefix) {
    const text = this.#current;
    const isInList = this.#left > 0;
    this.#remember("replace");
    this.#view.paper.update();
    this.#showPanel();
    this.#view.showComplete(text, prefix);
    this.#reader.read(text, () => this.#showPanel(), (error) => this.#fail(error));
    if (isInList) this.#left -= 1;
    if (this.#left) this.#write();
    else this.#view.showLast(text, isInList ? RECORDS : 0);
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

  /** Put the link of the current text in the address: as a new entry of the history ("push"), or in place of this one. */
  #remember(how) {
    // Browsers refuse many changes of the address in a short time, so most records of a list change nothing.
    this.#isInAddress = this.#left <= 1;
    if (this.#isInAddress) this.#view.remember(toLink(this.#current.describe()), how);
  }

  /** If there is a list, end it with the current text, which is its last record. */
  #endList() {
    this.#left = 0;
    if (!this.#isInAddress) this.#remember("push");
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
    this.#endList();
    this.#view.showRunning(false, this.#current !== null);
    this.#view.fail(error.message);
  }
}
