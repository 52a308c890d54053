import { TextgenError, invalid } from "./errors.js";
import { checkInteger, checkNumber, checkOptions } from "./sampling.js";
import { saveGeneration } from "./saving.js";
import { STREAM } from "./structs.js";
import { allocateStream } from "./tables.js";

/** Milliseconds for which a stream may occupy the thread. */
const SLICE = 8;
/** Tokens of one call of the core, at most. */
const CHUNK = 64;
/** Tokens of the first call, whose duration is not known. */
const FIRST_CHUNK = 8;
/** The most tokens of a lane. */
const MAX_LENGTH = 2 ** 31 - 1;
/** How tokens are fed: see textgen.h. */
const FEED_TEXT = 1;
/** By the numbers of the core. @type {(import("../index.d.ts").Ending | null)[]} */
const ENDINGS = [null, "length", "stop", "constraint", null, "end"];

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** Decode a text. @param {Uint8Array} bytes @param {boolean} isEnd whether an incomplete character at its end has no text */
function decode(bytes, isEnd) {
  const text = utf8.decode(bytes, { stream: isEnd });
  // Forget the bytes of the incomplete character.
  utf8.decode();
  return text;
}

/**
 * Return an object whose `next()` resolves after other events of the thread were handled. A timer would wait for
 * milliseconds, and a promise alone would not let other events run.
 */
function eventLoop() {
  if (typeof setImmediate === "function") {
    return { next: () => new Promise((resolve) => setImmediate(resolve)), close() {} };
  }
  const { port1, port2 } = new MessageChannel();
  const next = () =>
    new Promise((resolve) => {
      port1.onmessage = resolve;
      port2.postMessage(null);
    });
  return { next, close: () => port1.close() };
}

/** The rest of a text: its tokens, whether all are drawn, and whether it is complete then. @typedef {{ left: number, done: boolean, finish: boolean }} Target */

/**
 * The checked options of a generation, and what they stand for: the logit bias of each token, the stop texts that the
 * model can write, and the tables that the text follows. description: that of the saved generation, as JSON, if it was
 * resumed; empty if it had none.
 *
 * @typedef {object} Parts
 * @property {Record<string, any>} sampling
 * @property {Float64Array | null} bias
 * @property {string[]} stops
 * @property {import("./tables.js").Shared | null} constraint
 * @property {import("./tables.js").Shared | null} spans
 * @property {string} [description]
 */

/** One running text: a view of its stream in the core. */
export class Generation {
  #block;
  #core;

  /**
   * Use Model.start, Model.resume or copy.
   *
   * @param {import("./model.js").Model} model
   * @param {Parts} parts
   * @param {string} prompt
   * @param {(pointer: number) => void} fill writes the stream
   */
  constructor(model, parts, prompt, fill) {
    this.model = model;
    this.prompt = prompt;
    this.parts = parts;
    this.#core = model.core;
    this.#block = allocateStream(this.#core, parts);
    const { pointer } = this.#block;
    try {
      fill(pointer);
    } catch (error) {
      // Until a garbage collection, programs with many invalid options would need more and more memory.
      this.#block.release();
      throw error;
    }
    this.#core.registry.register(this, this.#block, this);
    this.#core.call.textgen_stream_get_sampling(pointer, this.#core.sampling);
    const [low, high] = this.#core.view(BigUint64Array, this.#core.sampling, 2);
    /** The seed of the random numbers. */
    this.seed = (high << 64n) | low;
    const { offset } = /** @type {any} */ (this.#core.parameters.get("temperature"));
    this.temperature = this.#core.view(Float64Array, this.#core.sampling + offset, 1)[0];
  }

  /** Return a number of the textgen_stream_info. @param {Exclude<keyof typeof STREAM, "size">} name */
  info(name) {
    const { info } = this.#core;
    this.#core.call.textgen_stream_get_info(info, this.pointer);
    return this.#core.word(info + STREAM[name]);
  }

  /** Why the latest text ended: "length", "stop", "end" or "constraint"; null while it continues. */
  get ending() {
    return ENDINGS[this.info("ending")];
  }

  /** Whether the text has ended for good: at the end of a record, or where its constraint ends it. */
  get ended() {
    return this.info("isComplete") === 1;
  }

  /** The pointer to the stream. */
  get pointer() {
    this.model.check();
    if (!this.#block.pointer) {
      throw new TextgenError("DISPOSED", "the generation was disposed: start another one");
    }
    return this.#block.pointer;
  }

  /**
   * Feed text, as if the model had generated it. After the end of a record it starts the next one, and may be empty.
   *
   * @param {string} text
   * @param {{ unknown?: "error" | "skip" }} [options]
   * @returns {string} the normalized text, after the text that was held back
   */
  feed(text, options = {}) {
    const { unknown = "error" } = checkOptions(options, ["unknown"]);
    const tokens = this.model.encode(text, unknown, this.info("atEnd") === 1);
    const held = this.finish(false);
    this.feedTokens(tokens);
    return held + this.model.vocabulary.decode(tokens);
  }

  /** @param {Int32Array} tokens */
  feedTokens(tokens) {
    const stream = this.pointer;
    this.#core.withTokens(tokens, (pointer) =>
      this.#core.attempt("textgen_stream_feed_tokens", stream, pointer, tokens.length, FEED_TEXT, 0, this.#core.workspaceMemory()),
    );
  }

  /**
   * Generate up to `length` tokens and return their text. An error leaves the generation at its position before.
   *
   * @param {number} length
   * @param {{ finish?: boolean }} [options] finish: whether the text is complete after this call, so that nothing of
   *   it is held back
   * @returns {string}
   */
  take(length, options = {}) {
    const { finish = false } = checkOptions(options, ["finish"]);
    const target = this.#target(length, finish);
    return this.#whole(() => {
      let text = "";
      do {
        text += this.#advance(target, CHUNK);
      } while (!target.done);
      return text;
    });
  }

  /**
   * Yield the text of `take` in chunks, and return to the event loop between them. An error leaves the generation at
   * the end of the latest chunk.
   *
   * @param {number} length
   * @param {{ finish?: boolean, signal?: AbortSignal }} [options]
   * @returns {AsyncGenerator<string, void, undefined>}
   */
  stream(length, options = {}) {
    const { finish = false, signal } = checkOptions(options, ["finish", "signal"]);
    return this.#chunks(null, this.#target(length, finish), signal);
  }

  /**
   * Feed a prompt, yield the text of `take` in chunks, and dispose this generation.
   *
   * @param {Int32Array} tokens
   * @param {number} length
   * @param {AbortSignal} [signal]
   */
  streamOnce(tokens, length, signal) {
    return this.#chunks(tokens, this.#target(length, true), signal);
  }

  /** @param {Int32Array | null} prompt @param {Target} target @param {AbortSignal | undefined} signal */
  async *#chunks(prompt, target, signal) {
    const pause = eventLoop();
    try {
      let [rest, size] = [prompt ?? new Int32Array(), FIRST_CHUNK];
      do {
        await pause.next();
        signal?.throwIfAborted();
        const before = performance.now();
        let text = "";
        if (rest.length) {
          this.feedTokens(rest.subarray(0, size));
          rest = rest.subarray(size);
        } else {
          text = this.#whole(() => this.#advance(target, size));
        }
        size = performance.now() - before > SLICE ? Math.max(1, size >> 1) : Math.min(CHUNK, 2 * size);
        if (text) {
          yield text;
        }
      } while (!target.done);
    } finally {
      pause.close();
      if (prompt) {
        this.dispose();
      }
    }
  }

  /** @param {number} length @param {boolean} finish @returns {Target} */
  #target(length, finish) {
    checkInteger("length", length, 0);
    // The core has no lane without a length, and a stream begins after its prompt was read.
    if (!length && finish && this.info("needed")) {
      throw invalid("length", `must be ${this.info("needed")} or more for the constraint, not 0`);
    }
    return { left: length, done: !length, finish };
  }

  /**
   * Call a function that changes the text. After an error, the text is as it was before.
   *
   * @param {() => string} change
   */
  #whole(change) {
    const { pointer } = this;
    const { spare } = this.model;
    this.#copy(pointer, spare);
    try {
      return change();
    } catch (error) {
      this.#copy(spare, pointer);
      throw error;
    }
  }

  /** @param {number} from @param {number} to */
  #copy(from, to) {
    this.#core.attempt("textgen_stream_copy", from, this.#core.memoryOf(to, this.#core.streamBytes), this.#core.output);
  }

  /**
   * Draw up to `steps` tokens, and return the text that is now decided.
   *
   * @param {Target} target
   * @param {number} steps
   */
  #advance(target, steps) {
    const core = this.#core;
    if (target.done) {
      return target.finish ? this.finish() : "";
    }
    const stream = this.pointer;
    return core.withMemory(core.call.textgen_stream_text_size(stream, Math.min(target.left, steps)), (text) => {
      const length = Math.min(target.left, MAX_LENGTH);
      core.attempt("generate", stream, length, Number(target.finish), steps, text, core.output, core.workspaceMemory());
      const [drawn, written, ending] = core.view(Int32Array, core.output, 3);
      target.left -= drawn;
      target.done = ending !== 0;
      return decode(core.bytes(text, written), !this.info("held"));
    });
  }

  /** Return the text that is held back. @param {boolean} [isComplete] whether the bytes of an incomplete character stay */
  finish(isComplete = true) {
    const [core, stream] = [this.#core, this.pointer];
    const size = core.call.textgen_stream_text_size(stream, 0);
    return core.withMemory(size, (text) => {
      core.attempt("textgen_stream_finish", stream, Number(isComplete), text, size, core.output);
      return decode(core.bytes(text, core.word(core.output)), false);
    });
  }

  /** Return an independent generation that continues exactly as this one would. */
  copy() {
    const { pointer } = this;
    return new Generation(this.model, this.parts, this.prompt, (block) => this.#copy(pointer, block));
  }

  /** Return the logits of the next token. Those of tokens that are never drawn are -Infinity. */
  logits() {
    return this.#core.view(Float32Array, this.info("logits"), this.model.info.vocabulary.length).slice();
  }

  /**
   * Return the most likely next tokens.
   *
   * @param {{ k?: number, temperature?: number }} [options] k: at most so many. temperature: by default that of the
   *   generation
   * @returns {import("../index.d.ts").NextToken[]} probability: at the temperature. drawProbability: of the next draw,
   *   with the generation's temperature, its filters, its constraint, its minLength and its maxCopy. None if the text
   *   has ended for good, because no token may follow
   */
  next(options = {}) {
    const { k = 10, temperature = this.temperature } = checkOptions(options, ["k", "temperature"]);
    checkInteger("k", k, 1);
    checkNumber(this.#core, "temperature", temperature);
    if (this.ended) {
      return [];
    }
    const [core, logits] = [this.#core, this.logits()];
    const count = logits.length;
    return core.withMemory(16 * count, (draws) => {
      const bent = draws + 8 * count;
      core.attempt("textgen_stream_probabilities", this.pointer, 1, draws, core.workspaceMemory());
      const probabilities = core.view(Float64Array, bent, count);
      probabilities.set(logits);
      core.call.textgen_softmax(bent, count, temperature, bent);
      const drawProbabilities = core.view(Float64Array, draws, count);
      // The sort is stable: the lowest token comes first among equals.
      const order = Array.from(probabilities.keys()).sort((a, b) => probabilities[b] - probabilities[a]);
      return order.slice(0, k).map((token) => ({
        text: this.model.vocabulary.textOf(token),
        token,
        probability: probabilities[token],
        drawProbability: drawProbabilities[token],
      }));
    });
  }

  /**
   * Return how surprising a text is as the continuation: for each character of the normalized text, the negative
   * natural logarithm of its probability at temperature 1. A word's value is spread evenly over its characters. NaN
   * for characters that the model never draws. The generation does not change.
   *
   * @param {string} text
   * @param {{ unknown?: "error" | "skip" }} [options]
   */
  surprise(text, options = {}) {
    const { unknown = "error" } = checkOptions(options, ["unknown"]);
    const { pointer, model } = this;
    const core = this.#core;
    const tokens = model.encode(text, unknown, true);
    return core.withTokens(tokens, (fed) =>
      core.withMemory(8 * tokens.length, (logprobs) => {
        this.#copy(pointer, model.spare);
        core.attempt("textgen_stream_feed_tokens", model.spare, fed, tokens.length, FEED_TEXT, logprobs, core.workspaceMemory());
        const nats = core.view(Float64Array, logprobs, tokens.length).map((value) => (value > -Infinity ? -value : NaN));
        return model.vocabulary.characterSums(tokens, nats);
      }),
    );
  }

  /** Return the position as bytes, for Model.resume. */
  save() {
    return saveGeneration(this, this.pointer);
  }

  /** Free the memory. The generation cannot be used any more. */
  dispose() {
    this.#core.registry.unregister(this);
    this.#block.release();
  }
}
