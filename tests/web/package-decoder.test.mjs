// Tokens to text.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Decoder } from "../../runtime/web/lib/decoder.js";

// The borders between the kinds of bytes in UTF-8, and those of the byte-order mark.
const BYTES = [
  ...[0x00, 0x61, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbb, 0xbf, 0xc1, 0xc2, 0xdf],
  ...[0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff],
];

test("a byte gives the text that it gives in the streaming decoder of the engine", () => {
  for (const first of BYTES) {
    for (const second of BYTES) {
      for (const third of BYTES) {
        for (const last of [0x61, 0x80]) {
          const bytes = [first, second, third, last];
          const decoder = new Decoder([], true);
          const engine = new TextDecoder("utf-8", { ignoreBOM: true });
          for (const byte of bytes) {
            const expected = engine.decode(Uint8Array.of(byte), { stream: true });
            assert.equal(decoder.decode([byte]), expected, `0x${byte.toString(16)} of ${bytes}`);
          }
        }
      }
    }
  }
});

test("the bytes of an incomplete character are no text after the end, unless the next byte continues it", () => {
  for (const [bytes, text] of [[[0xa9], "é"], [[0x61], "a"], [[0x61, 0xa9], "a\ufffd"]]) {
    const decoder = new Decoder([], true);
    assert.equal(decoder.decode([0x62, 0xc3]) + decoder.finish() + decoder.decode([]), "b");
    for (const one of [decoder.copy(), decoder]) {
      assert.equal(one.decode(bytes), text);
      assert.equal(one.decode([0xc3]) + one.decode([0x61]), "\ufffda");
    }
  }
});

test("special tokens have no text", () => {
  assert.equal(new Decoder([], true).decode([0x61, 256, 0x62, 257]), "ab");
  assert.equal(new Decoder(["", "a", "bc"], false).decode([1, 0, 2]), "abc");
});
