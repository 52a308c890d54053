// Saved generations whose checksum is right, and whose content is not.

import { createHash } from "node:crypto";

const HEADER = 12;
const DIGEST = 32;

/** Change the description of a saved generation. Return it, and the bytes with a correct digest. */
export async function forge(saved, change) {
  const view = new DataView(saved.buffer, saved.byteOffset);
  const size = view.getUint32(8, true);
  const description = JSON.parse(new TextDecoder().decode(saved.subarray(HEADER, HEADER + size)));
  change(description);
  const text = new TextEncoder().encode(JSON.stringify(description));
  const padded = new Uint8Array(Math.ceil(text.length / 4) * 4).fill(0x20);
  padded.set(text);
  const bytes = new Uint8Array(saved.length - size + padded.length);
  bytes.set(saved.subarray(0, HEADER));
  new DataView(bytes.buffer).setUint32(8, padded.length, true);
  bytes.set(padded, HEADER);
  bytes.set(saved.subarray(HEADER + size, saved.length - DIGEST), HEADER + padded.length);
  bytes.set(createHash("sha256").update(bytes.subarray(0, -DIGEST)).digest(), bytes.length - DIGEST);
  return { description, bytes };
}
