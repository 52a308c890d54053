import { TextgenError, quote } from "./errors.js";
import { NUMBERS, PYTHON_ONLY, SAMPLING_NAMES } from "./parameters.js";
import { checkSampling } from "./sampling.js";
import { hexadecimal } from "./core.js";
import { releaseTables } from "./tables.js";

// A saved generation is a saved text of the core, the same as in Python: see saved.h. Its description is JSON with the
// prompt, the sampling parameters under the names of Python, and the hash of the corpus that the text must not copy.
// What C saves has none. The core applies the numbers of its block, whatever the description says.

/** How saved generations of earlier versions begin. */
const EARLIER = "TGEN";
/** The bytes of a SHA-256. */
const DIGEST = 32;

/** @typedef {import("./generation.js").Parts} Parts */

/** @param {string} message @param {string} [parameter] */
const failure = (message, parameter) => new TextgenError("SAVED_GENERATION", message, parameter);

/** @param {string} name */
const pythonName = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** @param {import("./generation.js").Generation} generation @param {number} pointer */
export function saveGeneration(generation, pointer) {
  const { core, sha256, novelDigest } = generation.model;
  const { sampling, tables, description } = generation.parts;
  const novel = sampling.maxCopy ? novelDigest : undefined;
  const described = description ?? JSON.stringify({ prompt: generation.prompt, sampling: describeSampling(sampling), novel });
  return core.withBytes(described, (text, size) => {
    const bytes = core.call.saved_size(pointer, size);
    return core.withMemory(bytes, (data) => {
      const hashes = core.bytes(core.call.hashes(), 2 * DIGEST);
      hashes.set([...sha256.matchAll(/../g)].map(([digits]) => parseInt(digits, 16)));
      hashes.set(tables.constraint.digest, DIGEST);
      core.call.save(pointer, text, size, data);
      return core.bytes(data, bytes).slice();
    });
  });
}

/** Return the temperature, and the parameters that differ from their defaults. @param {Record<string, any>} sampling */
function describeSampling({ match, logitBias, ...others }) {
  const values = Object.entries({ ...others, logitBias: Object.entries(logitBias) });
  /** @type {Record<string, any>} */
  const defaults = { ...checkSampling({}), logitBias: [] };
  const isNew = (/** @type {string} */ name, /** @type {any} */ value) => JSON.stringify(value) !== JSON.stringify(defaults[name]);
  const kept = values.filter(([name, value]) => name === "temperature" || isNew(name, value));
  return Object.fromEntries(kept.map(([name, value]) => [pythonName(name), value]));
}

/**
 * @param {import("./model.js").Model} model
 * @param {unknown} bytes
 * @param {any} match the table of the saved generation, or null
 * @param {(parts: Parts, fill: (pointer: number) => void) => import("./generation.js").Generation} create
 */
export function resumeGeneration(model, bytes, match, create) {
  const { core } = model;
  if (!(bytes instanceof Uint8Array)) {
    throw failure(`a saved generation is a Uint8Array, not ${quote(bytes)}`);
  }
  if (String.fromCharCode(...bytes.subarray(0, EARLIER.length)) === EARLIER) {
    throw failure("an earlier version of textgen-onnx saved the generation, in another format: start a new one");
  }
  return core.withBytes(bytes, (data, size) => {
    const { prompt, sampling: saved, novel, text } = readDescription(core, data, size);
    const sha256 = hexadecimal(core.bytes(core.call.hashes(), DIGEST));
    if (sha256 !== model.sha256) {
      throw failure(`the generation was saved with another model, of SHA-256 ${sha256}: load that model`);
    }
    const parts = { ...model.withTables({ ...readSampling(saved), match }), description: text };
    const { sampling, tables: { constraint } } = parts;
    try {
      if (sampling.maxCopy && novel !== undefined && novel !== model.novelDigest) {
        throw failure("the generation was saved with another corpus: load the model with the same novel", "novel");
      }
      const digest = core.bytes(core.call.hashes() + DIGEST, DIGEST);
      if (constraint.digest.some((byte, i) => byte !== digest[i])) {
        throw failure("the generation was saved with another constraint: pass its table as match", "match");
      }
      const resumed = create(parts, (pointer) => resumeBlock(core, pointer, sampling, constraint.pointer));
      resumed.prompt = prompt;
      return resumed;
    } finally {
      releaseTables(parts.tables);
    }
  });
}

/**
 * Read the block, and take over its parameters.
 *
 * @param {import("./core.js").Core} core
 * @param {number} pointer
 * @param {Record<string, any>} sampling
 * @param {number} constraint
 */
function resumeBlock(core, pointer, sampling, constraint) {
  core.withMemory(8 * NUMBERS.length, (values) => {
    core.float64(values, NUMBERS.length).set(NUMBERS.map(([name]) => sampling[name]));
    const hasSpans = core.call.resume(pointer, constraint, values);
    if (hasSpans < 0) {
      throw failure(core.message());
    }
    const numbers = core.float64(values, NUMBERS.length);
    NUMBERS.forEach(([name], i) => (sampling[name] = numbers[i]));
    if (hasSpans && !sampling.maxCopy) {
      throw failure("the text has maxCopy, but not its corpus: continue it where it was saved", "maxCopy");
    }
  });
}

/**
 * Return the description of a saved generation, after a check of its header, and as the text that is saved again.
 *
 * @param {import("./core.js").Core} core
 * @param {number} data
 * @param {number} size
 * @returns {{ prompt: string, sampling: Record<string, any>, novel?: string, text: string }}
 */
function readDescription(core, data, size) {
  const view = core.call.open_saved(data, size);
  if (!view) {
    throw failure(core.message());
  }
  const [pointer, length] = core.int32(view, 2);
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(core.bytes(pointer, length));
    const { prompt = "", sampling = {}, novel } = JSON.parse(text || "{}");
    if (typeof prompt === "string" && typeof sampling === "object" && sampling) {
      return { prompt, sampling, novel, text: text && JSON.stringify({ prompt, sampling, novel }) };
    }
  } catch {
    // The same error.
  }
  throw failure("the description of the saved generation is damaged");
}

/** @param {Record<string, any>} saved under the names of Python @returns {Record<string, any>} */
function readSampling(saved) {
  const names = new Map([...SAMPLING_NAMES, ...PYTHON_ONLY].map((name) => [pythonName(name), name]));
  const unknown = Object.keys(saved).filter((name) => !names.has(name));
  if (unknown.length) {
    throw failure(`this version does not support the sampling parameters ${quote(unknown.join(", "))}: upgrade textgen-onnx`);
  }
  const options = Object.fromEntries(Object.entries(saved).map(([name, value]) => [names.get(name), value]));
  // `match` is an expression in Python, and a table here.
  ["match", ...PYTHON_ONLY].forEach((name) => delete options[name]);
  try {
    return checkSampling({ ...options, logitBias: Object.fromEntries(options.logitBias ?? []) });
  } catch (error) {
    throw failure(`the sampling parameters are damaged: ${/** @type {Error} */ (error).message}`);
  }
}
