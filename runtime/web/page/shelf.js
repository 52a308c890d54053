// The texts that have been written, such as names: a list from which each can be opened again. With those of a corpus,
// they are the texts that are not new.

import { fromLink, toLink } from "./link.js";

// Records are short, and the page writes many at once.
const [MAX_RECORDS, MAX_TEXTS] = [1000, 10];
const EXCERPT = 200;

/** The list. It stays while the tab is open, also after a reload, unless the browser permits no storage. */
export class Shelf {
  #section;
  #list;
  #isOfRecords;
  /** Whether a text is one short line. */
  #isOfLines;
  /** The listed texts, by their keys, in the order of the list. */
  #texts = new Map();
  /** All texts that were on the list. */
  #written = new Set();
  /** Each model has its own texts. */
  #key;

  /** The length of the longest text that was on the list. */
  longest = 0;

  /** `onChoose(description)` follows a press on a text; `onCopy(text)` one on a button that copies. */
  constructor(section, model, onChoose, onCopy) {
    const { records } = model.info;
    this.#section = section;
    this.#list = section.querySelector("ol");
    this.#isOfRecords = Boolean(records);
    this.#isOfLines = records === "lines";
    this.#key = `textgen ${model.sha256}`;
    section.classList.toggle("of-lines", this.#isOfLines);
    this.#list.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      const { description, text } = this.#texts.get(button.value);
      if (button.className) onCopy(text);
      else onChoose(description);
    });
    const all = section.querySelector(":scope > button");
    all.hidden = !this.#isOfRecords;
    all.addEventListener("click", () => {
      onCopy(Array.from(this.#texts.values(), ({ text }) => text).join(this.#isOfLines ? "\n" : "\n\n"));
    });
    try {
      for (const [link, text] of JSON.parse(sessionStorage.getItem(this.#key)) ?? []) this.#put(fromLink(link), `${text}`);
    } catch {
      // There is no storage, or something else is there.
    }
  }

  /** Whether a text was on the list. */
  has(text) {
    return this.#written.has(text);
  }

  /** Mark a text as the current one. It is added at the end, or takes the place of what it continues. */
  add(text) {
    const key = this.#put(text.describe(), text.prompt + text.text);
    for (const button of this.#list.querySelectorAll("button")) {
      if (button.value === key && !button.className) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
    try {
      const entries = Array.from(this.#texts.values(), ({ description, text }) => [toLink(description), text]);
      sessionStorage.setItem(this.#key, JSON.stringify(entries));
    } catch {
      // They are too long, or there is no storage.
    }
  }

  /** Scroll until the last records are above a line of the window, but not beyond the first of them. */
  reveal(count, line) {
    const { children } = this.#list;
    const first = children.length > count ? children[children.length - count] : this.#section;
    const { bottom } = this.#section.getBoundingClientRect();
    const hidden = Math.min(bottom - line, first.getBoundingClientRect().top);
    if (hidden > 0) scrollBy({ top: hidden, behavior: "instant" });
  }

  /** List a text, and return its key. A text that was continued is the same one. */
  #put(description, text) {
    const key = toLink({ ...description, length: 0 });
    const listed = this.#texts.get(key);
    if (!listed) this.#list.append(this.#makeItem(key, description, text));
    else if (listed.text !== text) {
      const place = [...this.#texts.keys()].indexOf(key);
      this.#list.children[place].replaceWith(this.#makeItem(key, description, text));
    }
    this.#texts.set(key, { description, text });
    this.#written.add(text);
    this.longest = Math.max(this.longest, text.length);
    if (this.#texts.size > (this.#isOfRecords ? MAX_RECORDS : MAX_TEXTS)) {
      this.#texts.delete(this.#texts.keys().next().value);
      this.#list.firstElementChild.remove();
    }
    this.#section.hidden = false;
    return key;
  }

  #makeItem(key, { prompt }, text) {
    const item = document.createElement("li");
    // Texts often have the same beginning, which is a part of a record.
    const shown = this.#isOfRecords ? text : text.slice(prompt.length).trim();
    const excerpt = shown.slice(0, EXCERPT) + "\u2026".repeat(shown.length > EXCERPT);
    item.append(makeButton(key, excerpt));
    if (!this.#isOfLines) {
      const copy = makeButton(key, "Copy");
      copy.className = "copy";
      copy.setAttribute("aria-label", `Copy \u201c${excerpt.slice(0, 40)}\u2026\u201d`);
      item.append(copy);
    }
    return item;
  }
}

function makeButton(key, text) {
  const button = document.createElement("button");
  button.type = "button";
  button.value = key;
  button.textContent = text;
  return button;
}

/**
 * Return the records that the model has learned from, such as the names of a list; null if the page shows all records.
 * They are a Bloom filter, which has all of them, and takes a few others for known. See known_records.py.
 */
export function knownRecords(model) {
  const element = document.getElementById("known");
  if (!element) return null;
  const bits = Uint8Array.from(atob(element.textContent), (character) => character.charCodeAt(0));
  const [count, hashes, longest] = ["count", "hashes", "longest"].map((name) => Number(element.dataset[name]));
  const isKnown = (record) => {
    const digest = new DataView(model.digest(record).buffer);
    const [first, step] = [digest.getUint32(0, true), (digest.getUint32(4, true) | 1) >>> 0];
    const positions = Array.from({ length: hashes }, (_, index) => (first + index * step) % (8 * bits.length));
    return positions.every((position) => bits[position >> 3] & (1 << (position % 8)));
  };
  return { count, longest, has: isKnown };
}
