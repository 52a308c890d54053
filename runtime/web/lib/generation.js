import { TextgenError, codeName, invalid } from "./errors.js";
import { checkNumber, checkOptions, namesThatForbid, withParameters } from "./sampling.js";
import { saveGeneration } from "./saving.js";
import { SLICE, eventLoop } from "./scheduling.js";
import { releaseTables } from "./tables.js";

/** Tokens of one call of the core, at most, and of a part of a prompt. */
const CHUNK = 64;
/** Tokens of the first call, whose duration is not known. */
const FIRST_CHUNK = 8;
/**
 * By the numbers of the core. Only a text that Python saved has the last one.
 *
 * @type {(import("../index.d.ts").Ending | null)[]}
 */
const ENDINGS = [null, "length", "stop", "constraint", null, "end", "masked"];
/** Those that `inspect` of exports.c writes. */
const POSITION_FIELDS = 6;
/** How invalid bytes are shown. */
const REPLACEMENT = "\ufffd";

/** Return the size of the call after one of `size` tokens that took `spent` ms. @param {number} size @param {number} spent */
const nextSize = (size, spent) => (spent > SLICE ? Math.max(1, size >> 1) : Math.min(CHUNK, 2 * size));

/**
 * The checked options of a generation, and the tables that it follows. description: that of the saved generation, as
 * JSON, if it was resumed; empty if it had none.
 *
 * @typedef {{ sampling: Record<string, any>, tables: import("./tables.js").Tables, description?: string }} Parts
 */

/** The block of a text in the core, and its shares of the tables. */
class Block {
  /** @param {import("./core.js").Core} core @param {number} bytes @param {Parts} parts */
  constructor(core, bytes, { tables }) {
    this.core = core;
    this.pointer = core.allocate(bytes);
    this.tables = tables;
    Object.values(tables).forEach((table) => table.share());
  }

  release() {
    if (this.pointer && this.core.call) {
      this.core.call.release(this.pointer);
      releaseTables(this.tables);
    }
    this.pointer = 0;
  }
}

/** One running text: a view of its block in the core. See text.h. */
export class Generation {
  #block;
  #core;
  /** Whether a part of the prompt is not fed yet; see `feedInParts`. */
  #isReading = false;
  prompt = "";
  /** The seed of the random numbers. */
  seed = 0n;
  /** Why the latest text ended: "length", "stop", "end", "constraint" or "masked"; null while it continues. */
  ending = ENDINGS[0];
  /** Whether the text has ended for good: at the end of a record, or where its constraint ends it. */
  ended = false;
  /** Whether the last token is the end of a record. */
  #atEnd = false;
  /** How many tokens the text needs to match its constraint. */
  #needed = 0;
  /** How many tokens are held back. */
  #held = 0;

  /**
   * Use Model.start, Model.resume or copy.
   *
   * @param {import("./model.js").Model} model
   * @param {Parts} parts
   * @param {(pointer: number) => void} fill writes the block
   */
  constructor(model, parts, fill) {
    this.model = model;
    this.parts = parts;
    this.#core = model.core;
    this.#block = new Block(this.#core, model.textBytes, parts);
    try {
      fill(this.#block.pointer);
    } catch (error) {
      // Until a garbage collection, programs with many invalid options would need more and more memory.
      this.#block.release();
      throw error;
    }
    this.#core.registry.register(this, this.#block, this);
    const [high, low] = this.#core.uint64(this.#core.call.seed(this.#block.pointer), 2);
    this.seed = (high << 64n) | low;
    this.#inspect();
  }

  /** Take over where the text stands. Return how many tokens the latest call has drawn. */
  #inspect() {
    const pointer = this.#core.call.inspect(this.#block.pointer, this.parts.tables.constraint.pointer);
    const fields = this.#core.int32(pointer, POSITION_FIELDS);
    this.ending = ENDINGS[fields[0]];
    this.ended = fields[1] === 1;
    this.#atEnd = fields[2] === 1;
    this.#needed = fields[3];
    this.#held = fields[4];
    return fields[5];
  }

  /** The pointer to the block of a text that has read its prompt. */
  get pointer() {
    const pointer = this.#checkedPointer();
    if (this.#isReading) {
      throw invalid("the generation has not read its prompt yet: take all steps of startInParts first");
    }
    return pointer;
  }

  #checkedPointer() {
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
    const isStart = this.#atEnd;
    const tokens = this.model.encode(text, unknown, isStart);
    return this.feedList(tokens, isStart);
  }

  /** Feed tokens. @param {Int32Array} tokens @param {boolean} isStart whether from the initial state */
  feedList(tokens, isStart = false) {
    return this.#whole(() => {
      const held = this.finish() + (this.#held ? REPLACEMENT : "");
      this.#feedPart(tokens, isStart);
      return held + this.model.vocabulary.decode(tokens);
    });
  }

  /**
   * Feed the tokens of the prompt from the initial state, in parts. Yield this generation after each part, and return
   * it after the last.
   *
   * @param {Int32Array} tokens
   */
  *feedInParts(tokens) {
    this.prompt = this.model.vocabulary.decode(tokens);
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
    const text = this.#checkedPointer();
    this.#core.withTokens(tokens, (pointer) => this.#core.call.feed(text, pointer, tokens.length, Number(isStart)));
    this.#inspect();
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
    return this.#chunks(this.#target(length, finish), signal);
  }

  /** @param {{ left: number, done: boolean, finish: boolean }} target @param {AbortSignal} [signal] */
  async *#chunks(target, signal) {
    const pause = eventLoop();
    try {
      let size = FIRST_CHUNK;
      do {
        await pause.next();
        signal?.throwIfAborted();
        const before = performance.now();
        const text = this.#whole(() => this.#advance(target, size));
        size = nextSize(size, performance.now() - before);
        if (text) {
          yield text;
        }
      } while (!target.done);
    } finally {
      pause.close();
    }
  }

  /** @param {number} length @param {boolean} finish */
  #target(length, finish) {
    checkNumber("length", length);
    // A stream checks its arguments before its prompt is read.
    this.#checkedPointer();
    if (finish && this.#needed > length) {
      const reason = `match needs a text of at least ${this.#needed} tokens, but the length is ${length}`;
      throw invalid(`${reason}: use a greater length`, "match");
    }
    return { left: length, done: this.ended || !length, finish };
  }

  /**
   * Call a function that changes the text. After an error, the text is as it was before.
   *
   * @param {() => string} change
   */
  #whole(change) {
    const { pointer } = this;
    const { spare } = this.model;
    this.#core.call.copy_text(pointer, spare);
    try {
      return change();
    } catch (error) {
      this.#core.call.copy_text(spare, pointer);
      this.#inspect();
      throw error;
    }
  }

  /**
   * Draw up to `steps` tokens, and return the text that is now decided.
   *
   * @param {{ left: number, done: boolean, finish: boolean }} target
   * @param {number} steps
   */
  #advance(target, steps) {
    const text = target.done ? "" : this.#draw(target, steps);
    return target.done && target.finish ? text + this.finish() : text;
  }

  /** @param {{ left: number, done: boolean, finish: boolean }} target @param {number} steps */
  #draw(target, steps) {
    const { sampling, tables } = this.parts;
    const pointers = [tables.stops.pointer, tables.constraint.pointer, tables.spans.pointer];
    const flags = [Number(target.finish), Number(sampling.keepStop)];
    const decided = this.#core.call.generate(this.pointer, ...pointers, steps, target.left, ...flags);
    this.#check(decided);
    target.left -= this.#inspect();
    target.done = this.ending !== null;
    return this.#read(decided);
  }

  /** Throw the error of a negative result. The core does not know which parameters forbid tokens. @param {number} result */
  #check(result) {
    const names = codeName(result) === "NO_TOKEN" ? namesThatForbid(this.parts.sampling) : [];
    if (names.length) {
      throw new TextgenError("NO_TOKEN", `${this.#core.message()}: ${names.join(", ")}`, names[0]);
    }
    this.#core.check(result);
  }

  /** Return the text of tokens of the latest call. @param {number} count */
  #read(count) {
    return this.model.vocabulary.decode(this.#core.int32(this.model.tokens, count));
  }

  /** Return the text that is held back. The bytes of an incomplete character have none, and stay. */
  finish() {
    const text = this.#read(this.#core.call.finish(this.pointer));
    this.#inspect();
    return text;
  }

  /** Return an independent generation that continues exactly as this one would. */
  copy() {
    const { pointer } = this;
    const copied = new Generation(this.model, this.parts, (block) => this.#core.call.copy_text(pointer, block));
    copied.prompt = this.prompt;
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
   *   with the generation's temperature, its filters, its constraint, its minLength and its maxCopy. None if the text
   *   has ended for good, because no token may follow
   */
  next(options = {}) {
    const { k = 10, temperature = this.parts.sampling.temperature } = checkOptions(options, ["k", "temperature"]);
    checkNumber("k", k);
    checkNumber("temperature", temperature);
    if (this.ended) {
      return [];
    }
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
    const { pointer } = this;
    const { constraint, spans } = this.parts.tables;
    return this.#core.withMemory(8 * count, (memory) => {
      this.#check(this.#core.call.probabilities(pointer, constraint.pointer, spans.pointer, temperature, memory));
      return this.#core.float64(memory, count).slice();
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
    const tokens = model.encode(text, unknown, true);
    return this.#core.withTokens(tokens, (fed) =>
      this.#core.withMemory(8 * tokens.length, (nats) => {
        this.#core.call.surprise(pointer, fed, tokens.length, nats);
        return model.vocabulary.characterSums(tokens, this.#core.float64(nats, tokens.length));
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
