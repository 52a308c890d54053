import { hexadecimal } from "./core.js";
import { TextgenError, invalid, quote } from "./errors.js";
import { Generation } from "./generation.js";
import { describe } from "./info.js";
import { checkNumber, checkOptions, checkSampling, checkSeed, withParameters } from "./sampling.js";
import { resumeGeneration } from "./saving.js";
import { SLICE, eventLoop } from "./scheduling.js";
import { LatestTables, compileStops, readConstraint, readSpans, releaseTables } from "./tables.js";
import { Vocabulary, normalize } from "./vocabulary.js";

const DEFAULT_LENGTH = 400;
/** The maximum length of a record, which ends by itself. */
const DEFAULT_RECORD_LENGTH = 10_000;

/** A loaded model. */
export class Model {
  #isDisposed = false;
  #sha256 = "";
  #file;
  #novel;
  #constraints;
  #spans;

  /**
   * @param {import("./core.js").Core} core
   * @param {Uint8Array} content of the file
   * @param {string | null} novel the corpus that texts must not copy
   */
  constructor(core, content, novel) {
    this.core = core;
    this.#file = core.create(content);
    const { info, end, textBytes, tokens } = describe(core);
    this.info = info;
    this.textBytes = textBytes;
    this.tokens = tokens;
    /** Memory for the position before a call. */
    this.spare = core.allocate(textBytes);
    this.vocabulary = new Vocabulary(info.vocabulary, info.level, end);
    this.#novel = novel === null ? null : normalize(novel, info);
    this.#constraints = new LatestTables(1, (match) => readConstraint(core, match));
    this.#spans = new LatestTables(1, (maxCopy) => readSpans(core, this.#novel, maxCopy));
  }

  /** The SHA-256 of the file, as hexadecimal digits. */
  get sha256() {
    this.check();
    const { pointer, size } = this.#file;
    return (this.#sha256 ||= hexadecimal(this.core.digest(this.core.call.sha256(pointer, size))));
  }

  /** A hash of the corpus, as in Python: a saved generation must continue with the same one. */
  get novelDigest() {
    return hexadecimal(this.digest(this.#novel ?? "")).slice(0, 16);
  }

  /** Return the SHA-256 of a text in UTF-8. @param {string} text */
  digest(text) {
    return this.core.withBytes(text, (bytes, size) => this.core.digest(this.core.call.sha256(bytes, size)));
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
    const tokens = this.encode(prompt ?? this.#defaultPrompt(seed + BigInt(substream)), unknown, true);
    const parts = this.withTables(sampling);
    try {
      const generation = new Generation(this, parts, (block) =>
        withParameters(this, sampling, seed, substream, (pointer) => this.core.call.start(block, pointer)),
      );
      return yield* generation.feedInParts(tokens);
    } finally {
      releaseTables(parts.tables);
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
    return resumeGeneration(this, bytes, match, (parts, fill) => new Generation(this, parts, fill));
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
   * Normalize and encode a text.
   *
   * @param {unknown} text
   * @param {string} unknown
   * @param {boolean} isStart whether a model of records starts a record with the text, which may then be empty
   */
  encode(text, unknown, isStart) {
    this.check();
    if (typeof text !== "string") {
      throw invalid(`the text must be a string, not ${quote(text)}`);
    }
    if (unknown !== "error" && unknown !== "skip") {
      throw invalid(`unknown must be "error" or "skip", not ${quote(unknown)}`, "unknown");
    }
    const { core } = this;
    const tokens = core.withBytes(this.normalize(text), (bytes, size) =>
      core.withMemory(8 * size, (pointer) => {
        const count = core.check(core.call.encode(bytes, size, Number(unknown === "skip"), pointer));
        // In memory, each token has 64 bits.
        return core.int32(pointer, 2 * count).filter((_, i) => i % 2 === 0);
      }),
    );
    if (!tokens.length && (text || !isStart || this.info.records === null)) {
      const reason = text ? "none of its characters is in the vocabulary" : "it is empty";
      throw new TextgenError("NO_PROMPT", `there is no text to continue: ${reason}`);
    }
    return tokens;
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
   * Return checked options with the tables that they stand for. The caller releases the tables.
   *
   * @param {Record<string, any>} sampling
   */
  withTables(sampling) {
    if (sampling.minLength && this.vocabulary.end < 0) {
      throw invalid("minLength needs a model of records: the texts of other models have no end", "minLength");
    }
    const stops = sampling.stop.flatMap((/** @type {string} */ text) => this.#stopTokens(text));
    const constraint = this.#constraints.get(sampling.match);
    const spans = this.#spans.get(sampling.maxCopy || null);
    // The last one, because after an error nothing is released.
    const compiled = compileStops(this.core, stops);
    return { sampling, tables: { stops: compiled, constraint: constraint.share(), spans: spans.share() } };
  }

  /** Return the tokens of a stop text in a list, which is empty if the model cannot generate it. @param {string} text */
  #stopTokens(text) {
    try {
      const tokens = this.encode(text, "error", false);
      return tokens.includes(this.info.special.unknown ?? -1) ? [] : [tokens];
    } catch (error) {
      if (error instanceof TextgenError && ["UNKNOWN_CHARACTER", "INVALID_UTF8"].includes(error.code)) {
        return [];
      }
      throw error;
    }
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
