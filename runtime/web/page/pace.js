// When the next character is due: a text streams at a rate that a person can follow.

// Milliseconds of work in a frame. The rest of a frame of 16 ms belongs to the browser.
const MAX_WORK = 8;
// After a pause, such as that of a hidden tab, the text does not catch up.
const MAX_PAUSE = 250;

/** Characters per second. */
export const RATES = { calm: 25, flowing: 80, instant: Infinity };

/**
 * Calls `step`, which returns a number of characters, at a rate until `isDone`.
 *
 * `onFrame` follows the steps of each frame, `onEnd` the last one, and `onError` a step that failed.
 */
export class Pace {
  #frame = 0;

  get isRunning() {
    return this.#frame !== 0;
  }

  run(loop) {
    this.stop();
    let last = performance.now();
    let due = 1;
    const frame = (now) => {
      this.#frame = requestAnimationFrame(frame);
      const seconds = Math.min(Math.max(now - last, 1), MAX_PAUSE) / 1000;
      last = now;
      try {
        // What the processor cannot do in the time of a frame is not due later.
        due = Math.min(1, steps(loop, due + seconds * loop.rate()));
      } catch (error) {
        this.stop();
        loop.onError(error);
        return;
      }
      if (loop.isDone()) {
        this.stop();
        loop.onEnd();
      }
    };
    this.#frame = requestAnimationFrame(frame);
  }

  stop() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
  }
}

/** Do the steps that are due, within the time of a frame. Return how many characters are left. */
function steps(loop, due) {
  const end = performance.now() + MAX_WORK;
  const rate = loop.rate();
  let left = due;
  let count = 0;
  // What is due is for one rate. Reading and other records are instant, but the text after them is not.
  while (left >= 1 && loop.rate() === rate && !loop.isDone() && (count === 0 || performance.now() < end)) {
    left -= Math.max(1, loop.step());
    count += 1;
  }
  if (count) loop.onFrame();
  return left;
}
