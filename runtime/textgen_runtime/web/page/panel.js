// The panel of the next characters: at the end of the text, or at a unit that the reader has selected.

import { COUNT, Candidates } from "./candidates.js";
import { PUNCTUATION, describe, lastCharacters, percent } from "./symbols.js";

const CONTEXT = 18;
// Milliseconds between two pictures of the panel while a text streams.
const PAUSE = 160;
const END = "<end>";

export class Panel {
  #candidates;
  #elements;
  #text = null;
  #index = 0;
  #time = 0;

  /** @param {Record<string, HTMLElement>} elements place, context, candidates, others, position */
  constructor(elements, { onChoose, onSelect }) {
    this.#elements = elements;
    this.#candidates = new Candidates(elements.candidates, elements.others, onChoose);
    elements.position.addEventListener("input", () => onSelect(elements.position.valueAsNumber));
  }

  /** The unit that the panel shows; `units.length` is the end. */
  get index() {
    return this.#index;
  }

  /** Whether the last picture is old enough for another one while a text streams. */
  get isDue() {
    return performance.now() - this.#time >= PAUSE;
  }

  /** The text that the panel shows. */
  get text() {
    return this.#text;
  }

  /** Show what could stand at a unit of a text. */
  show(text, index, temperature) {
    this.#time = performance.now();
    if (text.isReading) return this.clear("Reading the beginning.");
    this.#text = text;
    this.#index = Math.min(index, text.units.length);
    const unit = text.units[this.#index];
    const before = text.prompt + text.text.slice(0, unit?.at ?? text.text.length);
    const rows = candidatesOf(text.generationAt(this.#index), temperature, text.level);
    const { place, context, position } = this.#elements;
    place.textContent = unit ? `Instead of ${describe(unit.text)}` : "Next";
    context.textContent = before ? `after ${lastCharacters(before, CONTEXT)}` : "at the beginning";
    this.#candidates.show(rows, unit?.text ?? (text.ended ? null : undefined));
    position.max = text.units.length;
    position.value = this.#index;
    position.disabled = text.units.length === 0;
    position.setAttribute("aria-valuetext", unit ? unitInWords(text, this.#index) : "end of the text");
  }

  /** Show the same place at another temperature. */
  bend(temperature) {
    if (this.#text) this.show(this.#text, this.#index, temperature);
  }

  clear(message) {
    this.#text = null;
    this.#elements.place.textContent = "Next";
    this.#elements.context.textContent = message;
    this.#candidates.show([]);
    this.#elements.others.textContent = "";
    this.#elements.position.disabled = true;
  }
}

/** Return the likeliest tokens with their probabilities at the temperature and at temperature 1. */
function candidatesOf(generation, temperature, level) {
  const bent = new Map(
    generation.next({ k: COUNT, temperature }).map(({ token, probability }) => [token, probability]),
  );
  return generation.next({ k: COUNT, temperature: 1 }).map(({ text, token, probability }) => ({
    text,
    isEnd: text === END,
    // Such as "\xc3", the beginning of a character.
    isByte: level === "byte" && text.length > 1 && text !== END,
    learned: probability,
    probability: bent.get(token) ?? 0,
  }));
}

function unitInWords(text, index) {
  const unit = text.units[index].text;
  const likely = percent(2 ** -text.bitsAt(index));
  return `${PUNCTUATION.get(unit) ?? describe(unit)}, ${index + 1} of ${text.units.length}, ${likely} likely`;
}
