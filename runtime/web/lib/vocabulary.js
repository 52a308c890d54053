const REPLACEMENT = "\ufffd";
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** The symbols of a model. A token is the index of its symbol. */
export class Vocabulary {
  /** @param {import("../index.d.ts").ModelInfo} info */
  constructor({ vocabulary, level, special }) {
    this.symbols = vocabulary;
    this.isBytes = level === "byte";
    this.end = special.end ?? -1;
    /** The token of each symbol that is a character or a word: bytes from 0x80 on are none. */
    this.tokens = new Map(vocabulary.flatMap((symbol, token) => (symbol && !(this.isBytes && token >= 128) ? [[symbol, token]] : [])));
  }

  /**
   * Return the text of tokens. At level byte, special tokens are not among them.
   *
   * @param {ArrayLike<number>} tokens
   */
  decode(tokens) {
    if (this.isBytes) {
      return utf8.decode(Uint8Array.from(tokens));
    }
    let text = "";
    for (let i = 0; i < tokens.length; i += 1) {
      text += this.symbols[tokens[i]];
    }
    return text;
  }

  /**
   * Return the text of a token without its neighbors: `<end>` for the end of a record, and a name such as `\xc3`
   * for a byte that is not ASCII.
   *
   * @param {number} token
   */
  textOf(token) {
    if (token === this.end) {
      return "<end>";
    }
    if (this.isBytes && token >= 128 && token < 256) {
      return `\\x${token.toString(16)}`;
    }
    return this.symbols[token] || REPLACEMENT;
  }

  /**
   * Return a value for each character of a text from the values of its tokens. A character of several bytes has their
   * sum, and the characters of a word have equal shares.
   *
   * @param {ArrayLike<number>} tokens
   * @param {ArrayLike<number>} values
   */
  characterSums(tokens, values) {
    /** @type {number[]} */
    const sums = [];
    for (let i = 0; i < tokens.length; i++) {
      if (this.isBytes) {
        const continues = tokens[i] >= 0x80 && tokens[i] < 0xc0;
        sums.push((continues ? /** @type {number} */ (sums.pop()) : 0) + values[i]);
        continue;
      }
      // A special token stands for one character.
      const count = Array.from(this.symbols[tokens[i]]).length || 1;
      sums.push(...new Array(count).fill(values[i] / count));
    }
    return sums;
  }
}

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
