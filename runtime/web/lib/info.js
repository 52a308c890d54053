import { TextgenError } from "./errors.js";
import { MODEL } from "./structs.js";

/** Describe the model of a core. @param {import("./core.js").Core} core */
export function describe(core) {
  const pointer = core.call.textgen_model_get_info(core.model);
  const number = (/** @type {keyof typeof MODEL} */ name) => core.word(pointer + MODEL[name]);
  const special = Object.entries({ unknown: number("unknown"), begin: number("begin"), end: number("end") });
  const info = {
    vocabulary: metadata(core, "textgen.vocabulary"),
    level: core.name(pointer + MODEL.level),
    records: core.name(pointer + MODEL.records),
    lowercase: number("lowercase") === 1,
    unicode: core.name(pointer + MODEL.unicode),
    special: Object.fromEntries(special.filter(([, token]) => token >= 0)),
    prompts: metadata(core, "textgen.prompts") ?? [],
    training: metadata(core, "textgen.training") ?? {},
    format: metadata(core, "textgen.format"),
    parameters: number("parameters"),
    units: number("units"),
    layers: number("layers"),
    embedding: number("embedding"),
    residual: number("residual") === 1,
    bits: number("bits"),
    quantization: metadata(core, "textgen.quantization") ?? null,
    kernels: core.name(pointer + MODEL.kernels),
  };
  return /** @type {import("../index.d.ts").ModelInfo} */ (info);
}

/**
 * Return a metadata entry, or undefined.
 *
 * @param {import("./core.js").Core} core
 * @param {string} key
 */
function metadata(core, key) {
  const value = core.withBytes(`${key}\0`, (name) => core.call.textgen_model_get_metadata(core.model, name, core.output));
  if (!value) {
    return undefined;
  }
  try {
    return JSON.parse(new TextDecoder().decode(core.bytes(value, core.word(core.output))));
  } catch {
    throw new TextgenError("DAMAGED_MODEL", `the metadata '${key}' of the model file is not JSON`);
  }
}
