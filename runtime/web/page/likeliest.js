// What is likeliest to come next: symbols of the vocabulary, or of a model of bytes, whole characters.

const END = "<end>";
// All bytes and the special tokens.
const ALL = 512;
// The most places at which bytes of a character are looked up, so that the panel is drawn in time.
const MAX_LOOKUPS = 24;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Return the likeliest continuations with their probabilities at a temperature, and those at temperature 1
 * (`learned`), which determine the order. `choice` is the text, or null for the end of a record. A byte that cannot
 * begin a character is no text (`isByte`).
 */
export function likeliest(generation, temperature, level, count) {
  if (level !== "byte") return nextTokens(generation, temperature, count);
  // The likeliest beginning of a character comes first, and is replaced by what can follow it.
  const found = [];
  const open = nextTokens(generation, temperature, ALL);
  for (let lookups = 0; open.length && found.length < count; ) {
    open.sort((a, b) => b.learned - a.learned);
    const best = open.shift();
    const length = best.choice === null ? 1 : lengthOf(best.bytes[0]);
    if (best.bytes.length === length) {
      const choice = best.choice && decode(best.bytes);
      if (choice !== undefined) found.push({ ...best, choice });
    } else if (length === 0) {
      found.push({ ...best, isByte: true });
    } else if (lookups < MAX_LOOKUPS) {
      lookups += 1;
      open.push(...following(generation, temperature, best));
    }
  }
  return found;
}

function nextTokens(generation, temperature, count) {
  const bent = new Map(generation.next({ k: count, temperature }).map(({ token, probability }) => [token, probability]));
  return generation.next({ k: count, temperature: 1 }).map(({ text, token, probability }) => ({
    choice: text === END ? null : text,
    isByte: false,
    bytes: [token],
    learned: probability,
    probability: bent.get(token) ?? 0,
  }));
}

/** Return the beginnings of characters that are longer by one byte. */
function following(generation, temperature, { bytes, learned, probability }) {
  const after = generation.copy();
  try {
    after.feedList(Int32Array.from(bytes));
    return nextTokens(after, temperature, ALL)
      .filter((next) => next.bytes[0] >= 0x80 && next.bytes[0] < 0xc0)
      .map((next) => ({
        ...next,
        bytes: [...bytes, ...next.bytes],
        learned: learned * next.learned,
        probability: probability * next.probability,
      }));
  } finally {
    after.dispose();
  }
}

/** Return how many bytes a character has that begins with this one; 0 for a byte that begins none. */
function lengthOf(first) {
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/** Return the character of some bytes, or undefined if they are none. */
function decode(bytes) {
  try {
    return decoder.decode(Uint8Array.from(bytes));
  } catch {
    return undefined;
  }
}
