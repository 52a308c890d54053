const REPLACEMENT = "\ufffd";

/** The symbols of a model. A token is the index of its symbol. */
export class Vocabulary {
  /**
   * @param {string[]} symbols
   * @param {string} level
   * @param {number} end the token that ends a record, or -1
   */
  constructor(symbols, level, end) {
    this.symbols = symbols;
    this.isBytes = level === "byte";
    this.end = end;
    const entries = /** @type {[string, number][]} */ (symbols.map((symbol, token) => [symbol, token]));
    /** The token of each symbol. */
    this.entries = new Map(entries.filter(([symbol]) => symbol));
    /** The same for the symbols that are characters or words: bytes from 0x80 on are none. */
    this.tokens = new Map([...this.entries].filter(([, token]) => !this.isBytes || token < 128));
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
}
