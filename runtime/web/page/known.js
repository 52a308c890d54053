// The records that the model has learned from, such as the names of a list, as a Bloom filter. It has all of them, and
// takes a few others for known. The command writes it; see known_records.py.

import { sha256 } from "../lib/sha256.js";

const encoder = new TextEncoder();

/** Return the known records of this page, or null if it shows all records. */
export function knownRecords() {
  const element = document.getElementById("known");
  if (!element) return null;
  const bits = Uint8Array.from(atob(element.textContent), (character) => character.charCodeAt(0));
  const { count, hashes, longest } = element.dataset;
  return new KnownRecords(bits, { count: Number(count), hashes: Number(hashes), longest: Number(longest) });
}

export class KnownRecords {
  #bits;
  #hashes;

  /** `count` is the number of records, `hashes` the positions of each, and `longest` the length of the longest. */
  constructor(bits, { count, hashes, longest }) {
    this.#bits = bits;
    this.#hashes = hashes;
    Object.assign(this, { count, longest });
  }

  /** Whether a record is known. @param {string} record */
  has(record) {
    const digest = sha256(encoder.encode(record));
    const [first, step] = [0, 4].map((at) => new DataView(digest.buffer, digest.byteOffset).getUint32(at, true));
    const size = 8 * this.#bits.length;
    for (let index = 0; index < this.#hashes; index++) {
      const position = (first + index * ((step | 1) >>> 0)) % size;
      if (!(this.#bits[Math.floor(position / 8)] & (1 << (position % 8)))) return false;
    }
    return true;
  }
}
