// The panel of the next characters: at the end of the text, or at a unit that the reader has selected.

import { COUNT, Candidates } from "./candidates.js";
import { likeliest } from "./likeliest.js";
import { PUNCTUATION, describe, lastCharacters, percent } from "./symbols.js";

const CONTEXT = 18;
// Milliseconds between two pictures of the panel while a text streams.
const PAUSE = 160;

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
    const rows = likeliest(text.generationAt(this.#index), temperature, text.level, COUNT);
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

function unitInWords(text, index) {
  const unit = text.units[index].text;
  const likely = percent(2 ** -text.bitsAt(index));
  return `${PUNCTUATION.get(unit) ?? describe(unit)}, ${index + 1} of ${text.units.length}, ${likely} likely`;
}
