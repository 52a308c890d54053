import { TextgenError, invalid, quote } from "./errors.js";
import { Generation } from "./generation.js";
import { describe } from "./info.js";
import { checkInteger, checkOptions, checkSampling, checkSeed, tokenBias, withSampling } from "./sampling.js";
import { resumeGeneration } from "./saving.js";
import { LatestTable, readConstraint, readSpans } from "./tables.js";
import { Vocabulary, normalize } from "./vocabulary.js";

const DEFAULT_LENGTH = 400;
/** The maximum length of a record, which ends by itself. */
const DEFAULT_RECORD_LENGTH = 10_000;

/** A loaded model. */
export class Model {
  #novel;
  #constraint = new LatestTable();
  #spans = new LatestTable();

  /**
   * @param {import("./core.js").Core} core
   * @param {Uint8Array} content of the file
   * @param {string | null} novel the corpus that texts must not copy
   */
  constructor(core, content, novel) {
    this.core = core;
    core.create(content);
    this.info = describe(core);
    /** Memory for the stream before a call, or for a call that leaves it as it is. */
    this.spare = core.allocate(core.streamBytes);
    this.vocabulary = new Vocabulary(this.info);
    this.#novel = novel === null ? null : normalize(novel, this.info);
  }

  /** A hash of the corpus, as in Python: a saved generation must continue with the same one. */
  get novelDigest() {
    return Array.from(this.digest(this.#novel ?? "").subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  /** Return the SHA-256 of a text in UTF-8. @param {string} text */
  digest(text) {
    this.check();
    return this.core.withBytes(text, (bytes, size) =>
      this.core.withMemory(32, (hash) => {
        this.core.call.digest(bytes, size, hash);
        return this.core.bytes(hash, 32).slice();
      }),
    );
  }

  /** Throw an error if the model was disposed. */
  check() {
    if (!this.core.call) {
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
    const { generation, tokens } = this.#create(prompt, options);
    return generation.streamOnce(tokens, options.length ?? this.defaultLength, options.signal);
  }

  /**
   * Feed a prompt, and return a generation that continues it.
   *
   * @param {string | null} [prompt]
   * @param {import("../index.d.ts").Options} [options]
   */
  start(prompt = null, options = {}) {
    const { generation, tokens } = this.#create(prompt, options);
    generation.feedTokens(tokens);
    return generation;
  }

  /**
   * Return a generation, and the tokens of its prompt, which are not fed yet.
   *
   * @param {string | null} prompt
   * @param {import("../index.d.ts").Options} options
   */
  #create(prompt, options) {
    this.check();
    const { core } = this;
    const sampling = checkSampling(core, options);
    const seed = checkSeed(options.seed);
    const { substream = 0, unknown = "error" } = options;
    checkInteger("substream", substream, 0);
    const tokens = this.encode(prompt ?? this.#defaultPrompt(seed + BigInt(substream)), unknown, true);
    const parts = this.prepare(sampling);
    const generation = new Generation(this, parts, this.vocabulary.decode(tokens), (stream) =>
      withSampling(core, parts, { seed, substream }, () =>
        core.attempt("textgen_stream_init", core.memoryOf(stream, core.streamBytes), core.model, core.sampling, core.output),
      ),
    );
    return { generation, tokens };
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
    return resumeGeneration(this, bytes, match, (parts, saved, fill) => new Generation(this, parts, saved, fill));
  }

  /** Free the memory. Neither the model nor its generations can be used any more. */
  dispose() {
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
      throw invalid("text", `must be a string, not ${quote(text)}`);
    }
    if (unknown !== "error" && unknown !== "skip") {
      throw invalid("unknown", `must be "error" or "skip", not ${quote(unknown)}`);
    }
    const tokens = this.#tokens(text, unknown === "skip");
    if (!tokens.length && (text || !isStart || this.info.records === null)) {
      const reason = text ? "none of its characters is in the vocabulary" : "it is empty";
      throw new TextgenError("NO_PROMPT", `there is no text to continue: ${reason}`);
    }
    return tokens;
  }

  /** @param {string} text @param {boolean} skip whether to leave out characters outside the vocabulary */
  #tokens(text, skip) {
    const { core } = this;
    return core.withBytes(this.normalize(text), (bytes, size) =>
      core.withMemory(8 * size, (pointer) => {
        core.attempt("textgen_encode", core.model, bytes, size, Number(skip), pointer, core.output);
        // In memory, each token has 64 bits.
        return core.view(Int32Array, pointer, 2 * core.word(core.output)).filter((_, i) => i % 2 === 0);
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
   * Return checked options with what they stand for. Before the next call, a generation shares the tables.
   *
   * @param {Record<string, any>} sampling
   * @returns {import("./generation.js").Parts}
   */
  prepare(sampling) {
    const { core } = this;
    const { match, maxCopy, stop } = sampling;
    const bias = tokenBias(sampling, this.vocabulary);
    const banned = Array.from(bias ?? []).flatMap((value, token) => (value === -Infinity ? [token] : []));
    return {
      sampling,
      bias,
      stops: stop.flatMap((/** @type {string} */ text) => this.#writable(text)),
      constraint: match && this.#constraint.get([match, banned.join()], () => readConstraint(core, match, banned)),
      spans: maxCopy ? this.#spans.get([maxCopy], () => readSpans(core, this.#novel, maxCopy)) : null,
    };
  }

  /** Return a normalized stop text in a list, which is empty if the model cannot write it. @param {string} text */
  #writable(text) {
    try {
      return this.#tokens(text, false).includes(this.info.special.unknown ?? -1) ? [] : [this.normalize(text)];
    } catch (error) {
      if (error instanceof TextgenError && ["UNKNOWN_CHARACTER", "INVALID_UTF8"].includes(error.code)) {
        return [];
      }
      throw error;
    }
  }
}
