// A run of training, as the program sees it. Workers make it.
import { TextgenError, invalid, quote } from "./errors.js";
import { startWorker } from "./port.js";
import { checkOptions } from "./sampling.js";

/** The most workers that start without a number. */
const MAX_WORKERS = 8;

const OPTIONS = [
  ...["name", "records", "lowercase", "preset", "minutes", "epochs", "seed", "workers", "values", "from", "saved"],
  ...["onProgress", "onEvaluation", "onSample"],
];

export class Learning {
  #port;
  /** Those who wait for a saved run. @type {{ resolve: (saved: any) => void, reject: (error: any) => void }[]} */
  #waiting = [];
  #isOver = false;

  /**
   * @param {string} text
   * @param {any} options see learn.d.ts
   * @param {WebAssembly.Module} module
   * @param {string} source of a worker
   * @param {any} threads the module of Node, or null
   */
  constructor(text, options, module, source, threads) {
    const { minutes, epochs, workers, saved, onProgress, onEvaluation, onSample, ...trainer } = checkOptions(options, OPTIONS);
    if (minutes !== undefined && epochs !== undefined) throw invalid("epochs", "and minutes exclude each other");
    const budget = epochs === undefined ? { minutes: minutes ?? 1 } : { epochs };
    for (const [name, value] of Object.entries({ ...budget, workers: workers ?? 1 })) {
      if (typeof value !== "number" || !(value > 0 && value < Infinity)) throw invalid(name, `must be a number above 0, not ${quote(value)}`);
    }
    const { seed = 0 } = trainer;
    if (!Number.isSafeInteger(seed) || seed < 0) throw invalid("seed", `must be a whole number, 0 or more, not ${quote(seed)}`);
    const cores = globalThis.navigator?.hardwareConcurrency ?? 1;
    const count = Math.ceil(workers ?? Math.min(cores, MAX_WORKERS));
    this.#port = startWorker(source, threads);
    this.#port.post({ isLeader: true, text, options: trainer, budget, saved, workers: count, module, source });
    /** The latest evaluation with the lowest loss, or null. @type {any} */
    this.best = null;
    /** Resolves to the result when the run is over. */
    this.finished = this.#listen({ onProgress, onEvaluation, onSample });
    // Who waits for `save` first learns of a failure there.
    this.finished.catch(() => {});
  }

  /** @param {Record<string, ((event: any) => void) | undefined>} listeners */
  async #listen({ onProgress, onEvaluation, onSample }) {
    try {
      for (;;) {
        const { progress, evaluation, sample, saved, isComplete, error } = await this.#port.next();
        if (error) throw new TextgenError(error.code ?? "FAILED", error.message, error.parameter);
        if (progress) onProgress?.(progress);
        if (sample) onSample?.(sample);
        if (evaluation) {
          this.best = evaluation.model ? evaluation : this.best;
          onEvaluation?.(evaluation);
        }
        if (saved) this.#waiting.splice(0).forEach(({ resolve }) => resolve(saved));
        if (isComplete) return { best: this.best, saved };
      }
    } finally {
      this.#isOver = true;
      this.#port.close();
      this.#waiting.splice(0).forEach(({ reject }) => reject(over()));
    }
  }

  pause() {
    this.#port.post({ name: "pause" });
  }

  continue() {
    this.#port.post({ name: "continue" });
  }

  /** End the run after the present update. */
  stop() {
    this.#port.post({ name: "stop" });
  }

  /** Return the run, all that it needs to go on. @returns {Promise<any>} */
  save() {
    if (this.#isOver) return Promise.reject(over());
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#port.post({ name: "save" });
    });
  }
}

const over = () => new TextgenError("FAILED", "the run is over");
