/** The names of the codes in textgen.h, by their negative value. */
export const CODES = [
  ...["OK", "INVALID_ARGUMENT", "BUFFER_TOO_SMALL", "OUT_OF_MEMORY", "DAMAGED_MODEL", "UNKNOWN_GRAPH"],
  ...["UNKNOWN_CHARACTER", "INVALID_UTF8", "INVALID_LOGITS", "RNG_EXHAUSTED", "NO_PROMPT", "LANE_FAILED", "TOO_LARGE"],
  ...["NEWER_FORMAT", "DAMAGED_SAVED", "NO_TOKEN", "OTHER_SAVED", "FORWARD_FAILED"],
];

/** The names of options that the core has under others. @type {Record<string, string>} */
const OPTIONS = { constraint: "match", spans: "maxCopy" };

/** An error that the user, a file or a text caused: see index.d.ts. */
export class TextgenError extends Error {
  /**
   * @param {string} code
   * @param {string} message one line
   * @param {string} [parameter]
   */
  constructor(code, message, parameter) {
    super(message);
    this.name = "TextgenError";
    this.code = code;
    if (parameter !== undefined) {
      this.parameter = parameter;
    }
  }
}

/** Spell a name of the core as in JavaScript. @param {string} name */
export const spell = (name) => OPTIONS[name] ?? name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());

/**
 * Return an error about an argument.
 *
 * @param {string} parameter its name
 * @param {string} message what follows the name
 */
export const invalid = (parameter, message) => new TextgenError("INVALID_ARGUMENT", `${parameter} ${message}`, parameter);

/**
 * Return a value for an error message: in one line, and cut.
 *
 * @param {unknown} value
 */
export function quote(value) {
  const text = typeof value === "string" ? JSON.stringify(value) : Object(value) === value ? "an object" : String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
