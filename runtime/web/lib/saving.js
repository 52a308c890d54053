import { TextgenError, quote } from "./errors.js";
import { PYTHON_ONLY, SAMPLING_NAMES } from "./parameters.js";
import { checkSampling } from "./sampling.js";
import { hexadecimal } from "./sha256.js";
import { releaseTables } from "./tables.js";

// A saved generation is a saved text of the core, the same as in Python: see saved.h. Its description is JSON with the
// prompt, and with the sampling parameters under the names of Python.

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
  const { core, sha256 } = generation.model;
  const { sampling, tables, saved } = generation.parts;
  const description = { prompt: generation.prompt, sampling: saved ?? describeSampling(sampling) };
  return core.withBytes(JSON.stringify(description), (text, size) => {
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
    const { prompt, sampling: saved } = readDescription(core, data, size);
    const sha256 = hexadecimal(core.bytes(core.call.hashes(), DIGEST));
    if (sha256 !== model.sha256) {
      throw failure(`the generation was saved with another model, of SHA-256 ${sha256}: load that model`);
    }
    const parts = { ...model.withTables({ ...readSampling(saved), match }), saved };
    const { constraint } = parts.tables;
    try {
      const digest = core.bytes(core.call.hashes() + DIGEST, DIGEST);
      if (constraint.digest.some((byte, i) => byte !== digest[i])) {
        throw failure("the generation was saved with another constraint: pass its table as match", "match");
      }
      const resumed = create(parts, (pointer) => {
        if (core.call.resume(pointer, constraint.pointer) < 0) {
          throw failure(core.message());
        }
      });
      resumed.prompt = prompt;
      return resumed;
    } finally {
      releaseTables(parts.tables);
    }
  });
}

/**
 * Return the description of a saved generation, after a check of its header.
 *
 * @param {import("./core.js").Core} core
 * @param {number} data
 * @param {number} size
 * @returns {{ prompt: string, sampling: Record<string, any> }}
 */
function readDescription(core, data, size) {
  const view = core.call.open_saved(data, size);
  if (!view) {
    throw failure(core.message());
  }
  const [pointer, length] = core.int32(view, 2);
  try {
    // What a text in C saved has no description.
    const text = new TextDecoder("utf-8", { fatal: true }).decode(core.bytes(pointer, length)) || "{}";
    const { prompt = "", sampling = {} } = JSON.parse(text);
    if (typeof prompt === "string" && typeof sampling === "object" && sampling) {
      return { prompt, sampling };
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
