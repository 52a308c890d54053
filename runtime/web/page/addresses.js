// The address of the text on the page, and the entries of the history.

import { toLink } from "./link.js";

export const RECORDS = 20;

/** Puts the link of a text in the address. A list of records is one entry of the history. */
export class Addresses {
  #view;
  /** How many records of a list are not complete. */
  #left = 0;
  /** Whether the current text is in the address. Of a list, only the last record is. */
  #hasCurrent = true;

  constructor(view) {
    this.#view = view;
  }

  get isInList() {
    return this.#left > 0;
  }

  startList() {
    this.#left = RECORDS;
  }

  /** Count a complete record. Return whether the list has another one. */
  completeRecord() {
    this.#left = Math.max(0, this.#left - 1);
    return this.isInList;
  }

  /**
   * If there is a list, end it with the current text, which is its last record.
   *
   * The text is null if the address is already that of another text, which replaces the current one.
   */
  endList(text) {
    this.#left = 0;
    if (text && !this.#hasCurrent) this.remember(text, "push");
    this.#hasCurrent = true;
  }

  /** Browsers refuse many changes of the address in a short time, so most records of a list change nothing. */
  remember(text, how) {
    this.#hasCurrent = this.#left <= 1;
    if (this.#hasCurrent) this.#view.remember(toLink(text.describe()), how);
  }
}
