// Marks in a text without elements: the text stays one node, so that letters join and screen readers read words.

export const SUPPORTED = typeof Highlight === "function" && Boolean(globalThis.CSS?.highlights);

/** Also show a range with the style `::highlight(name)`. */
export function addHighlight(name, range) {
  if (!SUPPORTED) return;
  if (!CSS.highlights.has(name)) CSS.highlights.set(name, new Highlight());
  CSS.highlights.get(name).add(range);
}

/** Show no range with this style. */
export function removeHighlights(name) {
  if (SUPPORTED) CSS.highlights.delete(name);
}
