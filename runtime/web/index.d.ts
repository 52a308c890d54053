/** A model file: its URL, or in Node also its path; the response of a request for it; or its bytes. */
export type ModelSource = string | URL | Response | ArrayBuffer | ArrayBufferView;

/**
 * A constraint as an automaton over the symbols of a vocabulary, which `textgen-info MODEL --match EXPRESSION`
 * writes. A text starts in state 0, and may end in an accepting state.
 */
export interface ConstraintTable {
  readonly states: readonly {
    readonly accepting: boolean;
    /** The state after each allowed symbol. In the type of a JSON file, symbols of other states are undefined. */
    readonly next: { readonly [symbol: string]: number | undefined };
  }[];
}

/** The sampling parameters, with the meaning and the defaults that they have in Python. */
export interface Sampling {
  /** 0 or more; 0 takes the most likely token. Default 0.5. */
  temperature?: number;
  topK?: number;
  topP?: number;
  minP?: number;
  typicalP?: number;
  repetitionPenalty?: number;
  frequencyPenalty?: number;
  presencePenalty?: number;
  penaltyWindow?: number;
  mirostatTau?: number;
  mirostatEta?: number;
  /** Numbers from -100 to 100 that are added to the logits, by symbol. */
  logitBias?: { readonly [symbol: string]: number };
  /** The only characters to draw. */
  allowed?: string | readonly string[];
  /** Characters never to draw. */
  banned?: string | readonly string[];
  /** A record has at least this many tokens before its end. Only for a model of records, without `match`. Default 0. */
  minLength?: number;
  /** The text ends before the first of these texts. */
  stop?: string | readonly string[];
  /** Whether the stop text is part of the text. */
  keepStop?: boolean;
  /** The complete text matches this table. */
  match?: ConstraintTable | null;
}

export interface Options extends Sampling {
  /** Maximum number of tokens. Default 400, or 10,000 for a model of records. Ignored by `start`. */
  length?: number;
  /** The same seed gives the same text: 0 to 2**128 - 1. Random by default. */
  seed?: number | bigint;
  /** Selects one of the independent random streams of the seed. Default 0. */
  substream?: number;
  /** What to do with characters outside the vocabulary. Default "error". */
  unknown?: "error" | "skip";
  /** Stops `stream` with the reason of the signal. */
  signal?: AbortSignal;
}

export interface NextToken {
  /** "<end>" for the end of a record; a name such as "\xc3" for a byte that is not ASCII. */
  text: string;
  token: number;
  /** The probability at the temperature of the call. */
  probability: number;
  /** The probability of the next draw, with the generation's temperature, filters, constraint and minLength. */
  drawProbability: number;
}

export type Ending = "length" | "stop" | "end" | "constraint";

/** One running text. */
export interface Generation {
  /** The normalized prompt. */
  readonly prompt: string;
  readonly seed: bigint;
  /** Whether the text has ended for good: at the end of a record, or where its constraint ends it. */
  readonly ended: boolean;
  /** Why the latest text ended, or null while it continues. */
  readonly ending: Ending | null;
  /** Generate up to `length` tokens. With `finish`, the text is complete, and nothing of it is held back. */
  take(length: number, options?: { finish?: boolean }): string;
  /** Yield the text of `take` in chunks, and return to the event loop between them. */
  stream(
    length: number,
    options?: { finish?: boolean; signal?: AbortSignal },
  ): AsyncGenerator<string, void, undefined>;
  /** Return the text that is held back. */
  finish(): string;
  /** Feed text, as if the model had generated it. Returns the normalized text. */
  feed(text: string, options?: { unknown?: "error" | "skip" }): string;
  /** Return an independent generation that continues exactly as this one would. */
  copy(): Generation;
  /** Return the most likely next tokens, at most `k`, at a temperature: by default the generation's. */
  next(options?: { k?: number; temperature?: number }): NextToken[];
  /** Return the logits of the next token. */
  logits(): Float32Array;
  /**
   * Return the surprisal in nats of each character of a text as the continuation, at temperature 1. NaN for a
   * character that the model never draws. The generation does not change.
   */
  surprise(text: string, options?: { unknown?: "error" | "skip" }): number[];
  /** Return the position as bytes, for `Model.resume`. */
  save(): Uint8Array;
  /** Free the memory. */
  dispose(): void;
}

export interface ModelInfo {
  /** The text of each token; "" for special tokens. At level byte, entry n is U+00n. */
  vocabulary: string[];
  level: "character" | "byte" | "word";
  /** How records are separated, or null for continuous text. */
  records: "lines" | "blank" | null;
  lowercase: boolean;
  unicode: "NFC" | "NFD" | "NFKC" | "NFKD" | null;
  special: { unknown?: number; begin?: number; end?: number };
  /** Excerpts of the training text. */
  prompts: string[];
  /** The provenance of the model. */
  training: { [key: string]: unknown };
  format: number;
  parameters: number;
  units: number;
  /** The number of layers between the embedding and the output. */
  layers: number;
  network: { kind: string; inputs: number; outputs: number }[];
  /** The bits of a weight: 32, or 8. */
  bits: number;
  quantization: { [key: string]: unknown } | null;
  /** The name of the arithmetic in use: "relaxed-simd" with fused multiply-adds, "baseline" without. */
  kernels: string;
}

export interface Model {
  readonly info: ModelInfo;
  /** The SHA-256 of the file, as hexadecimal digits. */
  readonly sha256: string;
  /** Generate text that continues a prompt. Without a prompt, one of the model's own is continued. */
  generate(prompt?: string | null, options?: Options): string;
  /** Yield the text of `generate` in chunks, and return to the event loop between them, and while it reads the prompt. */
  stream(prompt?: string | null, options?: Options): AsyncGenerator<string, void, undefined>;
  /** Feed a prompt, and return a generation that continues it. */
  start(prompt?: string | null, options?: Options): Generation;
  /**
   * Do the same as `start` in parts, so that a program can do other things while a long prompt is read: each step
   * feeds a part. Yield the generation after each part, and return it after the last. Only its prompt can be read
   * before. Errors are thrown by the first step.
   */
  startInParts(prompt?: string | null, options?: Options): Generator<Generation, Generation, undefined>;
  /** Continue a saved generation. If it has a constraint, pass its table again. */
  resume(bytes: Uint8Array, options?: { match?: ConstraintTable | null }): Generation;
  /** Free the memory of the model and of its generations. */
  dispose(): void;
}

/** An error that the user, a file or a text caused, with a message of one line. */
export class TextgenError extends Error {
  /**
   * The kind: a code of textgen.h without its prefix, such as "INVALID_ARGUMENT", "DAMAGED_MODEL" or
   * "UNKNOWN_CHARACTER"; or "NOT_READ", "DISPOSED" or "SAVED_GENERATION".
   */
  readonly code: string;
  constructor(code: string, message: string);
}

/** Read and check a model. */
export function load(source: ModelSource): Promise<Model>;
