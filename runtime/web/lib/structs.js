// The offsets of the fields of the structs of textgen.h that JavaScript uses, and the sizes of those that it allocates.
// exports.c checks them.

export const ERROR = { parameter: 4, place: 8, message: 16, size: 264 };
export const MEMORY = { data: 0, bytes: 4, size: 8 };
export const MODEL = {
  ...{ vocabulary: 0, layers: 8, units: 12, embedding: 16, residual: 20, bits: 24, parameters: 28 },
  ...{ unknown: 48, begin: 56, end: 64, lowercase: 72, unicode: 76, level: 80, records: 84, kernels: 88 },
};
export const PARAMETER = { name: 0, kind: 4, initial: 24, offset: 64 };
export const SAMPLING = {
  ...{ seed: 0, seedHigh: 8, substream: 16, logitBias: 24, stop: 28, stopCount: 32, keepStop: 36, constraint: 40 },
  ...{ spans: 44, size: 144 },
};
export const STREAM = { ending: 0, isComplete: 8, atEnd: 12, needed: 24, held: 28, recent: 32, logits: 40, size: 48 };
/** The number of bytes that a requirement of a parameter has at most. */
export const REQUIREMENT_SIZE = 64;
