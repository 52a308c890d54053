// The address of the texts, of which a list of records is one entry of the history.

import { toLink } from "./link.js";

const RECORDS = 20;

/** Counts the records of a list, and puts the link of a text in the address: of a list, only that of the last record. */
export class RecordList {
  #view;
  /** The records that are not complete. */
  #left = 0;

  constructor(view) {
    this.#view = view;
  }

  get isRunning() {
    return this.#left > 0;
  }

  start() {
    this.#left = RECORDS;
  }

  /** Count a complete record. Return whether another one follows. */
  advance() {
    this.#left = Math.max(0, this.#left - 1);
    return this.isRunning;
  }

  /** Let a text be the last one of a list, if there is a list. */
  end(text) {
    const isAddressed = this.#left <= 1;
    this.#left = 0;
    if (text && !isAddressed) this.remember(text, "push");
  }

  /** Browsers refuse many changes of the address in a short time, so most records of a list change nothing. */
  remember(text, how) {
    if (this.#left <= 1) this.#view.remember(toLink(text.describe()), how);
  }
}
