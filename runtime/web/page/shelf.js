// The texts that have been written, such as names: a list from which each can be opened again. With those of a corpus,
// they are the texts that are not new.

import { decodeBase64 } from "../lib/loading.js";
import { toLink } from "./link.js";

// Records are short, and the page writes many at once.
const [MAX_RECORDS, MAX_TEXTS] = [1000, 10];
const EXCERPT = 200;
// The title of a tune in ABC notation.
const TITLE = /^X:.*\n(?:\w:.*\n)*?T: *(.*\S)/;

/** The list. It stays while the page is open. */
export class Shelf {
  #section;
  #list;
  #records;
  /** The listed texts and their items, by their keys, in the order of the list. */
  #entries = new Map();
  /** The numbers of the models. */
  #models = new Map();
  /** All texts that were on the list. */
  #written = new Set();

  /** `onChoose({ description, model })` follows a press on a text; `onCopy(text)` one on the button that copies the list. */
  constructor(section, onChoose, onCopy) {
    this.#section = section;
    this.#list = section.querySelector("ol");
    this.#list.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) onChoose(this.#entries.get(button.value));
    });
    section.querySelector(":scope > button").addEventListener("click", () => {
      onCopy(Array.from(this.#entries.values(), ({ text }) => text).join(this.#records === "lines" ? "\n" : "\n\n"));
    });
  }

  /** List the texts of another model, which has these records. */
  use(records) {
    this.#records = records;
    this.#section.classList.toggle("of-lines", records === "lines");
  }

  /** Whether a text was on the list. */
  has(text) {
    return this.#written.has(text);
  }

  /** Mark a text as the current one. It is added at the end, or takes the place of what it continues. */
  add(written) {
    const [{ prompt, text, model }, description] = [written, written.describe()];
    if (!this.#models.has(model)) this.#models.set(model, this.#models.size);
    const key = `${this.#models.get(model)}${toLink({ ...description, length: 0 })}`;
    const whole = prompt + text;
    const item = this.#entries.get(key)?.item ?? this.#append(key);
    const [button] = item.children;
    // Texts often have the same beginning, which is a part of a record.
    const shown = this.#records ? (TITLE.exec(whole)?.[1] ?? whole) : text.trim();
    button.textContent = shown.slice(0, EXCERPT) + "\u2026".repeat(shown.length > EXCERPT);
    this.#list.querySelector("[aria-current]")?.removeAttribute("aria-current");
    button.setAttribute("aria-current", "true");
    this.#entries.set(key, { description, model, text: whole, item });
    this.#written.add(whole);
    if (this.#entries.size > (this.#records ? MAX_RECORDS : MAX_TEXTS)) {
      this.#entries.delete(this.#entries.keys().next().value);
      this.#list.firstElementChild.remove();
    }
    this.#section.hidden = false;
  }

  /** Scroll so that the last text is in sight. */
  reveal() {
    this.#list.lastElementChild?.scrollIntoView({ block: "nearest", behavior: "instant" });
  }

  #append(key) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.value = key;
    item.append(button);
    this.#list.append(item);
    return item;
  }
}

/**
 * The records that a model has learned from, such as the names of a list. They are a Bloom filter, which has all of them, and
 * takes a few others for known. See known_records.py.
 */
export class KnownRecords {
  /** @param {Uint8Array} bits @param {number} count of the records @param {number} hashes */
  constructor(bits, count, hashes) {
    Object.assign(this, { bits, count, hashes });
  }

  /** Return those that the page has, or null. */
  static ofPage() {
    const element = document.getElementById("known");
    if (!element) return null;
    const { count, hashes } = element.dataset;
    return new KnownRecords(decodeBase64(element.textContent), Number(count), Number(hashes));
  }

  /** Return a filter of records, with the numbers of known_records.py. @param {Set<string>} records */
  static of(records, model) {
    const known = new KnownRecords(new Uint8Array(Math.floor((10 * records.size) / 8) + 1), records.size, 7);
    for (const record of records) {
      for (const position of known.#positions(record, model)) known.bits[position >> 3] |= 1 << (position % 8);
    }
    return known;
  }

  /** Whether a record is known. @param {string} record @param {any} model any one, which computes its digest */
  has(record, model) {
    return this.#positions(record, model).every((position) => this.bits[position >> 3] & (1 << (position % 8)));
  }

  #positions(record, model) {
    const digest = new DataView(model.digest(record).buffer);
    const [first, step] = [digest.getUint32(0, true), (digest.getUint32(4, true) | 1) >>> 0];
    return Array.from({ length: this.hashes }, (_, index) => (first + index * step) % (8 * this.bits.length));
  }
}
