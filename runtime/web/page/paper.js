// The text on the page: the prompt, and what the model wrote. A click on it selects a unit. The cursor and the colors
// are highlights without elements: the text stays one node, so that letters join and screen readers read words.

const CURSOR = "cursor";
// The minimum of each color, in bits. Below the first one, a unit was likelier than all others together. The page of
// textgen-eval --surprise has the same colors.
const BOUNDS = [1, 2, 3, 4, 6, 8];
const nameOf = (level) => `surprise-${level}`;
// A text that grows by more pixels at once is not followed, and so many of a new one are in sight.
const MAX_SCROLL = 120;

export class Paper {
  #prompt;
  #node = document.createTextNode("");
  #text = null;
  #isColored = false;
  /** The number of units that have their color. */
  #colored = 0;

  /** `onSelect(index)` follows a click on a unit. */
  constructor(element, onSelect) {
    this.element = element;
    this.#prompt = element.querySelector(".prompt");
    element.querySelector(".continuation").append(this.#node);
    element.addEventListener("click", (event) => {
      // The end of a drag that selects text is no click on a character.
      if (!getSelection().isCollapsed) return;
      const index = this.#unitAt(event.clientX, event.clientY);
      if (index !== null) onSelect(index);
    });
  }

  set isColored(colored) {
    this.#isColored = colored;
    this.#recolor();
  }

  /** Show a running text, as far as it is written. */
  show(text) {
    this.#text = text;
    this.#prompt.textContent = text.prompt;
    this.#node.data = text.text;
    this.#recolor();
  }

  /** Show what has been written since the last call, or what a branch has replaced. */
  update() {
    const { text } = this.#text;
    const shown = this.#node.data;
    if (!text.startsWith(shown)) return this.show(this.#text);
    this.#node.appendData(text.slice(shown.length));
    this.#color();
  }

  /** Scroll so that the beginning of a new text is in sight, also on a small screen. */
  reveal(limit) {
    const { top } = this.element.getBoundingClientRect();
    if (top > limit - MAX_SCROLL) this.element.scrollIntoView({ block: "start", behavior: "instant" });
  }

  /** Scroll so that the end of a growing text stays in sight, unless the reader has scrolled away from it. */
  follow(limit) {
    const hidden = this.element.getBoundingClientRect().bottom - limit;
    if (hidden > 0 && hidden < MAX_SCROLL) scrollBy({ top: hidden, behavior: "instant" });
  }

  /** Mark the unit at an index; null for none. */
  mark(index) {
    CSS.highlights.delete(CURSOR);
    if (index !== null && index < this.#text.units.length) highlight(CURSOR, this.#range(index, index + 1));
  }

  #recolor() {
    BOUNDS.forEach((_, i) => CSS.highlights.delete(nameOf(i + 1)));
    this.#colored = 0;
    this.#color();
  }

  /** Color what has been written since the last call. */
  #color() {
    if (!this.#isColored || !this.#text) return;
    this.#text.measure();
    const { bits } = this.#text;
    while (this.#colored < bits.length) {
      const from = this.#colored;
      const level = levelOf(bits[from]);
      do this.#colored += 1; while (levelOf(bits[this.#colored]) === level);
      if (level) highlight(nameOf(level), this.#range(from, this.#colored));
    }
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

/** Return the level of a surprisal in bits: 0 for no color; of none, undefined. */
function levelOf(bits) {
  return bits === undefined ? undefined : BOUNDS.filter((bound) => bits >= bound).length;
}

/** Also show a range with the style `::highlight(name)`. */
function highlight(name, range) {
  if (!CSS.highlights.has(name)) CSS.highlights.set(name, new Highlight());
  CSS.highlights.get(name).add(range);
}

/** Fill a list with the colors and their bounds. */
export function fillLegend(list) {
  const ranges = BOUNDS.slice(0, -1).map((bound, i) => `${bound} to ${BOUNDS[i + 1]}`);
  [`under ${BOUNDS[0]} bit`, ...ranges, `${BOUNDS.at(-1)} or more`].forEach((label, level) => {
    const item = document.createElement("li");
    item.textContent = label;
    if (level) item.className = nameOf(level);
    list.append(item);
  });
}

function covers(range, x, y) {
  return Array.from(range.getClientRects()).some(
    ({ left, right, top, bottom }) => left <= x && x <= right && top <= y && y <= bottom,
  );
}
