import { TextgenError, quote, spell } from "./errors.js";
import { checkSampling, withSampling } from "./sampling.js";

// A saved generation is a saved stream of the core, the same as in Python. Its description is JSON with the prompt, the
// sampling parameters under the names of Python, but for the numbers, which the stream has itself, and the hash of the
// corpus that the text must not copy. What C saves has no description.

/** @typedef {import("./generation.js").Parts} Parts */

/** @param {string} code @param {string} message @param {string} [parameter] */
const failure = (code, message, parameter) => new TextgenError(code, `the saved generation ${message}`, parameter);

/** @param {import("./generation.js").Generation} generation @param {number} stream */
export function saveGeneration({ model, parts, prompt }, stream) {
  const { core, novelDigest } = model;
  const { sampling, description } = parts;
  const novel = sampling.maxCopy ? novelDigest : undefined;
  const described = description ?? JSON.stringify({ prompt, sampling: describeSampling(sampling), novel });
  return core.withBytes(described, (text, size) => {
    const bytes = core.call.textgen_stream_saved_size(stream, size);
    return core.withMemory(bytes, (data) => {
      core.attempt("textgen_stream_save", stream, text, size, core.memoryOf(data, bytes));
      return core.bytes(data, bytes).slice();
    });
  });
}

/** Return the parameters that the stream does not have, if they are on. @param {Record<string, any>} sampling */
function describeSampling({ allowed, banned, stop, keepStop, maxCopy, logitBias }) {
  const values = {
    ...{ allowed, banned: banned.length && banned, stop: stop.length && stop },
    ...{ keep_stop: keepStop, max_copy: maxCopy, logit_bias: Object.keys(logitBias).length && Object.entries(logitBias) },
  };
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value));
}

/**
 * @param {import("./model.js").Model} model
 * @param {unknown} bytes
 * @param {any} match the table of the saved generation, or null
 * @param {(parts: Parts, prompt: string, fill: (pointer: number) => void) => import("./generation.js").Generation} create
 */
export function resumeGeneration(model, bytes, match, create) {
  const { core } = model;
  if (!(bytes instanceof Uint8Array)) {
    throw failure("INVALID_ARGUMENT", `must be a Uint8Array, not ${quote(bytes)}`);
  }
  return core.withBytes(bytes, (data, size) => {
    const { prompt, sampling, novel, text } = readDescription(core, data, size);
    if (sampling.max_copy && novel !== undefined && novel !== model.novelDigest) {
      throw failure("OTHER_SAVED", "has another corpus: load the model with the same novel", "novel");
    }
    const parts = { ...model.prepare({ ...readSampling(core, sampling), match }), description: text };
    const resumed = create(parts, prompt, (stream) =>
      withSampling(core, parts, null, () =>
        core.attempt("textgen_stream_resume", core.memoryOf(stream, core.streamBytes), core.model, core.sampling, data, size, core.output),
      ),
    );
    if (resumed.info("recent") && !parts.spans) {
      resumed.dispose();
      throw failure("OTHER_SAVED", "has maxCopy, but not its corpus: continue it where it was saved", "maxCopy");
    }
    return resumed;
  });
}

/**
 * Return the description in saved data, and as the text that is saved again.
 *
 * @param {import("./core.js").Core} core
 * @param {number} data
 * @param {number} size
 * @returns {{ prompt: string, sampling: Record<string, any>, novel?: string, text: string }}
 */
function readDescription(core, data, size) {
  core.attempt("textgen_saved_description", data, size, core.output, core.output + 4);
  const [pointer, length] = core.view(Int32Array, core.output, 2);
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(core.bytes(pointer, length));
    const { prompt = "", sampling = {}, novel } = JSON.parse(text || "{}");
    if (typeof prompt === "string" && typeof sampling === "object" && sampling) {
      return { prompt, sampling, novel, text: text && JSON.stringify({ prompt, sampling, novel }) };
    }
  } catch {
    // The same error.
  }
  throw failure("DAMAGED_SAVED", "has a damaged description");
}

/**
 * Return the sampling parameters of a description that JavaScript has, without the numbers that the stream has.
 *
 * @param {import("./core.js").Core} core
 * @param {Record<string, any>} saved under the names of Python
 */
function readSampling(core, saved) {
  const unknown = Object.keys(saved).filter((name) => !core.parameters.has(spell(name)));
  if (unknown.length) {
    throw failure("NEWER_FORMAT", `has the sampling parameters ${quote(unknown.join(", "))}: upgrade textgen-onnx`);
  }
  const { allowed, banned, stop, keep_stop: keepStop, max_copy: maxCopy } = saved;
  try {
    return checkSampling(core, { allowed, banned, stop, keepStop, maxCopy });
  } catch (error) {
    throw failure("DAMAGED_SAVED", `has damaged sampling parameters: ${/** @type {Error} */ (error).message}`);
  }
}
