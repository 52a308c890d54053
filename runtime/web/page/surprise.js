// Colors by surprisal, with the levels of the page of textgen-eval --surprise.

import { SUPPORTED, addHighlight, removeHighlights } from "./highlights.js";

// The minimum of each color, in bits. Below the first one, a unit was likelier than all others together.
const BOUNDS = [1, 2, 3, 4, 6, 8];

export const NAMES = BOUNDS.map((_, level) => `surprise-${level + 1}`);

/** Return the level of a surprisal in bits: 0 for no color. */
export function levelOf(bits) {
  return BOUNDS.filter((bound) => bits >= bound).length;
}

/** Color the units from an index on, whose ranges `rangeOf(from, to)` returns; neighbors of one level share a range. */
export function color(bits, start, rangeOf) {
  let from = start;
  for (let to = start + 1; to <= bits.length; to += 1) {
    const level = levelOf(bits[from]);
    if (to < bits.length && levelOf(bits[to]) === level) continue;
    if (level) addHighlight(NAMES[level - 1], rangeOf(from, to));
    from = to;
  }
}

/** Remove the colors. */
export function uncolor() {
  for (const name of NAMES) removeHighlights(name);
}

/** Fill a list with the colors and their bounds. */
export function fillLegend(list) {
  const labels = [`under ${BOUNDS[0]} bit`, ...BOUNDS.slice(0, -1).map((bound, i) => `${bound} to ${BOUNDS[i + 1]}`), `${BOUNDS.at(-1)} or more`];
  list.replaceChildren(
    ...labels.map((label, level) => {
      const item = document.createElement("li");
      item.textContent = label;
      if (level) item.className = NAMES[level - 1];
      return item;
    }),
  );
}

export { SUPPORTED };
