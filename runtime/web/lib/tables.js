import { TextgenError, codeName, invalid, quote } from "./errors.js";
import { sha256 } from "./sha256.js";

/** Those of tables.h and text.h of the core. */
const STOP_STATE_BYTES = 20;
const MAX_STATES = 2 ** 15;
const MAX_STOP_TOKENS = 1020;

/** Memory of the core that several generations use. The last one that releases it frees it. */
export class Table {
  #users = 1;
  #free;

  /** @param {number} pointer @param {() => void} [free] @param {Uint8Array} [digest] of a constraint */
  constructor(pointer, free = () => {}, digest = new Uint8Array(32)) {
    this.pointer = pointer;
    this.digest = digest;
    this.#free = free;
  }

  share() {
    this.#users += 1;
    return this;
  }

  release() {
    this.#users -= 1;
    if (!this.#users) {
      this.#free();
    }
  }
}

/** @typedef {{ stops: Table, constraint: Table, spans: Table }} Tables those that a generation follows */

/** @param {Tables} tables */
export const releaseTables = (tables) => Object.values(tables).forEach((table) => table.release());

/** Stands for no stop texts, no constraint and no spans. */
export const NO_TABLE = new Table(0);

/** The latest table of a kind, which many texts may have one after another. */
export class LatestTable {
  /** @type {Table | undefined} */
  #table;
  /** @type {unknown} */
  #source;
  #banned = "";
  #read;

  /** @param {(source: any, banned: number[]) => Table} read */
  constructor(read) {
    this.#read = read;
  }

  /**
   * Return the table of a source, or of none. Before the next call, the caller shares it.
   *
   * @param {unknown} source
   * @param {number[]} [banned] the tokens that are never drawn
   */
  get(source, banned = []) {
    if (source === null) {
      return NO_TABLE;
    }
    if (!this.#table || source !== this.#source || String(banned) !== this.#banned) {
      const table = this.#read(source, banned);
      this.#table?.release();
      this.#table = table;
      this.#source = source;
      this.#banned = String(banned);
    }
    return this.#table;
  }
}

/**
 * Compile stop texts: see tables.h of the core.
 *
 * @param {import("./core.js").Core} core
 * @param {number[][]} texts the tokens of each stop text
 */
export function compileStops(core, texts) {
  const most = texts.reduce((sum, text) => sum + text.length, 1);
  const longest = Math.max(0, ...texts.map((text) => text.length));
  if (longest > MAX_STOP_TOKENS) {
    throw invalid(`a stop text must have at most ${MAX_STOP_TOKENS} tokens, not ${longest}`, "stop");
  }
  if (most > MAX_STATES) {
    throw invalid(`the stop texts together must have at most ${MAX_STATES - 1} tokens, not ${most - 1}`, "stop");
  }
  if (most === 1) {
    return NO_TABLE;
  }
  const pointer = core.allocate(most * STOP_STATE_BYTES);
  core.bytes(pointer, STOP_STATE_BYTES).fill(0);
  texts.reduce((states, text) => core.withTokens(text, (tokens) => core.call.add_stop(pointer, states, tokens, text.length)), 1);
  core.call.link_stops(pointer);
  return new Table(pointer, () => core.call.release(pointer));
}

/**
 * Read a constraint.
 *
 * @param {import("./core.js").Core} core
 * @param {unknown} table see ConstraintTable in index.d.ts
 * @param {number[]} banned the tokens that are never drawn
 */
export function readConstraint(core, table, banned) {
  /** @param {boolean} done */
  const check = (done) => {
    if (!done) {
      throw new TextgenError(codeName(core.call.failure()), `match: ${core.message()}`, "match");
    }
  };
  const pointer = core.withBytes(toJson(table), (json, size) => core.call.read_constraint(json, size));
  check(pointer !== 0);
  const read = new Table(pointer, () => core.call.release_constraint(pointer), digestOf(core, pointer));
  try {
    check(!banned.length || core.withTokens(banned, (tokens) => core.call.ban(pointer, tokens, banned.length)) === 0);
  } catch (error) {
    read.release();
    throw error;
  }
  return read;
}

/**
 * Build the spans of a corpus: see tables.h of the core.
 *
 * @param {import("./core.js").Core} core
 * @param {string | null} novel the corpus, normalized
 * @param {number} maxCopy
 */
export function readSpans(core, novel, maxCopy) {
  if (novel === null) {
    throw invalid("maxCopy needs a corpus that texts must not copy: load the model with novel", "maxCopy");
  }
  const pointer = core.withBytes(novel, (text, size) => core.call.read_spans(text, size, maxCopy));
  if (!pointer) {
    throw new TextgenError(codeName(core.call.failure()), `maxCopy: ${core.message()}`, "maxCopy");
  }
  return new Table(pointer, () => core.call.release_spans(pointer));
}

/** Return the SHA-256 of a constraint: see tables.c. @param {import("./core.js").Core} core @param {number} pointer */
function digestOf(core, pointer) {
  const [next, distance, states, vocabulary] = core.int32(pointer, 4);
  const size = 2 * states * vocabulary;
  const content = new Uint8Array(16 + size + states);
  const view = new DataView(content.buffer);
  view.setUint32(0, states, true);
  view.setUint32(8, vocabulary, true);
  content.set(core.bytes(next, size), 16);
  core.int32(distance, states).forEach((value, state) => view.setUint8(16 + size + state, Number(value <= 0)));
  return sha256(content);
}

/** @param {unknown} table */
function toJson(table) {
  try {
    return JSON.stringify(table) ?? "";
  } catch {
    throw invalid(`match must be a table, as textgen-info writes it, not ${quote(table)}`, "match");
  }
}
