import { TextgenError } from "./errors.js";

/** @param {any} generation @param {any} core */
export function saveGeneration(generation, core) {
  throw new TextgenError("INVALID_ARGUMENT", "not yet");
}
/** @param {any} model @param {any} bytes @param {any} options */
export function resumeGeneration(model, bytes, options) {
  throw new TextgenError("INVALID_ARGUMENT", "not yet");
}
