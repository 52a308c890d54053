// The likeliest next characters as bars, which bend with the temperature. Each is a button that branches.

import { PUNCTUATION, describe, nameOf, percent, visible } from "./symbols.js";

export const COUNT = 10;

export class Candidates {
  #list;
  #others;
  #rows = [];

  /** `onChoose(choice)` follows a press: the text of a candidate, or null for the end of a record. */
  constructor(list, others, onChoose) {
    this.#list = list;
    this.#others = others;
    list.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) onChoose(this.#rows[button.value].choice);
    });
  }

  /**
   * Show candidates.
   *
   * @param {{text: string, isEnd: boolean, isByte: boolean, probability: number, learned: number}[]} candidates
   *     `probability` is the one at the temperature, and `learned` the one at temperature 1. A byte that
   *     begins no character cannot be chosen.
   * @param {string | null | undefined} taken The choice that the text has taken here; undefined for none.
   */
  show(candidates, taken) {
    while (this.#list.children.length < candidates.length) this.#list.append(makeRow(this.#list.children.length));
    this.#rows = candidates.map(({ text, isEnd }) => ({ choice: isEnd ? null : text }));
    Array.from(this.#list.children).forEach((row, i) => {
      row.hidden = i >= candidates.length;
      if (!row.hidden) fillRow(row, candidates[i], this.#rows[i].choice === taken);
    });
    const rest = Math.max(0, 1 - candidates.reduce((sum, { probability }) => sum + probability, 0));
    const isAmong = typeof taken === "string" && !this.#rows.some(({ choice }) => choice === taken);
    this.#others.textContent = `All others${isAmong ? `, with ${describe(taken)}` : ""}: ${percent(rest)}`;
  }
}

function makeRow(number) {
  const row = document.getElementById("candidate").content.firstElementChild.cloneNode(true);
  row.firstElementChild.value = number;
  return row;
}

function fillRow(row, { text, isEnd, isByte, probability, learned }, isTaken) {
  const button = row.firstElementChild;
  button.disabled = isByte;
  const symbol = button.querySelector(".symbol");
  const name = isEnd ? "end" : nameOf(text);
  symbol.textContent = name ?? visible(text);
  symbol.classList.toggle("name", name !== undefined);
  button.querySelector("i").style.width = `${100 * probability}%`;
  button.querySelector("b").style.insetInlineStart = `${100 * learned}%`;
  button.querySelector(".percent").textContent = percent(probability);
  button.querySelector(".offscreen").textContent = PUNCTUATION.get(text) ?? "";
  if (isTaken) button.setAttribute("aria-current", "true");
  else button.removeAttribute("aria-current");
}
