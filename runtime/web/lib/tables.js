import { invalid } from "./errors.js";

/** Memory of the core that several users share. The last one that releases it frees it. */
export class Shared {
  #users = 1;
  #free;

  /** @param {number} pointer @param {() => void} free */
  constructor(pointer, free) {
    this.pointer = pointer;
    this.#free = free;
  }

  share() {
    this.#users += 1;
  }

  release() {
    this.#users -= 1;
    if (!this.#users) {
      this.pointer = 0;
      this.#free();
    }
  }
}

/** The latest table of a kind, which many texts may have one after another. */
export class LatestTable {
  /** What it was read from. @type {any[]} */
  #sources = [];
  /** @type {Shared | null} */
  #table = null;

  /** Return the table of some sources. Before the next call, the caller shares it. @param {any[]} sources @param {() => Shared} read */
  get(sources, read) {
    if (!this.#table || sources.some((source, i) => source !== this.#sources[i])) {
      this.#table?.release();
      this.#table = null;
      this.#table = read();
      this.#sources = sources;
    }
    return this.#table;
  }
}

/**
 * Read a constraint.
 *
 * @param {import("./core.js").Core} core
 * @param {unknown} table see ConstraintTable in index.d.ts
 * @param {number[]} banned the tokens that are never drawn
 */
export function readConstraint(core, table, banned) {
  core.withBytes(JSON.stringify(table) ?? "", (data, size) =>
    core.withTokens(banned, (tokens) =>
      core.attempt("textgen_constraint_create", core.model, data, size, tokens, banned.length, core.output),
    ),
  );
  const pointer = core.word(core.output);
  return new Shared(pointer, () => core.call?.textgen_constraint_destroy(pointer));
}

/**
 * Build the spans of a corpus.
 *
 * @param {import("./core.js").Core} core
 * @param {string | null} novel the corpus, normalized
 * @param {number} maxCopy
 */
export function readSpans(core, novel, maxCopy) {
  if (novel === null) {
    throw invalid("maxCopy", "needs a corpus that texts must not copy: load the model with novel");
  }
  core.withBytes(novel, (text, size) =>
    core.attempt("textgen_spans_create", core.model, text, size, maxCopy, core.output),
  );
  const pointer = core.word(core.output);
  return new Shared(pointer, () => core.call?.textgen_spans_destroy(pointer));
}

/**
 * Allocate memory for a stream, which shares its tables.
 *
 * @param {import("./core.js").Core} core
 * @param {import("./generation.js").Parts} parts
 */
export function allocateStream(core, { constraint, spans }) {
  const pointer = core.allocate(core.streamBytes);
  const tables = [constraint, spans];
  tables.forEach((table) => table?.share());
  return new Shared(pointer, () => {
    core.call?.free(pointer);
    tables.forEach((table) => table?.release());
  });
}
