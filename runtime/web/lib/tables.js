import { TextgenError, invalid, quote } from "./errors.js";

/** Those of stops.h and text.h of the core. */
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

/** The latest tables of a kind, which many texts may have one after another. */
export class LatestTables {
  /** By what they were read from, the latest one last. @type {Map<any, Table>} */
  #tables = new Map();
  #most;
  #read;

  /** @param {number} most @param {(source: any) => Table} read */
  constructor(most, read) {
    this.#most = most;
    this.#read = read;
  }

  /** Return the table of a source, or of none. Before the next call, the caller shares it. @param {any} source */
  get(source) {
    if (source === null) {
      return NO_TABLE;
    }
    const table = this.#tables.get(source) ?? this.#read(source);
    this.#tables.delete(source);
    this.#tables.set(source, table);
    if (this.#tables.size > this.#most) {
      const [[oldest, unused]] = this.#tables;
      this.#tables.delete(oldest);
      unused.release();
    }
    return table;
  }
}

/**
 * Compile stop texts: see stops.h of the core.
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
 */
export function readConstraint(core, table) {
  const pointer = core.withBytes(toJson(table), (json, size) => core.call.read_constraint(json, size));
  if (!pointer) {
    throw new TextgenError("INVALID_ARGUMENT", `match: ${core.message()}`, "match");
  }
  return new Table(pointer, () => core.call.release_constraint(pointer), core.digest(core.call.digest_constraint(pointer)));
}

/**
 * Build the spans of a corpus: see spans.h of the core.
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
    throw new TextgenError("OUT_OF_MEMORY", `maxCopy: ${core.message()}`, "maxCopy");
  }
  return new Table(pointer, () => core.call.release_spans(pointer));
}

/** @param {unknown} table */
function toJson(table) {
  try {
    return JSON.stringify(table) ?? "";
  } catch {
    throw invalid(`match must be a table, as textgen-info writes it, not ${quote(table)}`, "match");
  }
}
