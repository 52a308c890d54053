// The texts that a person drops, chooses or pastes: what they are, and how the page proposes to learn them.

// The most bytes of all files. Each worker has a copy of the text.
const MAX_BYTES = 32 * 2 ** 20;
const MEGABYTE = 1e6;
// A list has so many lines, whose median has at most so many characters, and nearly none of which is blank.
const LIST = { lines: 50, median: 30, blank: 0.02 };
// A text of fewer characters is easier to learn in lower case.
const SHORT = 200_000;
const EXCERPT = 120;
const BLANK = /\n[^\S\n]*\r?\n/;
// The first field of a tune in ABC notation.
const TUNE = /^X: *\d/m;
// Of a text, at most this share are control characters.
const CONTROL = 0.001;

/** The beginnings of files that have no plain text, as Latin-1, and what they are. */
const KINDS = [
  [/^%PDF/, "a PDF"],
  [/^PK\x03\x04[^]*word\//, "a document of Word"],
  [/^PK\x03\x04[^]*epub/, "an e-book"],
  [/^PK\x03\x04/, "an archive or a document"],
  [/^\{\\rtf/, "an RTF document"],
  [/^\xd0\xcf\x11\xe0/, "a document of Office"],
  [/^\x89PNG|^\xff\xd8\xff|^GIF8|^RIFF....WEBP/, "an image"],
];

/**
 * Read files. Return the content of a model file, `{ name, model }`, or a text, `{ name, text, notes }`, of all files in
 * their order.
 *
 * @throws {Error} with one line, if a file is none of these
 */
export async function readFiles(files) {
  const isModel = ({ name }) => /\.onnx$/i.test(name);
  const total = files.reduce((sum, { size }) => sum + size, 0);
  if (total > MAX_BYTES && !files.every(isModel)) {
    throw new Error(`${nameOf(files)} has ${Math.round(total / MEGABYTE)} MB, and a page learns at most ${Math.floor(MAX_BYTES / MEGABYTE)} MB: choose a part.`);
  }
  const notes = [];
  const texts = [];
  for (const file of files) {
    const content = await file.arrayBuffer().then((buffer) => new Uint8Array(buffer), () => {
      throw new Error(`${file.name} cannot be read. If it is a folder, drop the files in it.`);
    });
    if (isModel(file)) {
      if (files.length > 1) throw new Error(`${file.name} is a model: drop it alone.`);
      return { name: file.name, model: content };
    }
    texts.push(decode(content, file.name, notes));
  }
  // Items between blank lines stay items.
  const separator = texts.some((text) => BLANK.test(text.trim()) || TUNE.test(text)) ? "\n\n" : "\n";
  const text = texts.length > 1 ? `${texts.map((each) => each.trimEnd()).join(separator)}\n` : texts[0];
  return { name: nameOf(files), text, notes };
}

const nameOf = (files) => (files.length === 1 ? files[0].name : `${files[0].name} and ${files.length - 1} more`);

/** Return the text of a file. A note says how it was read, if that is not as UTF-8. */
function decode(content, name, notes) {
  const start = String.fromCharCode(...content.subarray(0, 4096));
  const [, kind] = KINDS.find(([pattern]) => pattern.test(start)) ?? [];
  if (kind) throw new Error(`${name} is ${kind}: save its text as a .txt file, and drop that.`);
  if (!content.length) throw new Error(`${name} is empty.`);
  const [encoding, label] = encodingOf(content);
  if (label) notes.push(`${name} was read as ${label}.`);
  const text = new TextDecoder(encoding).decode(content);
  const controls = text.match(/[\0-\x08\x0e-\x1f\x7f]/g)?.length ?? 0;
  if (controls > CONTROL * text.length) throw new Error(`${name} is no text.`);
  return text;
}

function encodingOf(content) {
  // Of two bytes of a character of UTF-16, one is often zero.
  const zeros = [0, 1].map((first) => content.subarray(0, 4096).filter((byte, index) => index % 2 === first && !byte).length);
  const isWide = (byte) => zeros[byte] > 0.2 * Math.min(2048, content.length / 2) && !zeros[1 - byte];
  if ((content[0] === 0xff && content[1] === 0xfe) || isWide(1)) return ["utf-16le", "UTF-16"];
  if ((content[0] === 0xfe && content[1] === 0xff) || isWide(0)) return ["utf-16be", "UTF-16"];
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(content);
    return ["utf-8", ""];
  } catch {
    return ["windows-1252", "Latin-1, because it is not UTF-8"];
  }
}

/** Return what a text is, in numbers and an excerpt, and how to learn it. */
export function examine(text) {
  const lines = text.split(/\r\n?|\n/);
  const written = lines.filter((line) => line.trim());
  const lengths = written.map(({ length }) => length).sort((a, b) => a - b);
  const isTunes = (text.match(new RegExp(TUNE, "gm"))?.length ?? 0) > 1;
  // The last line end begins no line.
  const blank = (lines.length - written.length - 1) / lines.length;
  const isList = written.length >= LIST.lines && lengths[lengths.length >> 1] <= LIST.median && blank <= LIST.blank;
  const records = isTunes ? "blank" : isList ? "lines" : "";
  const excerpt = written.slice(0, 3).join(" / ");
  return {
    characters: text.length,
    symbols: new Set(text).size,
    lines: written.length,
    excerpt: excerpt.length > EXCERPT ? `${excerpt.slice(0, EXCERPT)}\u2026` : excerpt,
    records,
    lowercase: !records && text.length < SHORT && text !== text.toLowerCase(),
  };
}
