// The model: in an element of the page, or in a file beside it.

import { load } from "../plain.js";

const FILE = "model.onnx";

/** Load the model of this page. */
export async function openModel() {
  const element = document.getElementById("model");
  return load(element ? await unpack(element.textContent) : new URL(FILE, document.baseURI));
}

/** Return the bytes of a base64 text of compressed data. */
async function unpack(text) {
  const packed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
