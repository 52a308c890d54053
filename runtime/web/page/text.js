// One text that the model writes: a prompt, a seed, and branches.

import { MAX_BRANCHES, MAX_LENGTH } from "./link.js";

// A copy of the generation is kept at every so many units, so that a copy is near any position.
const MARK_DISTANCE = 64;
// Milliseconds in which the model reads at once. What takes longer is read while the page is drawn.
const READING = 4;

/**
 * A text that grows by one unit at a time.
 *
 * A unit is the smallest part that has a text of its own: a character, or a word of a model of words. At a
 * branch, the text from `at` on (an index of its string) is replaced by the choice, and continues with the seed
 * of the text plus the number of the branch, from 1. Without a choice (""), only the temperature changes. The
 * choice null is the end of a record. The same description always gives the same text.
 */
export class RunningText {
  #model;
  #generation = null;
  /** The parts of the text before the place where the model writes, which it has yet to read; or null. */
  #unread = null;
  /** Copies of the generation, by the unit that comes next; and the latest one that was asked for. */
  #marks = [];
  #probe = null;
  #applied = 0;
  #tokens = 0;
  /** The number of tokens since the last unit. */
  #pending = 0;
  /** A generation behind the units whose surprisals are known. */
  #measured = null;

  /** The units so far: their text, their index in the string, and their number of tokens. */
  units = [];
  /** The surprisals of the first units, in bits; see `measure`. */
  bits = [];
  text = "";
  /** Whether the model, or a branch, ended the record. */
  ended = false;

  /** `prompt` becomes the text that the model has read. */
  constructor(model, { prompt, seed, temperature, length, branches = [] }) {
    this.#model = model;
    Object.assign(this, { seed, temperature, length, branches: [...branches] });
    this.#start(prompt, temperature, seed);
    this.prompt = this.#generation.prompt;
  }

  /** Whether the model still reads. Only `advance` can be called then. */
  get isReading() {
    return this.#unread !== null;
  }

  get isComplete() {
    if (this.isReading || this.#waitingBranch) return false;
    return this.ended || this.#tokens >= this.length;
  }

  /** What a token is: a character, a byte or a word. */
  get level() {
    return this.#model.info.level;
  }

  /** The temperature at the end of the text. */
  get currentTemperature() {
    return this.branches.at(-1)?.temperature ?? this.temperature;
  }

  describe() {
    const { prompt, seed, temperature, length, branches } = this;
    return { prompt, seed, temperature, length, branches };
  }

  /** Write one more token, or read. Return the text that it adds; none if a character needs more bytes. */
  advance() {
    if (this.isReading) return this.#read();
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

  /** Replace the text from a unit on by a choice. At least so many tokens follow, unless it ends the record. Return whether it fits. */
  branch(index, choice, temperature, minimum) {
    const at = this.units[index]?.at ?? this.text.length;
    if (index >= MAX_LENGTH || !this.#addBranch({ at, temperature, choice })) return false;
    this.length = Math.min(MAX_LENGTH, Math.max(this.length, index + minimum));
    return true;
  }

  /** Change the temperature of what follows. Return whether the branch fits. */
  changeTemperature(temperature) {
    return this.#addBranch({ at: this.text.length, temperature, choice: "" });
  }

  /** Let the text end where it is. */
  stop() {
    this.length = Math.min(MAX_LENGTH, this.#tokens);
  }

  /** Let the text become longer by so many tokens, up to those that a link can have. */
  extend(count) {
    this.length = Math.min(MAX_LENGTH, this.#tokens + count);
  }

  /** Return a generation at a unit, which stays this object's. The index of the end is `units.length`. */
  generationAt(index) {
    if (this.#probe?.index !== index) {
      this.#probe?.generation.dispose();
      this.#probe = { index, generation: this.#copyAt(index) };
    }
    return this.#probe.generation;
  }

  /** Compute the surprisals of all units that have none yet. */
  measure() {
    const from = this.bits.length;
    if (from === this.units.length) return;
    this.#measured ??= this.#copyAt(from);
    const added = this.units.slice(from);
    const text = added.map((unit) => unit.text).join("");
    const nats = this.#measured.surprise(text);
    for (const unit of added) this.bits.push(sumInBits(nats.splice(0, Array.from(unit.text).length)));
    this.#measured.feed(text);
  }

  /** Return the surprisal of a unit in bits. */
  bitsAt(index) {
    return this.bits[index] ?? sumInBits(this.generationAt(index).surprise(this.units[index].text));
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
    if (kept.length >= MAX_BRANCHES) return false;
    this.#applied = kept.length;
    this.branches = [...kept, branch];
    return true;
  }

  #start(text, temperature, seed) {
    this.#generation?.dispose();
    this.#unread = this.#model.startInParts(text, { temperature, seed });
    const end = performance.now() + READING;
    do this.#read(); while (this.isReading && performance.now() < end);
  }

  #read() {
    const { value, done } = this.#unread.next();
    this.#generation = value;
    if (done) {
      this.#unread = null;
      this.#mark();
    }
    return "";
  }

  #apply({ at, temperature, choice }) {
    this.#applied += 1;
    this.units = this.units.filter((unit) => unit.at < at);
    this.text = this.text.slice(0, at);
    this.#pending = 0;
    this.#forget(this.units.length + 1);
    this.ended = choice === null;
    if (choice) this.#append(choice, this.level === "byte" ? new TextEncoder().encode(choice).length : 1);
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

  /** Drop the copies from a unit on. */
  #forget(index) {
    for (const mark of this.#marks) if (mark.index >= index) mark.generation.dispose();
    this.#marks = this.#marks.filter((mark) => mark.index < index);
    this.#probe?.generation.dispose();
    this.#measured?.dispose();
    this.#probe = this.#measured = null;
    this.bits.length = Math.min(this.bits.length, this.units.length);
  }
}

const sumInBits = (nats) => nats.reduce((sum, value) => sum + value, 0) / Math.LN2;
