import { TextgenError } from "./errors.js";

/** Those of textgen_model_info in textgen.h, and those that exports.c adds. */
const FIELDS = 19;
/** Those of textgen_layer_info. */
const LAYER_FIELDS = 4;

/**
 * Describe the model of a core.
 *
 * @param {import("./core.js").Core} core
 */
export function describe(core) {
  const pointer = core.call.describe();
  const [, , layerCount, parameters, , lowercase, unicode, kernels, , level, records, bits, , ...added] = core.int32(pointer, FIELDS);
  const [unknown, begin, end, units, textBytes, tokens] = added;
  const layers = Array.from({ length: layerCount }, (_, index) => describeLayer(core, index));
  const info = {
    vocabulary: metadata(core, "textgen.vocabulary"),
    level: core.readName(level),
    records: core.readName(records),
    lowercase: lowercase === 1,
    unicode: core.readName(unicode),
    special: Object.fromEntries(Object.entries({ unknown, begin, end }).filter(([, token]) => token >= 0)),
    prompts: metadata(core, "textgen.prompts") ?? [],
    training: metadata(core, "textgen.training") ?? {},
    format: metadata(core, "textgen.format"),
    parameters,
    units,
    layers: layers.filter(({ kind }) => kind !== "embedding" && kind !== "linear").length,
    network: layers,
    bits,
    quantization: metadata(core, "textgen.quantization") ?? null,
    kernels: core.readName(kernels),
  };
  return { info: /** @type {any} */ (info), end, textBytes, tokens };
}

/** @param {import("./core.js").Core} core @param {number} index */
function describeLayer(core, index) {
  const [, kind, inputs, outputs] = core.int32(core.call.describe_layer(index), LAYER_FIELDS);
  return { kind: core.readText(kind), inputs, outputs };
}

/**
 * Return a metadata entry, or undefined.
 *
 * @param {import("./core.js").Core} core
 * @param {string} key
 */
function metadata(core, key) {
  return core.withBytes(`${key}\0`, (name) =>
    core.withMemory(4, (sizePointer) => {
      const value = core.call.metadata(name, sizePointer);
      if (!value) {
        return undefined;
      }
      const text = new TextDecoder().decode(core.bytes(value, core.int32(sizePointer, 1)[0]));
      try {
        return JSON.parse(text);
      } catch {
        throw new TextgenError("DAMAGED_MODEL", `model file: the metadata '${key}' is not JSON: export the model again`);
      }
    }),
  );
}
