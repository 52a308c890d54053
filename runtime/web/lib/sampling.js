import { invalid, quote } from "./errors.js";
import { NUMBERS, SAMPLING_NAMES, TRUNCATIONS } from "./parameters.js";

/** Other numbers, described in the same way, but without a default. @type {typeof NUMBERS} */
const OTHER_NUMBERS = [
  ["logitBias", false, NaN, -100, 100, false, "a number from -100 to 100"],
  ["substream", true, NaN, 0, 2 ** 32 - 1, false, "an integer from 0 to 2**32 - 1"],
  ["length", true, NaN, 0, Number.MAX_SAFE_INTEGER, false, "an integer, 0 or more"],
  ["k", true, NaN, 1, Number.MAX_SAFE_INTEGER, false, "an integer, 1 or more"],
];
const DESCRIPTIONS = new Map([...NUMBERS, ...OTHER_NUMBERS].map((row) => [row[0], row]));
const OPTIONS = [...SAMPLING_NAMES, "seed", "substream", "unknown", "length", "signal"];
const MAX_SEED = 2n ** 128n;

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
      throw invalid(`unknown option ${quote(name)}: the options are ${known.join(", ")}`, name);
    }
  }
  return options;
}

/**
 * Return the sampling parameters among some options, checked.
 *
 * @param {Options} options
 * @returns {Record<string, any>}
 */
export function checkSampling(options) {
  /** @type {Record<string, any>} */
  const given = checkOptions(options, OPTIONS);
  /** @type {Record<string, any>} */
  const sampling = {};
  for (const [name, , initial] of NUMBERS) {
    sampling[name] = checkNumber(name, given[name] ?? initial);
  }
  const replaced = TRUNCATIONS.find((name) => sampling[name] !== descriptionOf(name)[2]);
  if (sampling.mirostatTau > 0 && replaced) {
    throw invalid(`mirostatTau replaces ${replaced}: omit one of them`, "mirostatTau");
  }
  sampling.logitBias = checkBias(given.logitBias ?? {});
  sampling.allowed = (given.allowed ?? null) === null ? null : texts("allowed", given.allowed);
  sampling.banned = texts("banned", given.banned ?? []);
  sampling.stop = typeof given.stop === "string" ? [given.stop] : texts("stop", given.stop ?? []);
  sampling.keepStop = Boolean(given.keepStop);
  sampling.match = given.match ?? null;
  if (sampling.stop.includes("")) {
    throw invalid("a stop text must not be empty", "stop");
  }
  if (sampling.stop.length && sampling.match) {
    throw invalid("use match or stop, not both: a stop text could end the text before it matches", "match");
  }
  if (sampling.minLength && sampling.match) {
    throw invalid("use match or minLength, not both: only match ends the text, so use one that allows no short text", "match");
  }
  if (sampling.maxCopy && sampling.match) {
    throw invalid("use match or maxCopy, not both: all texts that match may be copies", "match");
  }
  return sampling;
}

/** @param {string} name */
const descriptionOf = (name) => /** @type {(typeof NUMBERS)[number]} */ (DESCRIPTIONS.get(name));

/**
 * Return a number that is a value of a parameter.
 *
 * @param {string} name of the parameter
 * @param {unknown} value
 * @param {string} about the name in an error
 */
export function checkNumber(name, value, about = name) {
  const [, isInteger, , least, most, isOpen, requirement] = descriptionOf(name);
  const isInside = typeof value === "number" && value >= least && value <= most && !(isOpen && value === least);
  if (!isInside || (isInteger && !Number.isInteger(value))) {
    throw invalid(`${about} must be ${requirement}, not ${quote(value)}`, name);
  }
  return value;
}

/** @param {string} name @param {unknown} value @returns {string[]} */
function texts(name, value) {
  const list = typeof value === "string" ? Array.from(value) : value;
  if (!Array.isArray(list) || list.some((text) => typeof text !== "string")) {
    throw invalid(`${name} must be a text or an array of texts, not ${quote(value)}`, name);
  }
  return [...list];
}

/** @param {unknown} bias @returns {Record<string, number>} */
function checkBias(bias) {
  if (typeof bias !== "object" || bias === null) {
    throw invalid(`logitBias must be an object of numbers by character, not ${quote(bias)}`, "logitBias");
  }
  for (const [character, value] of Object.entries(bias)) {
    checkNumber("logitBias", value, `logitBias of ${quote(character)}`);
  }
  return { ...bias };
}

/** Return the names of the parameters that can forbid tokens. @param {Record<string, any>} sampling */
export const namesThatForbid = ({ maxCopy, allowed, banned, minLength, match }) =>
  Object.entries({ maxCopy, allowed, banned: banned.length, minLength, match }).flatMap(([name, value]) => (value ? [name] : []));

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
    throw invalid(`seed must be an integer from 0 to 2**128 - 1, a bigint from 2**53 on, not ${quote(seed)}`, "seed");
  }
  return number;
}

/**
 * Return the logit bias of each token, or null for none.
 *
 * @param {Record<string, any>} sampling
 * @param {import("./vocabulary.js").Vocabulary} vocabulary
 */
function tokenBias(sampling, vocabulary) {
  const { logitBias, allowed, banned } = sampling;
  if (!allowed && !banned.length && !Object.keys(logitBias).length) {
    return null;
  }
  const bias = new Float64Array(vocabulary.symbols.length);
  for (const [symbol, value] of Object.entries(logitBias)) {
    const token = vocabulary.tokens.get(symbol);
    if (token === undefined) {
      throw invalid(`logitBias has ${quote(symbol)}, which is not in the vocabulary: omit it`, "logitBias");
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
    const name = keep ? "allowed" : "banned";
    throw invalid("allowed and banned leave no character of the vocabulary: allow more, or ban fewer", name);
  }
  return bias;
}

/** Return the tokens that are never drawn. @param {Record<string, any>} sampling @param {import("./vocabulary.js").Vocabulary} vocabulary */
export const bannedTokens = (sampling, vocabulary) =>
  [...(tokenBias(sampling, vocabulary) ?? [])].flatMap((bias, token) => (bias === -Infinity ? [token] : []));

/**
 * Write what `start` of the core takes to memory, and call a function with the pointer.
 *
 * @template T
 * @param {import("./model.js").Model} model
 * @param {Record<string, any>} sampling
 * @param {bigint} seed
 * @param {number} substream
 * @param {(pointer: number) => T} use
 * @returns {T}
 */
export function withParameters({ core, vocabulary }, sampling, seed, substream, use) {
  const bias = tokenBias(sampling, vocabulary);
  const size = 8 * (4 + NUMBERS.length);
  return core.withMemory(size + (bias ? bias.byteLength : 0), (pointer) => {
    const view = new DataView(core.memory.buffer, pointer, size);
    view.setBigUint64(0, BigInt.asUintN(64, seed), true);
    view.setBigUint64(8, seed >> 64n, true);
    view.setFloat64(16, substream, true);
    view.setUint32(24, bias ? pointer + size : 0, true);
    NUMBERS.forEach(([name], i) => view.setFloat64(8 * (4 + i), sampling[name], true));
    if (bias) {
      core.float64(pointer + size, bias.length).set(bias);
    }
    return use(pointer);
  });
}
