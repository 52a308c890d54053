import { invalid, quote } from "./errors.js";
import { SAMPLING } from "./structs.js";

/** The sampling parameters that are no numbers. */
const TEXTS = ["logitBias", "allowed", "banned", "stop", "keepStop", "match"];
const OTHERS = ["seed", "substream", "unknown", "length", "signal"];
const MAX_SEED = 2n ** 128n;
const encoder = new TextEncoder();

/** @typedef {import("./core.js").Core} Core */

/**
 * Return options that are an object of known names.
 *
 * @template T
 * @param {T} options
 * @param {string[]} known
 * @returns {T}
 */
export function checkOptions(options, known) {
  if (typeof options !== "object" || options === null) {
    throw invalid("options", `must be an object, not ${quote(options)}`);
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw invalid(name, `is no option: the options are ${known.join(", ")}`);
    }
  }
  return options;
}

/**
 * Return the sampling parameters among some options. The core checks them further.
 *
 * @param {Core} core
 * @param {import("../index.d.ts").Options} options
 * @returns {Record<string, any>}
 */
export function checkSampling(core, options) {
  // A saved generation needs maxCopy, which has no place among the numbers of the core.
  const numbers = [...core.parameters].filter(([name, { offset }]) => offset || name === "maxCopy");
  /** @type {Record<string, any>} */
  const given = checkOptions(options, [...numbers.map(([name]) => name), ...TEXTS, ...OTHERS]);
  return {
    ...Object.fromEntries(numbers.map(([name, { initial }]) => [name, checkNumber(core, name, given[name] ?? initial)])),
    logitBias: checkBias(core, given.logitBias ?? {}),
    allowed: given.allowed === undefined || given.allowed === null ? null : texts("allowed", given.allowed),
    banned: texts("banned", given.banned ?? []),
    stop: typeof given.stop === "string" ? [given.stop] : texts("stop", given.stop ?? []),
    keepStop: Boolean(given.keepStop),
    match: given.match ?? null,
  };
}

/**
 * Return a number that is a value of a sampling parameter.
 *
 * @param {Core} core
 * @param {string} name of the parameter
 * @param {unknown} value
 * @param {string} about what follows the name in an error
 */
export function checkNumber(core, name, value, about = "") {
  const { pointer, isWhole } = /** @type {any} */ (core.parameters.get(name));
  const isNumber = isWhole ? Number.isInteger(value) : typeof value === "number";
  if (!isNumber || !core.call.textgen_parameter_accepts(pointer, value)) {
    const requirement = core.text(core.call.textgen_parameter_requirement(pointer, core.requirement));
    throw invalid(name, `${about}must be ${requirement}, not ${quote(value)}`);
  }
  return value;
}

/** @param {string} name @param {any} value @param {number} least */
export function checkInteger(name, value, least) {
  if (!Number.isSafeInteger(value) || value < least) {
    throw invalid(name, `must be an integer, ${least} or more, not ${quote(value)}`);
  }
}

/** @param {string} name @param {unknown} value @returns {string[]} */
function texts(name, value) {
  const list = typeof value === "string" ? Array.from(value) : value;
  if (!Array.isArray(list) || list.some((text) => typeof text !== "string")) {
    throw invalid(name, `must be a text or an array of texts, not ${quote(value)}`);
  }
  return [...list];
}

/** @param {Core} core @param {unknown} bias @returns {Record<string, number>} */
function checkBias(core, bias) {
  if (typeof bias !== "object" || bias === null) {
    throw invalid("logitBias", `must be an object of numbers by character, not ${quote(bias)}`);
  }
  Object.entries(bias).forEach(([symbol, value]) => checkNumber(core, "logitBias", value, `of ${quote(symbol)} `));
  return { ...bias };
}

/**
 * Return a seed as a bigint; a random one of 32 bits if there is none.
 *
 * @param {unknown} seed
 */
export function checkSeed(seed) {
  if (seed === undefined || seed === null) {
    return BigInt(Math.floor(Math.random() * 2 ** 32));
  }
  const isWhole = typeof seed === "bigint" || (typeof seed === "number" && Number.isSafeInteger(seed));
  const number = isWhole ? BigInt(/** @type {number} */ (seed)) : -1n;
  if (number < 0n || number >= MAX_SEED) {
    throw invalid("seed", `must be an integer from 0 to 2**128 - 1, a bigint from 2**53 on, not ${quote(seed)}`);
  }
  return number;
}

/**
 * Return the logit bias of each token, or null for none.
 *
 * @param {Record<string, any>} sampling
 * @param {import("./vocabulary.js").Vocabulary} vocabulary
 */
export function tokenBias({ logitBias, allowed, banned }, vocabulary) {
  if (!allowed && !banned.length && !Object.keys(logitBias).length) {
    return null;
  }
  const bias = new Float64Array(vocabulary.symbols.length);
  for (const [symbol, value] of Object.entries(logitBias)) {
    const token = vocabulary.tokens.get(symbol);
    if (token === undefined) {
      throw invalid("logitBias", `has ${quote(symbol)}, which is not in the vocabulary: omit it`);
    }
    bias[token] = value;
  }
  const keep = allowed && new Set(allowed);
  const drop = new Set(banned);
  let left = 0;
  for (const [symbol, token] of vocabulary.tokens) {
    // A word is as its characters are.
    const characters = [...symbol];
    const isBanned = drop.has(symbol) || characters.some((character) => drop.has(character));
    const isOut = isBanned || (keep && !keep.has(symbol) && !characters.every((character) => keep.has(character)));
    bias[token] = isOut ? -Infinity : bias[token];
    left += isOut ? 0 : 1;
  }
  if (vocabulary.isBytes && keep) {
    bias.fill(-Infinity, 128, 256);
  }
  if (!left) {
    throw invalid(keep ? "allowed" : "banned", "leaves no character of the vocabulary");
  }
  return bias;
}

/**
 * Write a textgen_sampling, and call a function while it and what it refers to are in memory.
 *
 * @param {Core} core
 * @param {import("./generation.js").Parts} parts
 * @param {{ seed: bigint, substream: number } | null} random null for a saved stream, which has its own numbers and bias
 * @param {() => void} use
 */
export function withSampling(core, { sampling, bias, stops, constraint, spans }, random, use) {
  const biases = (random && bias) ?? new Float64Array();
  const texts = stops.map((text) => encoder.encode(`${text}\0`));
  const pointers = biases.byteLength;
  let end = pointers + 4 * texts.length;
  core.withMemory(texts.reduce((sum, text) => sum + text.length, end), (memory) => {
    const field = (/** @type {Exclude<keyof typeof SAMPLING, "size">} */ name, /** @type {number} */ value) =>
      core.setWord(core.sampling + SAMPLING[name], value);
    core.bytes(core.sampling, SAMPLING.size).fill(0);
    core.view(Float64Array, memory, biases.length).set(biases);
    texts.forEach((text, i) => {
      core.bytes(memory + end, text.length).set(text);
      core.setWord(memory + pointers + 4 * i, memory + end);
      end += text.length;
    });
    field("logitBias", biases.length && memory);
    field("stop", memory + pointers);
    field("stopCount", texts.length);
    field("keepStop", Number(sampling.keepStop));
    field("constraint", constraint?.pointer ?? 0);
    field("spans", spans?.pointer ?? 0);
    if (random) {
      const { seed, substream } = random;
      core.view(BigUint64Array, core.sampling, 3).set([BigInt.asUintN(64, seed), seed >> 64n, BigInt(substream)]);
      for (const [name, { offset, isWhole }] of core.parameters) {
        // A whole number takes the low half of a uint64_t.
        if (offset) {
          core.view(/** @type {any} */ (isWhole ? Uint32Array : Float64Array), core.sampling + offset, 1)[0] = sampling[name];
        }
      }
    }
    use();
  });
}
