const REPLACEMENT = "\ufffd";
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

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
    /** The token of each symbol that is a character or a word: bytes from 0x80 on are none. */
    this.tokens = new Map(symbols.flatMap((symbol, token) => (symbol && !(this.isBytes && token >= 128) ? [[symbol, token]] : [])));
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
}
