const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** Decodes the tokens of one text. At level byte, it holds the bytes of an incomplete character back. */
export class Decoder {
  /**
   * @param {string[]} symbols
   * @param {boolean} isBytes
   * @param {number[]} tail the bytes of the incomplete character
   * @param {boolean} isFinished whether the text was finished within a character
   */
  constructor(symbols, isBytes, tail = [], isFinished = false) {
    this.symbols = symbols;
    this.isBytes = isBytes;
    this.tail = tail;
    this.isFinished = isFinished;
  }

  copy() {
    return new Decoder(this.symbols, this.isBytes, this.tail, this.isFinished);
  }

  /**
   * Return the text that is now certain. Special tokens add no text.
   *
   * @param {Iterable<number>} tokens
   */
  decode(tokens) {
    if (!this.isBytes) {
      let text = "";
      for (const token of tokens) {
        text += this.symbols[token];
      }
      return text;
    }
    return this.#decodeBytes(Array.from(tokens).filter((token) => token < 256));
  }

  /** @param {number[]} bytes */
  #decodeBytes(bytes) {
    if (bytes.length && this.isFinished) {
      this.isFinished = false;
      if (!isContinuation(bytes[0])) {
        this.tail = [];
      }
    }
    const all = [...this.tail, ...bytes];
    const end = all.length - incompleteBytes(all);
    this.tail = all.slice(end);
    return utf8.decode(Uint8Array.from(all.slice(0, end)));
  }

  /** Finish the text. The bytes of an incomplete character are no text, unless the next token continues it. */
  finish() {
    this.isFinished = true;
    return "";
  }
}

/** @param {number} byte */
const isContinuation = (byte) => byte >= 0x80 && byte < 0xc0;

/**
 * Return how many bytes at the end of a text may become a character with further bytes. The limits of the second
 * byte are those of the Unicode Standard, table 3-7.
 *
 * @param {number[]} bytes
 */
function incompleteBytes(bytes) {
  for (let length = 1; length <= Math.min(3, bytes.length); length++) {
    const [first, second] = bytes.slice(-length);
    if (isContinuation(first)) {
      continue;
    }
    const needed = first >= 0xf0 && first <= 0xf4 ? 4 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xc2 && first < 0xe0 ? 2 : 0;
    const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
    const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
    const fits = length === 1 || (second >= least && second <= most);
    return length < needed && fits ? length : 0;
  }
  return 0;
}
