import type { ModelSource } from "./index.js";

export { TextgenError } from "./index.js";

/** A run as it was at one moment. Storages of browsers keep it as it is. */
export interface SavedRun {
  /** All that the trainer needs to go on to the same bits. */
  readonly run: Uint8Array;
  /** How long the run has taken. */
  readonly seconds: number;
  /** The lowest held-out loss so far, in nats per character. */
  readonly best: number;
  /** The epochs that the run is expected to have, or 0 if that is not known yet. */
  readonly epochs: number;
}

export interface Progress {
  /** The share of the budget that is used, from 0 to 1. */
  progress: number;
  seconds: number;
  secondsLeft: number;
  /** How often the text was read. */
  epoch: number;
  /** How many characters were read. */
  characters: number;
  /** The mean loss of the latest updates, in nats per character. */
  loss: number;
}

export interface Evaluation {
  progress: number;
  seconds: number;
  epoch: number;
  /** The loss of the held-out text, in nats per character. */
  heldOut: number;
  /** Whether the held-out loss is above the best one, and that of the text that it learns is below. */
  isOverfitted: boolean;
  /** The model file, if it is the best one so far, or null. */
  model: Uint8Array<ArrayBuffer> | null;
}

export interface Sample {
  progress: number;
  /** The model file as the run is now: it may be worse than the best one. */
  model: Uint8Array<ArrayBuffer>;
}

export interface LearnOptions {
  /** The name of the text, for the metadata of the model; default "text". */
  name?: string;
  /** What an item of a list is: each of the "lines", or what is between "blank" lines; default null, a continuous text. */
  records?: "lines" | "blank" | null;
  /** Whether to read the text in lower case; default false. */
  lowercase?: boolean;
  /** The size of the network; default "small". */
  preset?: "small" | "medium" | "large";
  /** The budget; default 1. A run that overfits ends earlier. */
  minutes?: number;
  /** The budget as a number of epochs. The same text, options and seed then give the same model in each engine without relaxed SIMD. */
  epochs?: number;
  /** Default 0. */
  seed?: number;
  /** The number of workers, which changes no bit of the model; default: one for each core, at most 8. */
  workers?: number;
  /** Other values than those of the preset, for example `{ units: 64, learningRate: 0.01 }`. */
  values?: { readonly [option: string]: number };
  /** A model to go on from. It replaces `records`, `lowercase` and `preset`. New characters are added. */
  from?: ModelSource | null;
  /** A run to go on with. The text and all other options must be those of its start. It has no model: keep the best one. */
  saved?: SavedRun;
  /** Called about ten times a second. */
  onProgress?: (progress: Progress) => void;
  /** Called after each evaluation: the first one after 2 seconds, and at most about 20. */
  onEvaluation?: (evaluation: Evaluation) => void;
  /** Called after 1, 2.3 and 3.8 seconds, and then at times that are a quarter longer each, to show what the model writes. */
  onSample?: (sample: Sample) => void;
}

/** A run. */
export interface Learning {
  /** The latest evaluation that had a model, or null. After `saved`, it is null until a model is better than those before. */
  readonly best: Evaluation | null;
  /** Resolves when the budget is used, or the run was stopped. Rejects if it fails. */
  readonly finished: Promise<{ best: Evaluation | null; saved: SavedRun }>;
  pause(): void;
  continue(): void;
  /** End the run after the present update. It is evaluated. */
  stop(): void;
  /** Return the run as it is now. Rejects if it is over. */
  save(): Promise<SavedRun>;
}

/**
 * Train a model on a text, in workers. Resolves when the run begins. A failure of the run, such as a text that is too
 * short, rejects `finished`. A loss is in nats: divided by 0.693, it is in bits.
 */
export function learn(text: string, options?: LearnOptions): Promise<Learning>;

/** Return a model file with 8-bit weights. */
export function quantize(model: ModelSource): Promise<Uint8Array<ArrayBuffer>>;
