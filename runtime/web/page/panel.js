// The panel of the next characters: at the end of the text, or at a unit that the reader has selected. The likeliest
// ones are bars, which bend with the temperature. Each is a button that branches.

import { describe, lastCharacters, nameOf, percent, visible } from "./symbols.js";

const COUNT = 10;
const CONTEXT = 18;
// Milliseconds between two pictures of the panel while a text streams.
const PAUSE = 160;

const [place, context, list, others, position] = ["place", "context", "candidates", "others", "position"].map((id) =>
  document.getElementById(id),
);

export class Panel {
  #candidates = [];
  #time = 0;

  /** The text that the panel shows, and the unit of it; `units.length` is the end. */
  text = null;
  index = 0;

  /** `onChoose(choice)` follows a press: the text of a candidate, or null for the end of a record. */
  constructor(onChoose, onSelect) {
    list.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) onChoose(this.#candidates[button.value].choice);
    });
    position.addEventListener("input", () => onSelect(position.valueAsNumber));
  }

  /** Whether the last picture is old enough for another one while a text streams. */
  get isDue() {
    return performance.now() - this.#time >= PAUSE;
  }

  /** Show what could stand at a unit of a text. */
  show(text, index, temperature) {
    this.#time = performance.now();
    this.text = text;
    this.index = Math.min(index, text.units.length);
    const unit = text.units[this.index];
    const before = text.prompt + text.text.slice(0, unit?.at ?? text.text.length);
    place.textContent = unit ? `Instead of ${describe(unit.text)}` : "Next";
    context.textContent = before ? `after ${lastCharacters(before, CONTEXT)}` : "at the beginning";
    this.#list(text.nextAt(this.index, temperature, COUNT), unit?.text ?? (text.ended ? null : undefined));
    position.max = text.units.length;
    position.value = this.index;
    position.disabled = text.units.length === 0;
    const words = unit ? `${describe(unit.text)}, ${this.index + 1} of ${text.units.length}` : "end of the text";
    position.setAttribute("aria-valuetext", words);
  }

  /** Show the same place at another temperature. */
  bend(temperature) {
    if (this.text) this.show(this.text, this.index, temperature);
  }

  clear(message) {
    this.text = null;
    place.textContent = "Next";
    context.textContent = message;
    this.#list([]);
    others.textContent = "";
    position.disabled = true;
  }

  /** List candidates. `taken` is the choice that the text has taken here; undefined for none. */
  #list(candidates, taken) {
    this.#candidates = candidates;
    while (list.children.length < candidates.length) list.append(makeRow(list.children.length));
    Array.from(list.children).forEach((row, i) => {
      row.hidden = i >= candidates.length;
      if (!row.hidden) fillRow(row.firstElementChild, candidates[i], candidates[i].choice === taken);
    });
    const rest = Math.max(0, 1 - candidates.reduce((sum, { probability }) => sum + probability, 0));
    const isAmong = typeof taken === "string" && !candidates.some(({ choice }) => choice === taken);
    others.textContent = `All others${isAmong ? `, with ${describe(taken)}` : ""}: ${percent(rest)}`;
  }
}

function makeRow(number) {
  const row = document.getElementById("candidate").content.firstElementChild.cloneNode(true);
  row.firstElementChild.value = number;
  return row;
}

function fillRow(button, { choice, isByte, probability, learned }, isTaken) {
  const symbol = button.querySelector(".symbol");
  const name = choice === null ? "end" : nameOf(choice);
  button.disabled = isByte;
  symbol.textContent = name ?? visible(choice);
  symbol.classList.toggle("name", name !== undefined);
  button.querySelector("i").style.width = `${100 * probability}%`;
  button.querySelector("b").style.insetInlineStart = `${100 * learned}%`;
  button.querySelector(".percent").textContent = percent(probability);
  button.setAttribute("aria-current", isTaken);
}
