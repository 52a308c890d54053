import { TextgenError, codeName } from "./errors.js";

/** The most bytes of one allocation. The module takes sizes modulo 2**32. */
const MAX_SIZE = 2 ** 31 - 1;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** @param {Uint8Array} bytes */
export const hexadecimal = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** One instance of the WebAssembly module: the memory and the functions of one model. */
export class Core {
  /** @param {WebAssembly.Instance} instance */
  constructor(instance) {
    /** @type {any} */
    this.call = instance.exports;
    /** @type {WebAssembly.Memory} */
    this.memory = this.call.memory;
    this.call._initialize();
    // Frees the memory of generations that were dropped without dispose().
    this.registry = new FinalizationRegistry((/** @type {{ release(): void }} */ memory) => memory.release());
  }

  /**
   * Read a model file. The core reads metadata from its memory later, so it is freed with the instance.
   *
   * @param {Uint8Array} content
   */
  create(content) {
    const pointer = this.allocate(content.length || 1);
    this.bytes(pointer, content.length).set(content);
    try {
      this.call.create(pointer, content.length);
    } catch (error) {
      // An error of the file makes the module trap.
      this.check(this.call.failure());
      throw error;
    }
    return { pointer, size: content.length };
  }

  /** The message of the latest error. */
  message() {
    return this.readText(this.call.message());
  }

  /**
   * Throw the error of a negative result; return any other result.
   *
   * @param {number} result
   */
  check(result) {
    if (result < 0) {
      throw new TextgenError(codeName(result), this.message());
    }
    return result;
  }

  /**
   * @param {number} size in bytes
   * @returns {number} a pointer
   */
  allocate(size) {
    const pointer = size <= MAX_SIZE ? this.call.allocate(size) >>> 0 : 0;
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
    const pointer = this.allocate(size || 1);
    try {
      return use(pointer);
    } finally {
      this.call.release(pointer);
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
   * Call a function with temporary memory that has some tokens. There, each has 64 bits.
   *
   * @template T
   * @param {ArrayLike<number>} tokens
   * @param {(pointer: number) => T} use
   * @returns {T}
   */
  withTokens(tokens, use) {
    return this.withMemory(8 * tokens.length, (pointer) => {
      const memory = this.int32(pointer, 2 * tokens.length).fill(0);
      for (let i = 0; i < tokens.length; i += 1) {
        memory[2 * i] = tokens[i];
      }
      return use(pointer);
    });
  }

  /** Return a SHA-256 of the core, 32 bytes. @param {number} pointer */
  digest(pointer) {
    return this.bytes(pointer, 32).slice();
  }

  /** Drop the instance, which is garbage as soon as nothing refers to it. */
  dispose() {
    this.call = null;
    /** @type {any} */ (this).memory = null;
  }

  // Views are valid only until memory is allocated, because growth detaches them. The module returns pointers as
  // integers with a sign, which those above 2 GB have.

  /** @param {number} pointer @param {number} length */
  bytes(pointer, length) {
    return new Uint8Array(this.memory.buffer, pointer >>> 0, length);
  }

  /** @param {number} pointer @param {number} length */
  int32(pointer, length) {
    return new Int32Array(this.memory.buffer, pointer >>> 0, length);
  }

  /** @param {number} pointer @param {number} length */
  uint64(pointer, length) {
    return new BigUint64Array(this.memory.buffer, pointer >>> 0, length);
  }

  /** @param {number} pointer @param {number} length */
  float32(pointer, length) {
    return new Float32Array(this.memory.buffer, pointer >>> 0, length);
  }

  /** @param {number} pointer @param {number} length */
  float64(pointer, length) {
    return new Float64Array(this.memory.buffer, pointer >>> 0, length);
  }

  /** @param {number} pointer to UTF-8 that ends with a zero byte */
  readText(pointer) {
    const bytes = new Uint8Array(this.memory.buffer).subarray(pointer >>> 0);
    return decoder.decode(bytes.subarray(0, bytes.indexOf(0)));
  }

  /** Return a string of the core, or null. @param {number} pointer */
  readName(pointer) {
    return pointer ? this.readText(pointer) : null;
  }
}
