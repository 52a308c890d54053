// One text that the model writes: a prompt, a seed, and branches.

import { MAX_LENGTH } from "./link.js";

// A copy of the generation is kept at every so many units, so that a copy is near any position.
const MARK_DISTANCE = 64;
const END = "<end>";

/**
 * A text that grows by one unit at a time.
 *
 * A unit is the smallest part that has a text of its own: a character, or a word of a model of words. At a
 * branch, the text from `at` on (an index of its string) is replaced by the choice, and continues with the seed
 * of the text plus the number of the branch, from 1. Without a choice (""), only the temperature changes. The
 * choice null is the end of a record. The same description always gives the same text.
 */
export class RunningText {
  model;
  #generation = null;
  /** Copies of the generation, by the unit that comes next. */
  #marks = [];
  #applied = 0;
  #tokens = 0;
  /** The number of tokens since the last unit. */
  #pending = 0;

  /** The units so far: their text, their index in the string, and their number of tokens. */
  units = [];
  /** The surprisals of the first units, in bits; see `measure`. */
  bits = [];
  text = "";
  /** Whether the model, or a branch, ended the record. */
  ended = false;

  /** `prompt` becomes the text that the model has read. If it is null, that is one of the model's own. */
  constructor(model, { prompt, seed, temperature, length, branches = [] }) {
    this.model = model;
    Object.assign(this, { seed, temperature, length, branches: [...branches] });
    this.#start(prompt, temperature, seed);
    this.prompt = this.#generation.prompt;
  }

  get isComplete() {
    return !this.#waitingBranch && (this.ended || this.#tokens >= this.length);
  }

  /** The temperature at the end of the text. */
  get currentTemperature() {
    return this.branches.at(-1)?.temperature ?? this.temperature;
  }

  describe() {
    const { prompt, seed, temperature, length, branches } = this;
    return { prompt, seed, temperature, length, branches };
  }

  /** Write one more token. Return the text that it adds; none if a character needs more bytes. */
  advance() {
    const branch = this.#waitingBranch;
    if (branch) return this.#apply(branch);
    const text = this.#generation.take(1);
    this.#tokens += 1;
    this.#pending += 1;
    this.ended = this.#generation.ended;
    if (!text) return "";
    this.#append(text, this.#pending);
    if (this.units.length % MARK_DISTANCE === 0 && !this.ended) this.#mark();
    return text;
  }

  /** Replace the text from a unit on by a choice. At least so many tokens follow, unless it ends the record. */
  branch(index, choice, temperature, minimum) {
    this.#addBranch({ at: this.units[index]?.at ?? this.text.length, temperature, choice });
    this.length = Math.min(MAX_LENGTH, Math.max(this.length, index + minimum));
  }

  /** Change the temperature of what follows. */
  changeTemperature(temperature) {
    this.#addBranch({ at: this.text.length, temperature, choice: "" });
  }

  /** Let the text become longer by so many tokens, up to those that a link can have; by 0, it ends where it is. */
  extend(count) {
    this.length = Math.min(MAX_LENGTH, this.#tokens + count);
  }

  /**
   * Return the likeliest symbols at a unit, at most `count`; the index of the end is `units.length`. Each has its
   * probabilities at a temperature, and at temperature 1 (`learned`), which determines the order. `choice` is the text,
   * or null for the end of a record. A byte that is no character is no text (`isByte`).
   */
  nextAt(index, temperature, count) {
    const generation = this.#copyAt(index);
    const bent = new Map(generation.next({ k: count, temperature }).map(({ token, probability }) => [token, probability]));
    const next = generation.next({ k: count, temperature: 1 }).filter(({ probability }) => probability > 0);
    generation.dispose();
    return next.map(({ text, token, probability }) => ({
      choice: text === END ? null : text,
      isByte: this.model.info.level === "byte" && token >= 0x80 && text !== END,
      learned: probability,
      probability: bent.get(token) ?? 0,
    }));
  }

  /** Compute the surprisals of all units that have none yet. */
  measure() {
    const added = this.units.slice(this.bits.length);
    if (!added.length) return;
    const generation = this.#copyAt(this.bits.length);
    const nats = generation.surprise(added.map(({ text }) => text).join(""));
    generation.dispose();
    for (const { text } of added) {
      this.bits.push(nats.splice(0, Array.from(text).length).reduce((sum, value) => sum + value, 0) / Math.LN2);
    }
  }

  dispose() {
    this.#forget(0);
    this.#generation.dispose();
  }

  /** The next branch, if the text has reached it. */
  get #waitingBranch() {
    const branch = this.branches[this.#applied];
    return branch && (this.ended || this.text.length >= branch.at) ? branch : null;
  }

  #addBranch(branch) {
    const kept = this.branches.filter(({ at }) => at < branch.at);
    this.#applied = kept.length;
    this.branches = [...kept, branch];
  }

  #start(prompt, temperature, seed) {
    const started = this.model.start(prompt, { temperature, seed, unknown: "skip" });
    this.#generation?.dispose();
    this.#generation = started;
    this.#mark();
  }

  #apply({ at, temperature, choice }) {
    this.#applied += 1;
    this.units = this.units.filter((unit) => unit.at < at);
    this.text = this.text.slice(0, at);
    this.#pending = 0;
    this.#forget(this.units.length + 1);
    this.ended = choice === null;
    const isBytes = this.model.info.level === "byte";
    if (choice) this.#append(choice, isBytes ? new TextEncoder().encode(choice).length : 1);
    this.#tokens = this.units.reduce((sum, { tokens }) => sum + tokens, 0);
    if (this.ended) return "";
    this.#start(this.prompt + this.text, temperature, this.seed + this.#applied);
    return choice;
  }

  #append(text, tokens) {
    this.units.push({ text, at: this.text.length, tokens });
    this.text += text;
    this.#pending = 0;
  }

  #mark() {
    this.#marks.push({ index: this.units.length, generation: this.#generation.copy() });
  }

  #copyAt(index) {
    const mark = this.#marks.findLast((candidate) => candidate.index <= index);
    const generation = mark.generation.copy();
    const between = this.units.slice(mark.index, index).map(({ text }) => text).join("");
    if (between) generation.feed(between);
    return generation;
  }

  /** Drop what is known of the units from an index on. */
  #forget(index) {
    for (const mark of this.#marks) if (mark.index >= index) mark.generation.dispose();
    this.#marks = this.#marks.filter((mark) => mark.index < index);
    this.bits.length = Math.min(this.bits.length, this.units.length);
  }
}
