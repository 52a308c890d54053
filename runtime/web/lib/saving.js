import { TextgenError, quote } from "./errors.js";
import { checkSampling, checkSeed } from "./sampling.js";
import { sha256 } from "./sha256.js";

// A saved generation: the magic number, the version, the size of the JSON text, the JSON text with spaces up to a
// multiple of 4 bytes, the state and the logits as float32, and the SHA-256 of all that. Numbers are little-endian.
const MAGIC = 0x4e454754;
const VERSION = 1;
const HEADER = 12;
const DIGEST = 32;
const MAX_WINDOW = 1024;
const ENDINGS = [null, "length", "stop", "end", "constraint"];

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** @param {string} message @param {string} [parameter] */
const failure = (message, parameter) => new TextgenError("SAVED_GENERATION", message, parameter);
const damaged = () => failure("the bytes are not a saved generation, or are damaged");

/** @typedef {import("./generation.js").Generation} Generation */

/**
 * @param {Generation} generation
 * @param {import("./core.js").Core} core
 */
export function saveGeneration(generation, core) {
  const { model, parts, pointer, position, decoder: text } = generation;
  const { match, ...sampling } = parts.sampling;
  const values = model.stateValues + model.info.vocabulary.length;
  core.call.logits(pointer);
  const description = {
    model: model.sha256,
    prompt: generation.prompt,
    sampling,
    constraint: parts.guide.digest,
    seed: String(parts.seed),
    substream: parts.substream,
    position: String(core.call.position(pointer)),
    text: position,
    tail: text.tail,
    isFinished: text.isFinished,
    recent: readRecent(core, pointer),
    mirostat: core.call.mirostat(pointer),
  };
  const json = encoder.encode(JSON.stringify(description));
  const jsonSize = Math.ceil(json.length / 4) * 4;
  const saved = new Uint8Array(HEADER + jsonSize + 4 * values + DIGEST).fill(0x20);
  const view = new DataView(saved.buffer);
  [MAGIC, VERSION, jsonSize].forEach((value, i) => view.setUint32(4 * i, value, true));
  saved.set(json, HEADER);
  saved.set(core.bytes(core.call.state(pointer), 4 * values), HEADER + jsonSize);
  saved.set(digestOf(saved), saved.length - DIGEST);
  return saved;
}

/**
 * @param {import("./model.js").Model} model
 * @param {unknown} bytes
 * @param {any} match the table of the saved generation, or null
 * @param {(parts: Generation["parts"]) => Generation} create
 */
export function resumeGeneration(model, bytes, match, create) {
  const { core } = model;
  const content = checkBytes(bytes);
  const jsonSize = new DataView(content.buffer, content.byteOffset).getUint32(8, true);
  const floats = content.subarray(HEADER + jsonSize, content.length - DIGEST);
  const saved = readDescription(content.subarray(HEADER, HEADER + jsonSize));
  if (saved.model !== model.sha256) {
    throw failure(`the generation was saved with another model, of SHA-256 ${quote(saved.model)}: load that model`);
  }
  if (floats.length !== 4 * (model.stateValues + model.info.vocabulary.length)) {
    throw damaged();
  }
  const generation = restore(model, saved, match, create);
  core.bytes(core.call.state(generation.pointer), floats.length).set(floats);
  return generation;
}

/** Check the frame of a saved generation. @param {unknown} bytes */
function checkBytes(bytes) {
  if (!(bytes instanceof Uint8Array)) {
    throw failure(`a saved generation is a Uint8Array, not ${quote(bytes)}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER + DIGEST || view.getUint32(0, true) !== MAGIC) {
    throw damaged();
  }
  if (view.getUint32(4, true) > VERSION) {
    throw failure("a later version saved the generation: upgrade textgen-onnx");
  }
  const digest = digestOf(bytes);
  if (view.getUint32(8, true) > bytes.length - HEADER - DIGEST || digest.some((byte, i) => byte !== bytes[bytes.length - DIGEST + i])) {
    throw damaged();
  }
  return bytes;
}

/** @param {Uint8Array} json @returns {Record<string, any>} */
function readDescription(json) {
  try {
    const description = JSON.parse(decoder.decode(json));
    if (typeof description === "object" && description !== null) {
      return description;
    }
  } catch {
    // The same error.
  }
  throw damaged();
}

/**
 * Return a generation at a saved position, without its state.
 *
 * @param {import("./model.js").Model} model
 * @param {Record<string, any>} saved
 * @param {any} match
 * @param {(parts: Generation["parts"]) => Generation} create
 */
function restore(model, saved, match, create) {
  const seed = /^\d{1,39}$/.test(saved.seed) ? checkSeed(BigInt(saved.seed)) : null;
  const position = /^\d{1,19}$/.test(saved.position) ? BigInt(saved.position) : -1n;
  const sampling = checkSampling({ ...saved.sampling, match }, []);
  if (seed === null || position < 0n || position >= 2n ** 63n || !isIndex(saved.substream, 2 ** 32)) {
    throw damaged();
  }
  const guide = model.guide(sampling).share();
  try {
    if (guide.digest !== saved.constraint) {
      throw failure("the generation was saved with another constraint: pass its table as match", "match");
    }
    if (typeof saved.prompt !== "string" || !isText(model, saved, guide) || !isFilters(model, saved)) {
      throw damaged();
    }
    const generation = create({ sampling, seed, substream: saved.substream, guide }).begin(position);
    generation.prompt = saved.prompt;
    generation.position = { ...saved.text, drawn: saved.text.drawn ?? 0 };
    generation.decoder.tail = saved.tail;
    generation.decoder.isFinished = saved.isFinished;
    writeRecent(model.core, generation.pointer, saved);
    return generation;
  } finally {
    guide.release();
  }
}

/** @param {unknown} value @param {number} size */
const isIndex = (value, size) => Number.isInteger(value) && Number(value) >= 0 && Number(value) < size;

/** @param {unknown} list @param {number} size @returns {boolean} */
const isIndexes = (list, size) => Array.isArray(list) && list.every((value) => isIndex(value, size));

/**
 * Whether the position fits the model, the stop texts and the constraint.
 *
 * @param {import("./model.js").Model} model
 * @param {Record<string, any>} saved
 * @param {import("./automata.js").Guide} guide
 */
function isText(model, { text, tail, isFinished }, { stops, constraint }) {
  const isTail = isIndexes(tail, 256) && tail.length <= (model.vocabulary.isBytes ? 3 : 0);
  return (
    isTail &&
    typeof isFinished === "boolean" &&
    typeof text === "object" &&
    text !== null &&
    isIndexes(text.held, model.info.vocabulary.length) &&
    isIndex(text.stopState, stops?.states ?? 1) &&
    (stops?.depths[text.stopState] ?? 0) <= text.held.length &&
    isIndex(text.constraintState, constraint?.states ?? 1) &&
    ENDINGS.includes(text.ending) &&
    text.atEnd === (text.ending === "end") &&
    isIndex(text.drawn ?? 0, Number.MAX_SAFE_INTEGER) &&
    !(text.atEnd && model.vocabulary.end < 0)
  );
}

/** @param {import("./model.js").Model} model @param {Record<string, any>} saved */
const isFilters = (model, { recent, mirostat }) =>
  isIndexes(recent, model.info.vocabulary.length) && recent.length <= MAX_WINDOW && Number.isFinite(mirostat);

/** @param {import("./core.js").Core} core @param {number} pointer */
const readRecent = (core, pointer) =>
  core.withMemory(4 * MAX_WINDOW, (tokens) => Array.from(core.int32(tokens, core.call.recent(pointer, tokens))));

/** @param {import("./core.js").Core} core @param {number} pointer @param {Record<string, any>} saved */
function writeRecent(core, pointer, { recent, mirostat }) {
  core.withMemory(4 * MAX_WINDOW, (tokens) => {
    core.int32(tokens, recent.length).set(recent);
    core.call.restore_filters(pointer, tokens, recent.length, mirostat);
  });
}

/** Return the digest of a saved generation without its own. @param {Uint8Array} saved */
const digestOf = (saved) => sha256(saved.subarray(0, saved.length - DIGEST));
