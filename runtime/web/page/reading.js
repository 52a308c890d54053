// What the model reads before it writes, while the page can be used.

import { Pace } from "./pace.js";

/** Lets the model read the beginning of a text. */
export class Reading {
  #pace = new Pace();
  #onError;

  constructor(onError) {
    this.#onError = onError;
  }

  /** Read until the text can be continued, and then call `onEnd`. */
  run(text, onEnd) {
    if (!text.isReading) return;
    this.#pace.run({
      rate: () => Infinity,
      isDone: () => !text.isReading,
      step: () => text.advance().length,
      onFrame: () => {},
      onEnd,
      onError: this.#onError,
    });
  }

  stop() {
    this.#pace.stop();
  }
}
