// The records that the model has learned from, such as the names of a list, as a Bloom filter. It has all of them, and
// takes a few others for known. The command writes it; see known_records.py.

import { sha256 } from "../package/lib/sha256.js";

const encoder = new TextEncoder();

/** Return the known records of this page, or null if it shows all records. */
export function knownRecords() {
  const element = document.getElementById("known");
  if (!element) return null;
  const bits = Uint8Array.from(atob(element.textContent), (character) => character.charCodeAt(0));
  return new KnownRecords(bits, Number(element.dataset.hashes), Number(element.dataset.longest));
}

export class KnownRecords {
  #bits;
  #hashes;

  /** @param {Uint8Array} bits @param {number} hashes positions of each record @param {number} longest length of a record */
  constructor(bits, hashes, longest) {
    this.#bits = bits;
    this.#hashes = hashes;
    this.longest = longest;
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
