// Saved generations whose form is right, and whose content is not. See saved.c of the core.

const HEADER = 104;
const DESCRIPTION_SIZE = 88;

const padded = (size) => Math.ceil(size / 8) * 8;

/** Return the description of a saved generation, and its block: the text in the core. */
export function parse(saved) {
  const size = Number(new DataView(saved.buffer, saved.byteOffset).getBigUint64(DESCRIPTION_SIZE, true));
  const description = JSON.parse(new TextDecoder().decode(saved.subarray(HEADER, HEADER + size)));
  return { description, block: saved.subarray(HEADER + padded(size)) };
}

/** Return a saved generation with another description and block. */
export function forge(saved, { description, block }) {
  const text = typeof description === "string" ? description : JSON.stringify(description);
  const bytes = new TextEncoder().encode(text);
  const forged = new Uint8Array(HEADER + padded(bytes.length) + block.length);
  forged.set(saved.subarray(0, HEADER));
  new DataView(forged.buffer).setBigUint64(DESCRIPTION_SIZE, BigInt(bytes.length), true);
  new DataView(forged.buffer).setBigUint64(DESCRIPTION_SIZE + 8, BigInt(block.length), true);
  forged.set(bytes, HEADER);
  forged.set(block, HEADER + padded(bytes.length));
  return forged;
}

/** The 64-bit fields of a block: see textgen_text in text.h. */
const FIELDS = { temperature: 0, position: 21, filtered: 22, ending: 24, atEnd: 25, drawn: 26, constraintState: 27, held: 28, recent: 29 };

/** Return a copy of a block with another field, an integer. */
export function withField(block, name, value) {
  const copied = block.slice();
  new DataView(copied.buffer).setBigInt64(8 * FIELDS[name], value, true);
  return copied;
}
