import { Decoder } from "./decoder.js";
import { TextgenError, invalid } from "./errors.js";
import { checkNumber, checkOptions, tokenBias, withParameters } from "./sampling.js";
import { saveGeneration } from "./saving.js";
import { SLICE, eventLoop } from "./scheduling.js";
import { characterSums } from "./surprise.js";

/** Tokens of one call of the core, at most, and of a part of a prompt. */
const CHUNK = 64;
const MAX_INT = 2 ** 31 - 1;
/** Tokens of the first call, whose duration is not known. */
const FIRST_CHUNK = 8;
const ENDINGS = [null, "length", "stop", "constraint", null, "end"];
const CALL_FIELDS = 9;
const CALL_BYTES = 4 * (CALL_FIELDS + CHUNK);

/** @typedef {{ held: number[], stopState: number, constraintState: number, ending: string | null, atEnd: boolean, drawn: number }} Position */

/** Return the size of the call after one of `size` tokens that took `spent` ms. @param {number} size @param {number} spent */
const nextSize = (size, spent) => (spent > SLICE ? Math.max(1, size >> 1) : Math.min(CHUNK, 2 * size));

/** @returns {Position} */
const start = () => ({ held: [], stopState: 0, constraintState: 0, ending: null, atEnd: false, drawn: 0 });

/** The memory of a stream, and a share of its guide. */
class Stream {
  /** @param {import("./core.js").Core} core @param {number} bytes @param {import("./automata.js").Guide} guide */
  constructor(core, bytes, guide) {
    this.core = core;
    this.pointer = core.allocate(bytes);
    this.guide = guide.share();
  }

  release() {
    if (this.pointer && this.core.call) {
      this.core.call.release(this.pointer);
      this.guide.release();
    }
    this.pointer = 0;
  }
}

/** One running text. */
export class Generation {
  #stream;
  #core;
  /** Whether a part of the prompt is not fed yet; see `feedInParts`. */
  #isReading = false;

  /**
   * Use Model.start, Model.resume or copy.
   *
   * @param {import("./model.js").Model} model
   * @param {{ sampling: Record<string, any>, seed: bigint, substream: number, guide: import("./automata.js").Guide }} parts
   */
  constructor(model, parts) {
    this.model = model;
    this.parts = parts;
    this.prompt = "";
    /** @type {Position} */
    this.position = start();
    this.decoder = new Decoder(model.vocabulary.symbols, model.vocabulary.isBytes);
    this.#core = model.core;
    this.#stream = new Stream(this.#core, model.streamBytes, parts.guide);
    this.#core.registry.register(this, this.#stream, this);
  }

  /**
   * Start the stream in the core.
   *
   * @param {bigint} position in the random numbers
   */
  begin(position) {
    const { sampling, ...random } = this.parts;
    try {
      const bias = tokenBias(sampling, this.model.vocabulary);
      withParameters(this.#core, sampling, random, bias, (pointer) =>
        this.#core.call.start(this.pointer, pointer, position),
      );
    } catch (error) {
      // Until a garbage collection, programs with many invalid options would need more and more memory.
      this.dispose();
      throw error;
    }
    return this;
  }

  /** The pointer to the stream, which has read its prompt. */
  get pointer() {
    const pointer = this.#checkedPointer();
    if (this.#isReading) {
      throw invalid("the generation has not read its prompt yet: take all steps of startInParts first");
    }
    return pointer;
  }

  #checkedPointer() {
    this.model.check();
    if (!this.#stream.pointer) {
      throw new TextgenError("DISPOSED", "the generation was disposed: start another one");
    }
    return this.#stream.pointer;
  }

  /** The seed. */
  get seed() {
    return this.parts.seed;
  }

  /** Why the latest text ended: "length", "stop", "end" or "constraint"; null while it continues. */
  get ending() {
    return this.position.ending;
  }

  /** Whether the text has ended for good: at the end of a record, or where its constraint ends it. */
  get ended() {
    return this.position.ending === "end" || this.position.ending === "constraint";
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
    const isStart = this.position.atEnd;
    return this.model.withTokens(text, unknown, isStart, (pointer, count) => this.feedTokens(pointer, count, isStart));
  }

  /**
   * Feed tokens in memory, and return their text.
   *
   * @param {number} pointer
   * @param {number} count
   * @param {boolean} isStart whether to start from the initial state
   */
  feedTokens(pointer, count, isStart) {
    this.#core.call.feed(this.pointer, pointer, count, Number(isStart));
    return this.#fedText(this.model.readTokens(pointer, count));
  }

  /**
   * Feed the tokens of the prompt from the initial state, in parts. Yield this generation after each part, and return
   * it after the last.
   *
   * @param {Int32Array} tokens
   */
  *feedInParts(tokens) {
    this.prompt = this.#fedText(tokens);
    this.#isReading = true;
    let fed = 0;
    for (let size = FIRST_CHUNK; ; ) {
      const before = performance.now();
      this.#feedPart(tokens.subarray(fed, fed + size), fed === 0);
      fed += size;
      if (fed >= tokens.length) {
        break;
      }
      size = nextSize(size, performance.now() - before);
      yield this;
    }
    this.#isReading = false;
    return this;
  }

  /** @param {Int32Array} tokens @param {boolean} isStart */
  #feedPart(tokens, isStart) {
    const stream = this.#checkedPointer();
    this.#core.withMemory(8 * tokens.length, (pointer) => {
      // In memory, each token has 64 bits.
      const memory = this.#core.int32(pointer, 2 * tokens.length);
      tokens.forEach((token, index) => memory.set([token, 0], 2 * index));
      this.#core.call.feed(stream, pointer, tokens.length, Number(isStart));
    });
  }

  /** Feed tokens, and return their text. @param {Int32Array} tokens */
  feedList(tokens) {
    this.#feedPart(tokens, false);
    return this.#fedText(tokens);
  }

  /** Return the text of tokens that are fed, after the text that was held back. @param {Int32Array} tokens */
  #fedText(tokens) {
    const text = this.decoder.decode(this.position.held) + this.decoder.decode(tokens) + this.decoder.finish();
    this.position = start();
    return text;
  }

  /**
   * Generate up to `length` tokens and return their text.
   *
   * @param {number} length
   * @param {{ finish?: boolean }} [options] finish: whether the text is complete after this call, so that nothing of
   *   it is held back
   * @returns {string}
   */
  take(length, options = {}) {
    const { finish = false } = checkOptions(options, ["finish"]);
    const target = this.#target(length, finish);
    let text = "";
    while (target.left > 0 && !target.done) {
      text += this.#advance(target, CHUNK);
    }
    return finish ? text + this.finish() : text;
  }

  /**
   * Yield the text of `take` in chunks, and return to the event loop between them.
   *
   * @param {number} length
   * @param {{ finish?: boolean, signal?: AbortSignal }} [options]
   * @returns {AsyncGenerator<string, void, undefined>}
   */
  stream(length, options = {}) {
    const { finish = false, signal } = checkOptions(options, ["finish", "signal"]);
    return this.#chunks(this.#target(length, finish), finish, signal);
  }

  /** @param {{ left: number, done: boolean, mustEnd: boolean }} target @param {boolean} finish @param {AbortSignal} [signal] */
  async *#chunks(target, finish, signal) {
    const pause = eventLoop();
    try {
      let size = FIRST_CHUNK;
      while (target.left > 0 && !target.done) {
        await pause.next();
        signal?.throwIfAborted();
        const before = performance.now();
        const text = this.#advance(target, size);
        size = nextSize(size, performance.now() - before);
        if (text) {
          yield text;
        }
      }
      const rest = finish ? this.finish() : "";
      if (rest) {
        yield rest;
      }
    } finally {
      pause.close();
    }
  }

  /** @param {number} length @param {boolean} finish */
  #target(length, finish) {
    checkNumber("length", length);
    // A stream checks its arguments before its prompt is read.
    const pointer = this.#checkedPointer();
    const { ended } = this;
    if (finish && !ended) {
      this.parts.guide.checkLength(this.position.constraintState, length);
    }
    return { left: length, done: ended || !pointer, mustEnd: finish };
  }

  /**
   * Draw up to `steps` tokens, and return the text that is now decided.
   *
   * @param {{ left: number, done: boolean, mustEnd: boolean }} target
   * @param {number} steps
   */
  #advance(target, steps) {
    const core = this.#core;
    const stream = this.pointer;
    const { stopState, constraintState, drawn } = this.position;
    const length = Math.min(target.left, MAX_INT);
    return core.withMemory(CALL_BYTES, (pointer) => {
      const mustEnd = Number(target.mustEnd);
      core.int32(pointer, 6).set([Math.min(steps, length), length, this.#beforeEnd, mustEnd, stopState, constraintState]);
      const result = core.call.generate(stream, this.parts.guide.pointer, pointer);
      const call = core.int32(pointer, CALL_FIELDS + CHUNK);
      const [, , , , newStop, newConstraint, generated, endingCode, stopLength] = call;
      const ending = endingCode === 1 && target.left > length ? null : ENDINGS[endingCode];
      target.left -= generated;
      target.done = ending !== null;
      const tokens = [...this.position.held, ...call.subarray(CALL_FIELDS, CALL_FIELDS + generated)];
      const atEnd = ending === "end";
      this.position = { held: [], stopState: newStop, constraintState: newConstraint, ending, atEnd, drawn: drawn + generated };
      core.check(result);
      return this.#decide(tokens, stopLength);
    });
  }

  /** How many tokens are drawn before the record may end. */
  get #beforeEnd() {
    return Math.min(Math.max(0, this.parts.sampling.minLength - this.position.drawn), MAX_INT);
  }

  /** Return the text of the tokens that cannot be part of a stop text any more. @param {number[]} tokens @param {number} stopLength */
  #decide(tokens, stopLength) {
    const { stops } = this.parts.guide;
    const { ending, stopState } = this.position;
    let decided = tokens.length;
    if (ending === "stop") {
      decided -= this.parts.sampling.keepStop ? 0 : stopLength;
    } else if (stops) {
      decided -= stops.depths[stopState];
      this.position.held = tokens.slice(decided);
    }
    const text = this.decoder.decode(tokens.slice(0, decided));
    return ending === "end" ? text + this.decoder.finish() : text;
  }

  /** Return the text that is held back. */
  finish() {
    const text = this.decoder.decode(this.position.held) + this.decoder.finish();
    this.position = { ...this.position, held: [], stopState: 0 };
    return text;
  }

  /** Return an independent generation that continues exactly as this one would. */
  copy() {
    const { pointer } = this;
    const copied = new Generation(this.model, this.parts);
    this.#core.call.copy(pointer, copied.pointer);
    copied.prompt = this.prompt;
    copied.position = this.position;
    copied.decoder = this.decoder.copy();
    return copied;
  }

  /** Return the logits of the next token. Those of tokens that are never drawn are -Infinity. */
  logits() {
    return this.#core.float32(this.#core.call.logits(this.pointer), this.model.info.vocabulary.length).slice();
  }

  /**
   * Return the most likely next tokens.
   *
   * @param {{ k?: number, temperature?: number }} [options] k: at most so many. temperature: by default that of the
   *   generation
   * @returns {import("../index.d.ts").NextToken[]} probability: at the temperature. drawProbability: of the next draw,
   *   with the generation's temperature, its filters, its constraint and its minLength
   */
  next(options = {}) {
    const { k = 10, temperature = this.parts.sampling.temperature } = checkOptions(options, ["k", "temperature"]);
    checkNumber("k", k);
    checkNumber("temperature", temperature);
    const probabilities = this.#probabilities(temperature);
    const draws = this.#probabilities(-1);
    const order = Array.from(probabilities.keys());
    // The sort is stable: the lowest token comes first among equals.
    order.sort((a, b) => probabilities[b] - probabilities[a]);
    return order.slice(0, k).map((token) => ({
      text: this.model.vocabulary.textOf(token),
      token,
      probability: probabilities[token],
      drawProbability: draws[token],
    }));
  }

  /** @param {number} temperature see `probabilities` in exports.c */
  #probabilities(temperature) {
    const count = this.model.info.vocabulary.length;
    const { guide } = this.parts;
    return this.#core.withMemory(8 * count, (pointer) => {
      const { constraintState } = this.position;
      const endless = Number(this.#beforeEnd > 0);
      const { call } = this.#core;
      this.#core.check(call.probabilities(this.pointer, temperature, guide.pointer, constraintState, endless, pointer));
      return this.#core.float64(pointer, count).slice();
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
    const copied = this.copy();
    try {
      return this.model.withTokens(text, unknown, true, (pointer, count) =>
        this.#core.withMemory(8 * count, (nats) => {
          this.#core.call.surprise(copied.pointer, pointer, count, nats);
          const values = this.#core.float64(nats, count);
          return characterSums(this.model.readTokens(pointer, count), values, this.model.vocabulary);
        }),
      );
    } finally {
      copied.dispose();
    }
  }

  /** Return the position as bytes, for Model.resume. */
  save() {
    return saveGeneration(this, this.#core);
  }

  /** Free the memory. The generation cannot be used any more. */
  dispose() {
    this.#core.registry.unregister(this);
    this.#stream.release();
  }
}
