import { invalid, quote } from "./errors.js";
import { hexadecimal, sha256 } from "./sha256.js";

const MAX_STATES = 2 ** 15;
const MAX_ENTRIES = 2 ** 27;
const NEVER = 2 ** 31 - 1;

// The size of a textgen_stop_state, and the offset of its field `pending`, in bytes.
const STOP_STATE = 20;
const STOP_PENDING = 16;

/** @param {string} name @param {string} parameter @param {number} states @param {number} vocabulary */
function checkSize(name, parameter, states, vocabulary) {
  if (states > MAX_STATES || states * vocabulary > MAX_ENTRIES) {
    throw invalid(`${name} is too large: it has ${states} states, and at most ${MAX_STATES} are supported`, parameter);
  }
}

/**
 * The stop texts as an automaton: after each token, its state tells whether the text ends with one of them. See
 * stops.h of the core, which makes it.
 *
 * @param {import("./core.js").Core} core
 * @param {number[][]} texts the tokens of each stop text, 1 or more
 * @param {number} vocabulary
 */
export function compileStops(core, texts, vocabulary) {
  const most = texts.reduce((sum, text) => sum + text.length, 1);
  checkSize("the automaton of the stop texts", "stop", most, vocabulary);
  return core.withMemory(most * STOP_STATE, (pointer) => {
    core.bytes(pointer, STOP_STATE).fill(0);
    let states = 1;
    for (const text of texts) {
      states = core.withMemory(8 * text.length, (tokens) => {
        core.int32(tokens, 2 * text.length).set(text.flatMap((token) => [token, 0]));
        return core.call.add_stop(pointer, states, tokens, text.length);
      });
    }
    core.call.link_stops(pointer);
    const table = core.bytes(pointer, states * STOP_STATE).slice();
    const fields = new Uint16Array(table.buffer);
    const depths = Array.from({ length: states }, (_, state) => fields[(state * STOP_STATE + STOP_PENDING) / 2]);
    return { states, table, depths };
  });
}

/**
 * Read a constraint table, and compute the distance of each state to the nearest accepting state.
 *
 * @param {any} table see ConstraintTable in index.d.ts
 * @param {import("./vocabulary.js").Vocabulary} vocabulary
 */
export function compileConstraint(table, vocabulary) {
  const list = table?.states;
  if (!Array.isArray(list) || !list.length) {
    throw invalid(`match must be a table of states, as textgen-info writes it, not ${quote(table)}`, "match");
  }
  const states = list.length;
  const size = vocabulary.symbols.length;
  checkSize("the table of match", "match", states, size);
  const next = new Int16Array(states * size).fill(-1);
  const distance = new Int32Array(states).fill(NEVER);
  list.forEach((state, number) => readState(state, number, { states, next, distance }, vocabulary));
  measureDistances(next, distance, size);
  if (distance[0] === NEVER) {
    throw invalid("no text matches the table of match: no accepting state can be reached", "match");
  }
  for (let state = 0; state < states; state++) {
    const row = next.subarray(state * size, (state + 1) * size);
    row.forEach((target, token) => {
      row[token] = target >= 0 && distance[target] === NEVER ? -1 : target;
    });
    if (distance[state] === 0 && row.every((target) => target < 0)) {
      distance[state] = -1;
    }
  }
  return { states, next, distance };
}

/** @param {any} state @param {number} number @param {any} tables @param {import("./vocabulary.js").Vocabulary} vocabulary */
function readState(state, number, tables, vocabulary) {
  if (typeof state?.accepting !== "boolean" || typeof state.next !== "object" || !state.next) {
    throw invalid(`state ${number} of match must have "accepting" and "next", not ${quote(JSON.stringify(state))}`, "match");
  }
  for (const [symbol, target] of Object.entries(state.next).filter((entry) => entry[1] !== undefined)) {
    const token = vocabulary.entries.get(symbol);
    if (token === undefined) {
      throw invalid(`match has ${quote(symbol)}, which is not in the vocabulary: write the table with this model`, "match");
    }
    if (!Number.isInteger(target) || target < 0 || target >= tables.states) {
      throw invalid(`state ${number} of match leads to ${quote(target)}; the states are 0 to ${tables.states - 1}`, "match");
    }
    tables.next[number * vocabulary.symbols.length + token] = target;
  }
  tables.distance[number] = state.accepting ? 0 : NEVER;
}

/**
 * Write the distance of each state to the nearest accepting state: a breadth-first search backwards.
 *
 * @param {Int16Array} next @param {Int32Array} distance 0 for accepting states @param {number} vocabulary
 */
function measureDistances(next, distance, vocabulary) {
  /** @type {Set<number>[]} */
  const sources = Array.from(distance, () => new Set());
  next.forEach((target, entry) => {
    if (target >= 0) {
      sources[target].add(Math.floor(entry / vocabulary));
    }
  });
  const queue = Array.from(distance.keys()).filter((state) => distance[state] === 0);
  for (const state of queue) {
    for (const source of sources[state]) {
      if (distance[source] === NEVER) {
        distance[source] = distance[state] + 1;
        queue.push(source);
      }
    }
  }
}

/** @param {ReturnType<typeof compileConstraint>} constraint */
function digestOf({ states, next, distance }) {
  const shape = new TextEncoder().encode(`${states} ${next.length / states}\n`);
  const accepting = Uint8Array.from(distance, (value) => Number(value <= 0));
  const content = new Uint8Array(shape.length + next.byteLength + states);
  content.set(shape);
  content.set(new Uint8Array(next.buffer), shape.length);
  content.set(accepting, shape.length + next.byteLength);
  return hexadecimal(sha256(content));
}

/** The automata of a generation in the memory of the core. Copies of the generation share them. */
export class Guide {
  /**
   * @param {import("./core.js").Core} core
   * @param {ReturnType<typeof compileStops> | null} stops
   * @param {ReturnType<typeof compileConstraint> | null} constraint
   */
  constructor(core, stops, constraint) {
    this.core = core;
    this.stops = stops;
    this.constraint = constraint;
    this.users = 0;
    const tables = [stops?.table, constraint?.next, constraint?.distance];
    const sizes = tables.map((table) => Math.ceil((table?.byteLength ?? 0) / 8) * 8);
    this.pointer = core.allocate(16 + sizes.reduce((sum, size) => sum + size, 0));
    let position = this.pointer + 16;
    tables.forEach((table, i) => {
      core.int32(this.pointer, 3)[i] = table ? position : 0;
      if (table) {
        core.bytes(position, table.byteLength).set(new Uint8Array(table.buffer));
      }
      position += sizes[i];
    });
    /** The SHA-256 of the constraint, which equals that in Python. */
    this.digest = constraint && digestOf(constraint);
  }

  /** @param {number} state @param {number} length */
  checkLength(state, length) {
    const needed = this.constraint ? Math.max(0, this.constraint.distance[state]) : 0;
    if (needed > length) {
      throw invalid(
        `match needs a text of at least ${needed} tokens, but the length is ${length}: use a greater length`,
        "match",
      );
    }
  }

  share() {
    this.users++;
    return this;
  }

  release() {
    if (--this.users === 0) {
      this.core.call.release(this.pointer);
    }
  }
}
