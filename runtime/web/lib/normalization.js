/**
 * Return a text as the model's training text was normalized.
 *
 * @param {string} text
 * @param {{ level: string, lowercase: boolean, unicode: string | null }} info
 */
export function normalize(text, info) {
  if (info.level === "byte") {
    return text;
  }
  let normalized = text.replace(/^\ufeff/, "").replace(/\r\n?/g, "\n");
  // Each step can undo the other: lower case may separate a letter from its accent, and the compatibility form
  // of a symbol may contain capitals.
  for (;;) {
    const before = normalized;
    normalized = info.lowercase ? normalized.toLowerCase() : normalized;
    normalized = info.unicode ? normalized.normalize(info.unicode) : normalized;
    if (normalized === before || !info.lowercase) {
      return normalized;
    }
  }
}
