// Source: FIPS 180-4, Secure Hash Standard, 2015. The Web Crypto API is asynchronous, and absent from some pages.

const BLOCK = 64;
const primes = firstPrimes(64);
/** The first 32 bits of the fractions of the cube roots of the first 64 primes. */
const CONSTANTS = Int32Array.from(primes, (prime) => fraction(Math.cbrt(prime)));
/** The same for the square roots of the first 8. */
const INITIAL = primes.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));

/** @param {number} count */
function firstPrimes(count) {
  /** @type {number[]} */
  const found = [];
  for (let number = 2; found.length < count; number++) {
    if (found.every((prime) => number % prime)) {
      found.push(number);
    }
  }
  return found;
}

/** @param {number} root */
function fraction(root) {
  return ((root % 1) * 2 ** 32) | 0;
}

/** @param {number} value @param {number} bits */
const rotate = (value, bits) => (value >>> bits) | (value << (32 - bits));

/**
 * Return the SHA-256 of some bytes, 32 bytes.
 *
 * @param {Uint8Array} bytes
 */
export function sha256(bytes) {
  const hash = Int32Array.from(INITIAL);
  const whole = bytes.length - (bytes.length % BLOCK);
  const schedule = new Int32Array(64);
  addBlocks(hash, bytes.subarray(0, whole), schedule);
  const rest = new Uint8Array(bytes.length % BLOCK < BLOCK - 8 ? BLOCK : 2 * BLOCK);
  rest.set(bytes.subarray(whole));
  rest[bytes.length % BLOCK] = 0x80;
  new DataView(rest.buffer).setBigUint64(rest.length - 8, BigInt(bytes.length) * 8n);
  addBlocks(hash, rest, schedule);
  const digest = new DataView(new ArrayBuffer(32));
  hash.forEach((value, i) => digest.setInt32(4 * i, value));
  return new Uint8Array(digest.buffer);
}

/** @param {Int32Array} hash @param {Uint8Array} bytes whole blocks @param {Int32Array} schedule temporary */
function addBlocks(hash, bytes, schedule) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let start = 0; start < bytes.length; start += BLOCK) {
    for (let i = 0; i < 16; i++) {
      schedule[i] = view.getInt32(start + 4 * i);
    }
    for (let i = 16; i < 64; i++) {
      const a = schedule[i - 15];
      const b = schedule[i - 2];
      const first = rotate(a, 7) ^ rotate(a, 18) ^ (a >>> 3);
      const second = rotate(b, 17) ^ rotate(b, 19) ^ (b >>> 10);
      schedule[i] = schedule[i - 16] + first + schedule[i - 7] + second;
    }
    addBlock(hash, schedule);
  }
}

/** @param {Int32Array} hash @param {Int32Array} schedule */
function addBlock(hash, schedule) {
  let [a, b, c, d, e, f, g, h] = hash;
  for (let i = 0; i < 64; i++) {
    const choice = (e & f) ^ (~e & g);
    const majority = (a & b) ^ (a & c) ^ (b & c);
    const first = (h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + choice + CONSTANTS[i] + schedule[i]) | 0;
    const second = ((rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + majority) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + first) | 0;
    d = c;
    c = b;
    b = a;
    a = (first + second) | 0;
  }
  [a, b, c, d, e, f, g, h].forEach((value, i) => {
    hash[i] += value;
  });
}

/** @param {Uint8Array} bytes */
export const hexadecimal = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
