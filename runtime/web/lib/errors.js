/** The names of the codes in textgen.h, by their negative value. */
const CODES = [
  "OK",
  "INVALID_ARGUMENT",
  "BUFFER_TOO_SMALL",
  "OUT_OF_MEMORY",
  "DAMAGED_MODEL",
  "UNKNOWN_GRAPH",
  "UNKNOWN_CHARACTER",
  "INVALID_UTF8",
  "INVALID_LOGITS",
  "RNG_EXHAUSTED",
  "NO_PROMPT",
  "LANE_FAILED",
  "TOO_LARGE",
  "NEWER_FORMAT",
  "DAMAGED_SAVED",
  "NO_TOKEN",
];

/**
 * An error that the user, a file or a text caused. `code` names its kind, and `parameter` the option that it is about:
 * of several, the one that the message names first. Other errors have none.
 */
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

/** @param {number} code a negative code of the core */
export const codeName = (code) => CODES[-code] ?? "INVALID_ARGUMENT";

/**
 * Return an error about an argument.
 *
 * @param {string} message
 * @param {string} [parameter] the name of the option
 */
export const invalid = (message, parameter) => new TextgenError("INVALID_ARGUMENT", message, parameter);

/**
 * Return a value for an error message: in one line, and cut.
 *
 * @param {unknown} value
 */
export function quote(value) {
  let text;
  try {
    text = typeof value === "string" ? JSON.stringify(value) : String(value);
  } catch {
    text = typeof value;
  }
  const shown = Array.from(text.replace(/\s+/g, " "));
  return shown.length > 80 ? `${shown.slice(0, 77).join("")}...` : shown.join("");
}
