// The text on the page: the prompt, and what the model wrote. A click on it selects a unit.

import { addHighlight, removeHighlights } from "./highlights.js";
import { color, uncolor } from "./surprise.js";

const CURSOR = "cursor";
// A text that grows by more pixels at once is not followed.
const MAX_SCROLL = 120;

export class Paper {
  #prompt;
  #node = document.createTextNode("");
  #lineEnd;
  #text = null;
  #isColored = false;
  /** The number of units that have their color. */
  #colored = 0;

  /** `onSelect(index)` follows a click on a unit. */
  constructor(element, onSelect) {
    this.element = element;
    this.#prompt = element.querySelector(".prompt");
    this.#lineEnd = element.querySelector(".line-end");
    element.querySelector(".continuation").append(this.#node);
    element.addEventListener("click", (event) => {
      // The end of a drag that selects text is no click on a character.
      if (!getSelection().isCollapsed) return;
      const index = this.#unitAt(event.clientX, event.clientY);
      if (index !== null) onSelect(index);
    });
  }

  get isColored() {
    return this.#isColored;
  }

  set isColored(colored) {
    this.#isColored = colored;
    this.#recolor();
  }

  /** Show a running text, as far as it is written. */
  show(text) {
    this.#text = text;
    this.#prompt.textContent = text.prompt;
    this.#node.data = "";
    this.#recolor();
    this.update();
  }

  /** Show what has been written since the last call, or what a branch has replaced. */
  update() {
    const { text } = this.#text;
    const shown = this.#node.data;
    if (text.startsWith(shown)) {
      this.#node.appendData(text.slice(shown.length));
      this.#color();
    } else {
      this.#node.data = text;
      this.#recolor();
    }
  }

  /** Scroll so that the end of a growing text stays in sight, unless the reader has scrolled away from it. */
  follow(limit) {
    const { bottom } = this.element.getBoundingClientRect();
    const hidden = bottom - limit;
    if (hidden > 0 && hidden < MAX_SCROLL) scrollBy({ top: hidden, behavior: "instant" });
  }

  /** Mark the unit at an index; null for none. */
  mark(index) {
    const isUnit = index !== null && index < this.#text.units.length;
    const range = isUnit ? this.#range(index, index + 1) : null;
    removeHighlights(CURSOR);
    if (range) addHighlight(CURSOR, range);
    this.#lineEnd.hidden = !isUnit || this.#text.units[index].text !== "\n";
    if (!this.#lineEnd.hidden) this.#placeLineEnd(range);
  }

  /** A line end has no width, so that a highlight of it cannot be seen. */
  #placeLineEnd(range) {
    const page = this.element.getBoundingClientRect();
    const { left, top } = range.getBoundingClientRect();
    Object.assign(this.#lineEnd.style, { left: `${left - page.left}px`, top: `${top - page.top}px` });
  }

  #recolor() {
    uncolor();
    this.#colored = 0;
    this.#color();
  }

  /** Color what has been written since the last call. */
  #color() {
    if (!this.#isColored || !this.#text) return;
    this.#text.measure();
    color(this.#text.bits, this.#colored, (from, to) => this.#range(from, to));
    this.#colored = this.#text.bits.length;
  }

  #range(from, to) {
    const { units, text } = this.#text;
    const range = document.createRange();
    range.setStart(this.#node, Math.min(units[from].at, this.#node.length));
    range.setEnd(this.#node, Math.min(units[to]?.at ?? text.length, this.#node.length));
    return range;
  }

  /** Return the index of the unit at a point of the window, or null. */
  #unitAt(x, y) {
    const offset = this.#offsetAt(x, y);
    if (offset === null) return null;
    const { units } = this.#text;
    const after = units.findLastIndex(({ at }) => at <= offset);
    // The caret stands before or after the character at the point.
    for (const index of [after, after - 1, after + 1]) {
      if (units[index] && covers(this.#range(index, index + 1), x, y)) return index;
    }
    return units[after]?.text === "\n" ? after : null;
  }

  #offsetAt(x, y) {
    if (document.caretPositionFromPoint) {
      const position = document.caretPositionFromPoint(x, y);
      return position?.offsetNode === this.#node ? position.offset : null;
    }
    const range = document.caretRangeFromPoint?.(x, y);
    return range?.startContainer === this.#node ? range.startOffset : null;
  }
}

function covers(range, x, y) {
  return Array.from(range.getClientRects()).some(
    ({ left, right, top, bottom }) => left <= x && x <= right && top <= y && y <= bottom,
  );
}
