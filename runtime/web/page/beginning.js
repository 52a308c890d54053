// How a text begins: what the person typed and set, in the form that the model needs.

import { freshSeed, seedIn } from "./link.js";
import { describe } from "./symbols.js";
import { RunningText } from "./text.js";

const MAX_RECORD = 10_000;
// Milliseconds after which the search for a new record gives up, and tokens that it draws at once.
const SEARCH = 500;
const SEARCH_CHUNK = 64;

/** Starts texts from the prompt, the seed and the settings of a view. */
export class Beginning {
  #model;
  #view;
  #known;
  /** The characters of the model's symbols. */
  #characters;

  /** `known` are the records that are not written, or null. */
  constructor(model, view, known) {
    this.#model = model;
    this.#view = view;
    this.#known = known;
    this.#characters = new Set(model.info.vocabulary.join(""));
  }

  /** The maximum number of tokens of a new text. Records, such as names, end by themselves. */
  get length() {
    return this.#model.info.records ? MAX_RECORD : this.#view.settings.length;
  }

  /** Return a new text. Without a fixed seed, it is another one each time. */
  start() {
    const view = this.#view;
    if (!view.settings.keepsSeed) view.seed = this.#model.info.records ? this.#seedOfRecord() : freshSeed();
    const seed = seedIn(view.seed);
    if (seed === null) throw new Error("The seed must be a number from 0 to 4294967295.");
    return this.#open(view.prompt, seed, this.length) ?? this.#open(this.#storedPrompt(seed), seed, this.length);
  }

  /** Return the prompt as a text of which nothing is written yet; null if it is empty. */
  draft() {
    return this.#open(this.#view.prompt, seedIn(this.#view.seed) ?? 0, 0);
  }

  /** Return a random seed whose record is not empty. If only new ones are wanted, it was not written, and is not known. */
  #seedOfRecord() {
    const { prompt } = this.#read(this.#view.prompt);
    const end = performance.now() + SEARCH;
    do {
      const seed = freshSeed();
      if (!this.#isRejected(prompt, seed)) return seed;
    } while (performance.now() < end);
    if (!this.#view.settings.onlyNew) throw new Error("All texts were empty: raise the temperature, or type a beginning.");
    throw new Error("No new text was found: raise the temperature, change the beginning, or switch Only new off.");
  }

  /** Whether a seed gives a record that is not wanted. One that is longer than all of these is not drawn to its end. */
  #isRejected(prompt, seed) {
    const { settings: { onlyNew }, temperature, shelf } = this.#view;
    const longest = onlyNew ? Math.max(shelf.longest, this.#known?.longest ?? 0) : 0;
    const generation = this.#model.start(prompt, { seed, temperature });
    let record = generation.prompt;
    while (!generation.ended && record.length <= longest) {
      record += generation.take(SEARCH_CHUNK);
    }
    const isComplete = generation.ended;
    generation.dispose();
    if (!isComplete) return false;
    return !record || (onlyNew && (shelf.has(record) || Boolean(this.#known?.has(record))));
  }

  /** Return a text, and say below the prompt how the model reads that; null if there is no prompt. */
  #open(typed, seed, length) {
    const { prompt, note } = this.#read(typed);
    const { temperature } = this.#view;
    this.#view.note = note;
    try {
      return new RunningText(this.#model, { prompt, seed, temperature, length });
    } catch (error) {
      if (error.code === "NO_PROMPT") return null;
      throw error;
    }
  }

  /**
   * Return a typed text as the model reads it, and a note on the difference. A capital that the model does not know is
   * read in lower case if the model knows that. Other characters that it does not know are left out, also if the model
   * has a symbol for them: the prompt of a link could not contain it.
   */
  #read(typed) {
    const { info } = this.#model;
    const knows = (text) => info.level === "byte" || Array.from(text).every((character) => this.#characters.has(character));
    const normalized = this.#model.normalize(typed);
    const read = new Map();
    for (const character of new Set(normalized)) {
      read.set(character, [character, character.toLowerCase()].find(knows) ?? "");
    }
    const skipped = [...read.keys()].filter((character) => !read.get(character));
    const lowers = [...read].some(([character, text]) => text && text !== character) || (info.lowercase && typed !== typed.toLowerCase());
    const notes = lowers ? ["The model reads capitals in lower case."] : [];
    if (skipped.length) notes.push(`The model skips ${skipped.map(describe).join(", ")}, which it does not know.`);
    return { prompt: Array.from(normalized, (character) => read.get(character)).join(""), note: notes.join(" ") };
  }

  #storedPrompt(seed) {
    const { prompts } = this.#model.info;
    if (!prompts.length) throw new Error("Type a beginning: the model has none of its own.");
    const prompt = prompts[seed % prompts.length];
    this.#view.fillIn({ prompt });
    return prompt;
  }
}
