// Names for symbols that a reader cannot see, such as a space.

const NAMES = new Map([
  [" ", "space"],
  ["\n", "line end"],
  ["\t", "tab"],
]);
const LINE_END = "\u21b5";
const SPACE = "\u2423";
const DOTTED_CIRCLE = "\u25cc";
const INVISIBLE = /^[\p{C}\p{Z}]$/u;

/** Return a name for an invisible symbol, and the symbol itself in quotes for any other. */
export function describe(symbol) {
  return nameOf(symbol) ?? `\u201c${symbol}\u201d`;
}

/** Return the name of a symbol that consists of one invisible character, and undefined for any other. */
export function nameOf(symbol) {
  if (NAMES.has(symbol)) return NAMES.get(symbol);
  return INVISIBLE.test(symbol) ? `U+${symbol.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}` : undefined;
}

/** Return a symbol such that a combining mark or a space at its start can be seen. */
export function visible(symbol) {
  const shown = symbol.replaceAll("\n", LINE_END);
  if (/^\p{M}/u.test(shown)) return DOTTED_CIRCLE + shown;
  return shown.length > 1 && shown.startsWith(" ") ? SPACE + shown.slice(1) : shown;
}

/** Return the end of a text in one line, with at most so many characters. Several spaces at its end can be seen. */
export function lastCharacters(text, count) {
  const characters = Array.from(text.slice(-4 * count)).slice(-count).join("");
  const spaced = characters.replace(/^ +$| {2,}$/, (spaces) => SPACE.repeat(spaces.length));
  const shown = spaced.replaceAll("\n", LINE_END);
  return shown.length < text.length ? `\u2026${shown}` : shown;
}

/** Return a probability as a percentage with two significant digits. */
export function percent(probability) {
  const value = 100 * probability;
  if (value >= 99.95) return "100%";
  if (value >= 9.95) return `${Math.round(value)}%`;
  if (value >= 0.095) return `${value.toFixed(1)}%`;
  return value > 0 ? "< 0.1%" : "0%";
}
