// The texts that the page keeps while its tab is open, also after a reload. They stay in this browser.

import { hexadecimal, sha256 } from "../lib/sha256.js";
import { fromLink } from "./link.js";

/** Keeps texts with their links. Where the browser permits no storage, nothing is kept. */
export class Kept {
  #key;

  /** Each model has its own texts: `info` has the date and the losses of its training. */
  constructor(info) {
    this.#key = `textgen ${hexadecimal(sha256(new TextEncoder().encode(JSON.stringify(info))))}`;
  }

  /** Return the kept texts as a list of `{ description, text }`. */
  read() {
    try {
      const entries = JSON.parse(sessionStorage.getItem(this.#key)) ?? [];
      return entries.map(([link, text]) => ({ description: fromLink(link), text: `${text}` }));
    } catch {
      return [];
    }
  }

  /** Keep these texts, a list of `[link, text]`, in place of those before. */
  write(entries) {
    try {
      sessionStorage.setItem(this.#key, JSON.stringify(entries));
    } catch {
      // They are too long, or there is no storage.
    }
  }
}
