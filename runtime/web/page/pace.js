// When the next character is due: a text streams at a rate that a person can follow.

// Milliseconds of work in a frame. The rest of a frame of 16 ms belongs to the browser.
const MAX_WORK = 8;
// After a pause, such as that of a hidden tab, the text does not catch up.
const MAX_PAUSE = 250;

/** Characters per second. */
export const RATES = { calm: 25, flowing: 80, instant: Infinity };

/** Lets a text grow while the page can be used. */
export class Pace {
  #frame = 0;

  get isRunning() {
    return this.#frame !== 0;
  }

  /**
   * Advance a text at a rate until `isDone`.
   *
   * `onFrame` follows the steps of each frame, `onEnd` the last one, and `onError` a step that failed.
   */
  run(text, { rate = () => Infinity, isDone, onFrame = () => {}, onEnd, onError }) {
    this.stop();
    let last = performance.now();
    let due = 1;
    const frame = (now) => {
      this.#frame = requestAnimationFrame(frame);
      const seconds = Math.min(Math.max(now - last, 1), MAX_PAUSE) / 1000;
      last = now;
      const end = performance.now() + MAX_WORK;
      const current = rate();
      let left = due + seconds * current;
      let steps = 0;
      try {
        // What is due is for one rate. Reading and other records are instant, but the text after them is not.
        while (left >= 1 && rate() === current && !isDone() && (!steps || performance.now() < end)) {
          left -= Math.max(1, text.advance().length);
          steps += 1;
        }
        if (steps) onFrame();
      } catch (error) {
        this.stop();
        onError(error);
        return;
      }
      // What the processor cannot do in the time of a frame is not due later.
      due = Math.min(1, left);
      if (isDone()) {
        this.stop();
        onEnd();
      }
    };
    this.#frame = requestAnimationFrame(frame);
  }

  /** Let the model read the beginning of a text, so that it can be continued. */
  read(text, onEnd, onError) {
    if (text.isReading) this.run(text, { isDone: () => !text.isReading, onEnd, onError });
  }

  stop() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
  }
}
