// An instance of a WebAssembly module of the package: its memory, and calls of its functions.
import { CODES, TextgenError, spell } from "./errors.js";
import { ERROR } from "./structs.js";

/** The most bytes of one allocation. The module takes sizes modulo 2**32. */
const MAX_SIZE = 2 ** 31 - 1;

/** What the errors of functions are about that name no parameter. @type {Record<string, string>} */
const SUBJECTS = { textgen_constraint_create: "match", textgen_spans_create: "maxCopy" };

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class Instance {
  /** @param {WebAssembly.Instance} instance */
  constructor(instance) {
    /** @type {any} */
    this.call = instance.exports;
    /** @type {WebAssembly.Memory} */
    this.memory = this.call.memory;
    this.call._initialize();
    this.error = this.allocate(ERROR.size);
  }

  /**
   * Call a function whose last argument is the error, and throw that.
   *
   * @param {string} name
   * @param {...(number | bigint)} values
   */
  attempt(name, ...values) {
    const { __stack_pointer: stack } = this.call;
    const before = stack.value;
    let code;
    this.setWord(this.error, 0);
    try {
      code = this.call[name](...values, this.error);
    } catch (trap) {
      // The module traps where a model file or an argument is wrong.
      stack.value = before;
      code = this.word(this.error);
      if (!code) {
        throw trap;
      }
    }
    if (code < 0) {
      throw this.#failure(code, SUBJECTS[name]);
    }
  }

  /** Return the error of the latest call. @param {number} code @param {string | undefined} subject */
  #failure(code, subject) {
    const name = this.name(this.error + ERROR.parameter);
    const parameter = name ? spell(name) : subject;
    const message = this.text(this.error + ERROR.message).replace(/\b[a-z]+_[a-z_]+\b/g, spell);
    return new TextgenError(CODES[-code], parameter ? `${parameter} ${message}` : message, parameter);
  }

  /**
   * @param {number} size in bytes
   * @returns {number} a pointer
   */
  allocate(size) {
    const pointer = size <= MAX_SIZE ? this.call.malloc(size || 1) >>> 0 : 0;
    if (!pointer) {
      throw new TextgenError("OUT_OF_MEMORY", `not enough memory: ${size} bytes are needed`);
    }
    return pointer;
  }

  /**
   * Call a function with temporary memory.
   *
   * @template T
   * @param {number} size in bytes
   * @param {(pointer: number) => T} use
   * @returns {T}
   */
  withMemory(size, use) {
    const pointer = this.allocate(size);
    try {
      return use(pointer);
    } finally {
      this.call.free(pointer);
    }
  }

  /**
   * Call a function with temporary memory that has the content of some bytes.
   *
   * @template T
   * @param {Uint8Array | string} content
   * @param {(pointer: number, size: number) => T} use
   * @returns {T}
   */
  withBytes(content, use) {
    const bytes = typeof content === "string" ? encoder.encode(content) : content;
    return this.withMemory(bytes.length, (pointer) => {
      this.bytes(pointer, bytes.length).set(bytes);
      return use(pointer, bytes.length);
    });
  }

  /**
   * Call a function with temporary memory that has a text in UTF-8, and a zero.
   *
   * @template T
   * @param {string} text
   * @param {(pointer: number) => T} use
   * @returns {T}
   */
  withText(text, use) {
    return this.withBytes(`${text}\0`, use);
  }

  /**
   * The same for several texts.
   *
   * @template T
   * @param {string[]} texts
   * @param {(pointers: number[]) => T} use
   * @returns {T}
   */
  withTexts([first, ...others], use) {
    if (first === undefined) return use([]);
    return this.withText(first, (pointer) => this.withTexts(others, (pointers) => use([pointer, ...pointers])));
  }

  /**
   * Call a function with temporary memory that has some tokens. There, each has 64 bits.
   *
   * @template T
   * @param {ArrayLike<number>} tokens
   * @param {(pointer: number) => T} use
   * @returns {T}
   */
  withTokens(tokens, use) {
    return this.withMemory(8 * tokens.length, (pointer) => {
      const memory = this.view(Int32Array, pointer, 2 * tokens.length).fill(0);
      for (let i = 0; i < tokens.length; i += 1) {
        memory[2 * i] = tokens[i];
      }
      return use(pointer);
    });
  }

  /** Drop the instance, which is garbage as soon as nothing refers to it. */
  dispose() {
    this.call = this.memory = /** @type {any} */ (null);
  }

  // Views are valid only until memory is allocated, because growth detaches them. The module returns pointers as
  // integers with a sign, which those above 2 GB have.

  /**
   * @template T
   * @param {new (buffer: ArrayBuffer, pointer: number, length: number) => T} Kind
   * @param {number} pointer
   * @param {number} length
   */
  view(Kind, pointer, length) {
    return new Kind(this.memory.buffer, pointer >>> 0, length);
  }

  /** @param {number} pointer @param {number} length */
  bytes(pointer, length) {
    return this.view(Uint8Array, pointer, length);
  }

  /** Return an int32. @param {number} pointer */
  word(pointer) {
    return this.view(Int32Array, pointer, 1)[0];
  }

  /** @param {number} pointer @param {number} value an int32, or a pointer */
  setWord(pointer, value) {
    this.view(Int32Array, pointer, 1)[0] = value;
  }

  /** @param {number} pointer to UTF-8 that ends with a zero byte */
  text(pointer) {
    const bytes = new Uint8Array(this.memory.buffer).subarray(pointer >>> 0);
    return decoder.decode(bytes.subarray(0, bytes.indexOf(0)));
  }

  /** Return a string of the core, or null. @param {number} pointer to its pointer */
  name(pointer) {
    const name = this.word(pointer);
    return name ? this.text(name) : null;
  }
}
