import { spell } from "./errors.js";
import { Instance } from "./instance.js";
import { MEMORY, PARAMETER, REQUIREMENT_SIZE, SAMPLING, STREAM } from "./structs.js";

/** The bytes of what a function returns besides a code: up to three numbers or pointers. */
const OUTPUT_SIZE = 12;

/** The instance of the module that generates, whose functions are those of textgen.h and of exports.c, and its model. */
export class Core extends Instance {
  /** @param {WebAssembly.Instance} instance */
  constructor(instance) {
    super(instance);
    // Structs that nothing is kept in between calls.
    this.sampling = this.allocate(SAMPLING.size);
    this.info = this.allocate(STREAM.size);
    this.requirement = this.allocate(REQUIREMENT_SIZE);
    this.output = this.allocate(OUTPUT_SIZE);
    this.passed = this.allocate(MEMORY.size);
    /** The descriptions of the sampling parameters of the core, by the name in JavaScript. */
    this.parameters = new Map(this.#parameters());
    // Frees the memory of generations that were dropped without dispose().
    this.registry = new FinalizationRegistry((/** @type {{ release(): void }} */ memory) => memory.release());
    this.model = this.streamBytes = 0;
    this.workspace = { pointer: 0, bytes: 0 };
  }

  /** @returns {Iterable<[string, { pointer: number, isWhole: boolean, initial: number, offset: number }]>} */
  *#parameters() {
    for (let index = 0, pointer; (pointer = this.call.textgen_parameter(index)); index += 1) {
      const isWhole = this.text(this.word(pointer + PARAMETER.kind)) === "whole";
      const [initial] = this.view(Float64Array, pointer + PARAMETER.initial, 1);
      yield [spell(this.text(this.word(pointer))), { pointer, isWhole, initial, offset: this.word(pointer + PARAMETER.offset) }];
    }
  }

  /**
   * Read a model file, once. The core reads metadata from its memory later, so it is freed with the instance.
   *
   * @param {Uint8Array} content
   */
  create(content) {
    const pointer = this.allocate(content.length);
    this.bytes(pointer, content.length).set(content);
    this.attempt("create", pointer, content.length, this.output);
    this.model = this.word(this.output);
    this.streamBytes = this.call.textgen_stream_size(this.model);
    const bytes = this.call.textgen_workspace_size(this.model, 1);
    this.workspace = { pointer: this.allocate(bytes), bytes };
  }

  // A textgen_memory is passed by its address.

  /** @param {number} data @param {number} bytes */
  memoryOf(data, bytes) {
    this.setWord(this.passed + MEMORY.data, data);
    this.setWord(this.passed + MEMORY.bytes, bytes);
    return this.passed;
  }

  workspaceMemory() {
    return this.memoryOf(this.workspace.pointer, this.workspace.bytes);
  }
}
