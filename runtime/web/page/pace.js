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

  /** Write a text at the rate that `rate()` returns. `onFrame` follows each frame, `onEnd` the last step, and `onError` one that failed. */
  run(text, { rate, onFrame, onEnd, onError }) {
    this.stop();
    let last = performance.now();
    let due = 1;
    const frame = (now) => {
      this.#frame = requestAnimationFrame(frame);
      due += (Math.min(Math.max(now - last, 1), MAX_PAUSE) / 1000) * rate();
      last = now;
      const end = performance.now() + MAX_WORK;
      try {
        for (let steps = 0; due >= 1 && !text.isComplete && (!steps || performance.now() < end); steps += 1) {
          due -= Math.max(1, text.advance().length);
        }
        onFrame();
        // What the processor cannot do in the time of a frame is not due later.
        due = Math.min(1, due);
        if (text.isComplete) {
          this.stop();
          onEnd();
        }
      } catch (error) {
        this.stop();
        onError(error);
      }
    };
    this.#frame = requestAnimationFrame(frame);
  }

  stop() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
  }
}
