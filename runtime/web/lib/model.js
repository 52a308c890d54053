import { Guide, compileConstraint, compileStops } from "./automata.js";
import { TextgenError, invalid, quote } from "./errors.js";
import { Generation } from "./generation.js";
import { describe } from "./info.js";
import { normalize } from "./normalization.js";
import { checkNumber, checkOptions, checkSampling, checkSeed } from "./sampling.js";
import { resumeGeneration } from "./saving.js";
import { SLICE, eventLoop } from "./scheduling.js";
import { hexadecimal, sha256 } from "./sha256.js";
import { Vocabulary } from "./vocabulary.js";

const DEFAULT_LENGTH = 400;
/** The maximum length of a record, which ends by itself. */
const DEFAULT_RECORD_LENGTH = 10_000;

/** A loaded model. */
export class Model {
  #isDisposed = false;
  #sha256 = "";
  #file;
  /** @type {WeakMap<object, ReturnType<typeof compileConstraint>>} */
  #constraints = new WeakMap();

  /**
   * @param {import("./core.js").Core} core
   * @param {Uint8Array} content of the file
   */
  constructor(core, content) {
    this.core = core;
    // The core reads metadata from it later, so it is freed with the instance.
    this.#file = { pointer: core.allocate(content.length || 1), size: content.length };
    core.bytes(this.#file.pointer, content.length).set(content);
    core.create(this.#file.pointer, content.length);
    const { info, end, stateValues, streamBytes } = describe(core);
    this.info = info;
    this.stateValues = stateValues;
    this.streamBytes = streamBytes;
    this.vocabulary = new Vocabulary(info.vocabulary, info.level, end);
    this.noGuide = new Guide(core, null, null).share();
  }

  /** The SHA-256 of the file, as hexadecimal digits. */
  get sha256() {
    this.check();
    const { pointer, size } = this.#file;
    return (this.#sha256 ||= hexadecimal(sha256(this.core.bytes(pointer, size))));
  }

  /** Throw an error if the model was disposed. */
  check() {
    if (this.#isDisposed) {
      throw new TextgenError("DISPOSED", "the model was disposed: load it again");
    }
  }

  /**
   * Generate text that continues a prompt. See Options in index.d.ts.
   *
   * @param {string | null} [prompt] null takes one of the model's prompts; a model of records starts a record
   * @param {import("../index.d.ts").Options} [options]
   */
  generate(prompt = null, options = {}) {
    const generation = this.start(prompt, options);
    try {
      return generation.take(options.length ?? this.defaultLength, { finish: true });
    } finally {
      generation.dispose();
    }
  }

  /**
   * Yield the text of `generate` in chunks, and return to the event loop between them.
   *
   * @param {string | null} [prompt]
   * @param {import("../index.d.ts").Options} [options]
   * @returns {AsyncGenerator<string, void, undefined>}
   */
  stream(prompt = null, options = {}) {
    const parts = this.startInParts(prompt, options);
    const generation = parts.next().value;
    const { length = this.defaultLength, signal } = options;
    return disposing(generation, reading(parts, signal), generation.stream(length, { finish: true, signal }));
  }

  /**
   * Feed a prompt, and return a generation that continues it.
   *
   * @param {string | null} [prompt]
   * @param {import("../index.d.ts").Options} [options]
   */
  start(prompt = null, options = {}) {
    const parts = this.startInParts(prompt, options);
    let part = parts.next();
    while (!part.done) {
      part = parts.next();
    }
    return part.value;
  }

  /**
   * Do the same as `start` in parts, so that a program can do other things between them: each step feeds a part of
   * the prompt. Yield the generation after each part, and return it after the last. Only its prompt can be read
   * before. Errors are thrown by the first step.
   *
   * @param {string | null} [prompt]
   * @param {import("../index.d.ts").Options} [options]
   * @returns {Generator<Generation, Generation, undefined>}
   */
  *startInParts(prompt = null, options = {}) {
    this.check();
    const sampling = checkSampling(options);
    const seed = checkSeed(options.seed);
    const { substream = 0, unknown = "error" } = options;
    checkNumber("substream", substream);
    const text = prompt ?? this.#defaultPrompt(seed + BigInt(substream));
    const tokens = this.withTokens(text, unknown, true, (pointer, count) => this.readTokens(pointer, count));
    return yield* this.#begin({ sampling, seed, substream }).feedInParts(tokens);
  }

  /** @param {{ sampling: Record<string, any>, seed: bigint, substream: number }} parts */
  #begin(parts) {
    const guide = this.guide(parts.sampling).share();
    try {
      return new Generation(this, { ...parts, guide }).begin(0n);
    } finally {
      guide.release();
    }
  }

  /**
   * Continue a saved generation.
   *
   * @param {Uint8Array} bytes
   * @param {{ match?: import("../index.d.ts").ConstraintTable }} [options] match: the table of the saved generation
   */
  resume(bytes, options = {}) {
    this.check();
    const { match = null } = checkOptions(options, ["match"]);
    return resumeGeneration(this, bytes, match, (parts) => new Generation(this, parts));
  }

  /** Free the memory. Neither the model nor its generations can be used any more. */
  dispose() {
    this.#isDisposed = true;
    this.core.dispose();
  }

  get defaultLength() {
    return this.info.records === null ? DEFAULT_LENGTH : DEFAULT_RECORD_LENGTH;
  }

  /** @param {bigint} number */
  #defaultPrompt(number) {
    const { prompts, records } = this.info;
    if (records !== null) {
      return "";
    }
    if (!prompts.length) {
      throw new TextgenError("NO_PROMPT", "the model has no default prompt: pass a prompt");
    }
    return prompts[Number(number % BigInt(prompts.length))];
  }

  /**
   * Normalize and encode a text, and call a function with its tokens.
   *
   * @template T
   * @param {unknown} text
   * @param {string} unknown
   * @param {boolean} isStart whether a model of records starts a record with the text, which may then be empty
   * @param {(pointer: number, count: number) => T} use
   * @returns {T}
   */
  withTokens(text, unknown, isStart, use) {
    this.check();
    if (typeof text !== "string") {
      throw invalid(`the text must be a string, not ${quote(text)}`);
    }
    if (unknown !== "error" && unknown !== "skip") {
      throw invalid(`unknown must be "error" or "skip", not ${quote(unknown)}`, "unknown");
    }
    const normalized = this.normalize(text);
    const { core } = this;
    return core.withBytes(normalized, (bytes, size) =>
      core.withMemory(8 * size, (pointer) => {
        const count = core.check(core.call.encode(bytes, size, Number(unknown === "skip"), pointer));
        if (!count && (text || !isStart || this.info.records === null)) {
          const reason = text ? "none of its characters is in the vocabulary" : "it is empty";
          throw new TextgenError("NO_PROMPT", `there is no text to continue: ${reason}`);
        }
        return use(pointer, count);
      }),
    );
  }

  /**
   * Return a text as the model's training text was normalized.
   *
   * @param {string} text
   */
  normalize(text) {
    const normalized = normalize(text, this.info);
    if (/\p{Surrogate}/u.test(normalized)) {
      throw new TextgenError("INVALID_UTF8", "the text has half of a surrogate pair, which is no character");
    }
    return normalized;
  }

  /**
   * Return tokens as numbers. In memory, each has 64 bits.
   *
   * @param {number} pointer
   * @param {number} count
   */
  readTokens(pointer, count) {
    return this.core.int32(pointer, 2 * count).filter((_, i) => i % 2 === 0);
  }

  /**
   * Return the automata of some sampling parameters.
   *
   * @param {Record<string, any>} sampling
   */
  guide(sampling) {
    if (sampling.minLength && this.vocabulary.end < 0) {
      throw invalid("minLength needs a model of records: the texts of other models have no end", "minLength");
    }
    const stops = sampling.stop.map((/** @type {string} */ text) => this.#stopTokens(text)).filter(Boolean);
    if (!stops.length && !sampling.match) {
      return this.noGuide;
    }
    const size = this.vocabulary.symbols.length;
    return new Guide(this.core, stops.length ? compileStops(this.core, stops, size) : null, this.#constraint(sampling.match));
  }

  /** Return the tokens of a stop text, or null if the model cannot generate it. @param {string} text */
  #stopTokens(text) {
    try {
      return this.withTokens(text, "error", false, (pointer, count) => {
        const tokens = Array.from(this.readTokens(pointer, count));
        return tokens.every((token) => token < 256 && this.vocabulary.isBytes || this.vocabulary.symbols[token]) ? tokens : null;
      });
    } catch (error) {
      if (error instanceof TextgenError && ["UNKNOWN_CHARACTER", "INVALID_UTF8"].includes(error.code)) {
        return null;
      }
      throw error;
    }
  }

  /** @param {any} table */
  #constraint(table) {
    if (table === null) {
      return null;
    }
    let compiled = typeof table === "object" ? this.#constraints.get(table) : undefined;
    if (!compiled) {
      compiled = compileConstraint(table, this.vocabulary);
      this.#constraints.set(table, compiled);
    }
    return compiled;
  }
}

/**
 * Read a prompt, and return to the event loop between its parts.
 *
 * @param {Generator<Generation, Generation, undefined>} parts
 * @param {AbortSignal} [signal]
 * @returns {AsyncGenerator<never, void, undefined>}
 */
async function* reading(parts, signal) {
  const pause = eventLoop();
  try {
    let before = performance.now();
    while (!parts.next().done) {
      if (performance.now() - before > SLICE) {
        await pause.next();
        signal?.throwIfAborted();
        before = performance.now();
      }
    }
  } finally {
    pause.close();
  }
}

/**
 * @param {Generation} generation
 * @param {AsyncGenerator<string, void, undefined>[]} parts
 */
async function* disposing(generation, ...parts) {
  try {
    for (const part of parts) {
      yield* part;
    }
  } finally {
    generation.dispose();
  }
}
