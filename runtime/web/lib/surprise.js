/**
 * Return a value for each character of a text from the values of its tokens. A character of several bytes has their
 * sum, and the characters of a word have equal shares.
 *
 * @param {ArrayLike<number>} tokens
 * @param {ArrayLike<number>} values
 * @param {import("./vocabulary.js").Vocabulary} vocabulary
 * @returns {number[]}
 */
export function characterSums(tokens, values, vocabulary) {
  /** @type {number[]} */
  const sums = [];
  for (let i = 0; i < tokens.length; i++) {
    if (vocabulary.isBytes) {
      const continues = tokens[i] >= 0x80 && tokens[i] < 0xc0;
      sums.push((continues ? /** @type {number} */ (sums.pop()) : 0) + values[i]);
      continue;
    }
    // A special token stands for one character.
    const count = Array.from(vocabulary.symbols[tokens[i]]).length || 1;
    sums.push(...new Array(count).fill(values[i] / count));
  }
  return sums;
}
