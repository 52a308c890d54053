import { invalid, quote } from "./errors.js";

/**
 * The numbers among the sampling parameters, in the order of web_parameters: name, default, least and most. A
 * `true` at the end: the number must be more than the least.
 *
 * @type {[string, number, number, number, boolean?][]}
 */
const NUMBERS = [
  ["temperature", 0.5, 0, Number.MAX_VALUE],
  ["repetitionPenalty", 1, 0, 100, true],
  ["frequencyPenalty", 0, -100, 100],
  ["presencePenalty", 0, -100, 100],
  ["penaltyWindow", 64, 1, 1024],
  ["topK", 0, 0, 2 ** 31 - 1],
  ["typicalP", 1, 0, 1, true],
  ["topP", 1, 0, 1, true],
  ["minP", 0, 0, 1],
  ["mirostatTau", 0, 0, 100],
  ["mirostatEta", 0.1, 0, 1, true],
];
const INTEGERS = new Set(["penaltyWindow", "topK", "minLength"]);
const REPLACED_BY_MIROSTAT = { topK: 0, typicalP: 1, topP: 1, minP: 0 };
const OTHERS = ["seed", "substream", "logitBias", "allowed", "banned", "minLength", "stop", "keepStop", "match", "unknown"];
const OF_A_TEXT = ["length", "signal"];
const MAX_SEED = 2n ** 128n;
const MAX_LOGIT_BIAS = 100;

/** The names of the parameters that a generation keeps. */
const SAMPLING = [...NUMBERS.map(([name]) => name), "logitBias", "allowed", "banned", "minLength", "stop", "keepStop", "match"];

/** @typedef {import("../index.d.ts").Options} Options */

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
    throw invalid(`the options must be an object, not ${quote(options)}`);
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw invalid(`unknown option ${quote(name)}: the options are ${known.join(", ")}`);
    }
  }
  return options;
}

/**
 * Return the sampling parameters among some options, checked.
 *
 * @param {Options} options
 * @param {string[]} also names of other options that are allowed
 * @returns {Record<string, any>}
 */
export function checkSampling(options, also = OF_A_TEXT) {
  /** @type {Record<string, any>} */
  const given = checkOptions(options, [...NUMBERS.map(([name]) => name), ...OTHERS, ...also]);
  /** @type {Record<string, any>} */
  const sampling = {};
  for (const [name, initial, least, most, exclusive] of NUMBERS) {
    sampling[name] = checkNumber(name, given[name] ?? initial, least, most, exclusive ?? false);
  }
  for (const [name, off] of Object.entries(REPLACED_BY_MIROSTAT)) {
    if (sampling.mirostatTau > 0 && sampling[name] !== off) {
      throw invalid(`mirostatTau replaces topK, typicalP, topP and minP: omit ${name}`);
    }
  }
  sampling.logitBias = checkBias(given.logitBias ?? {});
  sampling.allowed = (given.allowed ?? null) === null ? null : texts("allowed", given.allowed);
  sampling.banned = texts("banned", given.banned ?? []);
  sampling.minLength = checkNumber("minLength", given.minLength ?? 0, 0, Number.MAX_SAFE_INTEGER, false);
  sampling.stop = typeof given.stop === "string" ? [given.stop] : texts("stop", given.stop ?? []);
  sampling.keepStop = Boolean(given.keepStop);
  sampling.match = given.match ?? null;
  if (sampling.stop.includes("")) {
    throw invalid("a stop text must not be empty");
  }
  if (sampling.stop.length && sampling.match) {
    throw invalid("use match or stop, not both: a stop text could end the text before it matches");
  }
  if (sampling.minLength && sampling.match) {
    throw invalid("use match or minLength, not both: match ends the text, so let it allow no short text");
  }
  return sampling;
}

/** @param {string} name @param {unknown} value @param {number} least @param {number} most @param {boolean} exclusive */
export function checkNumber(name, value, least, most, exclusive) {
  const isInteger = INTEGERS.has(name);
  const fits = typeof value === "number" && value >= least && value <= most && !(exclusive && value === least);
  if (!fits || (isInteger && !Number.isInteger(value))) {
    const kind = isInteger ? "an integer" : "a number";
    const range =
      most === Number.MAX_VALUE ? `${least} or more` : exclusive ? `more than ${least}, at most ${most}` : `from ${least} to ${most}`;
    throw invalid(`${name} must be ${kind}, ${range}, not ${quote(value)}`);
  }
  return /** @type {number} */ (value);
}

/** @param {string} name @param {unknown} value @returns {string[]} */
function texts(name, value) {
  const list = typeof value === "string" ? Array.from(value) : value;
  if (!Array.isArray(list) || list.some((text) => typeof text !== "string")) {
    throw invalid(`${name} must be a text or an array of texts, not ${quote(value)}`);
  }
  return [...list];
}

/** @param {unknown} bias @returns {Record<string, number>} */
function checkBias(bias) {
  if (typeof bias !== "object" || bias === null) {
    throw invalid(`logitBias must be an object of numbers by character, not ${quote(bias)}`);
  }
  for (const [character, value] of Object.entries(bias)) {
    checkNumber(`logitBias of ${quote(character)}`, value, -MAX_LOGIT_BIAS, MAX_LOGIT_BIAS, false);
  }
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
    throw invalid(`seed must be an integer from 0 to 2**128 - 1, a bigint from 2**53 on, not ${quote(seed)}`);
  }
  return number;
}

/**
 * Return the logit bias of each token, or null for none.
 *
 * @param {Record<string, any>} sampling
 * @param {import("./vocabulary.js").Vocabulary} vocabulary
 */
export function tokenBias(sampling, vocabulary) {
  const { logitBias, allowed, banned } = sampling;
  if (!allowed && !banned.length && !Object.keys(logitBias).length) {
    return null;
  }
  const bias = new Float64Array(vocabulary.symbols.length);
  for (const [symbol, value] of Object.entries(logitBias)) {
    const token = vocabulary.tokens.get(symbol);
    if (token === undefined) {
      throw invalid(`logitBias has ${quote(symbol)}, which is not in the vocabulary: omit it`);
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
    throw invalid("allowed and banned leave no character of the vocabulary: allow more, or ban fewer");
  }
  return bias;
}

/**
 * Write sampling parameters to memory, and call a function with the pointer.
 *
 * @template T
 * @param {import("./core.js").Core} core
 * @param {Record<string, any>} sampling
 * @param {{ seed: bigint, substream: number }} random
 * @param {Float64Array | null} bias
 * @param {(pointer: number) => T} use
 * @returns {T}
 */
export function withParameters(core, sampling, random, bias, use) {
  const size = (NUMBERS.length + 1 + 2 + 1) * 8;
  return core.withMemory(size + (bias ? bias.byteLength : 0), (pointer) => {
    const view = new DataView(core.memory.buffer, pointer);
    [...NUMBERS.map(([name]) => sampling[name]), random.substream].forEach((value, i) => view.setFloat64(8 * i, value, true));
    view.setBigUint64(8 * (NUMBERS.length + 1), BigInt.asUintN(64, random.seed), true);
    view.setBigUint64(8 * (NUMBERS.length + 2), random.seed >> 64n, true);
    view.setUint32(8 * (NUMBERS.length + 3), bias ? pointer + size : 0, true);
    if (bias) {
      core.float64(pointer + size, bias.length).set(bias);
    }
    return use(pointer);
  });
}

/** @param {Record<string, any>} sampling */
export const samplingOf = (sampling) => Object.fromEntries(SAMPLING.map((name) => [name, sampling[name]]));
