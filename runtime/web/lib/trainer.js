// One instance of the module that learns, with a text and a run: the functions of textgen_train.h and of trainer.c.
import { invalid, quote, spell } from "./errors.js";
import { Instance } from "./instance.js";
import { normalize } from "./vocabulary.js";

/** The numbers that the function `describe` writes. */
const NUMBERS = /** @type {const} */ (["trainingTokens", "trainingCharacters", "heldOutCharacters", "parameters", "perEpoch", "step", "epoch", "parts", "partSize", "weights"]);

/** The offsets in textgen_option_info. */
const OPTION = { name: 0, isNumber: 8 };

/**
 * @typedef {object} TrainerOptions
 * @property {string} [name] of the text, for the metadata of the model
 * @property {"lines" | "blank" | null} [records] what a record is; null for a continuous text
 * @property {boolean} [lowercase] whether to convert the text to lower case
 * @property {string} [preset] "small", "medium" or "large"
 * @property {number} [epochs] those that the run is expected to have, or 0 if that is not known
 * @property {number} [seed]
 * @property {Record<string, number>} [values] other values than those of the preset, by the name of the option
 * @property {{ content: Uint8Array, info: import("../index.d.ts").ModelInfo } | null} [from] the model with whose weights
 *   the run starts. It reads the text as its own one was read, and has the network and the vocabulary.
 */

export class Trainer extends Instance {
  /**
   * @param {WebAssembly.Instance} instance
   * @param {string} text
   * @param {TrainerOptions} options
   */
  constructor(instance, text, options) {
    super(instance);
    const { name = "text", records = null, lowercase = false, preset = "small", epochs = 0, seed = 0, from } = options;
    this.chosen = options.values ?? {};
    this.preset = preset;
    this.title = name;
    this.seed = seed;
    this.output = this.allocate(8);
    this.numbers = this.allocate(8 * NUMBERS.length);
    const read = from?.info ?? { level: "character", records, lowercase, unicode: "NFC", special: {} };
    const symbols = from ? [JSON.stringify(from.info.vocabulary), JSON.stringify(read.special)] : ["", ""];
    if (from) {
      const { layers, units, embedding, residual } = from.info;
      this.chosen = { ...this.chosen, layers, units, embedding, residual: Number(residual) };
      this.preset = this.text(this.call.textgen_nearest_preset(layers, units));
    }
    const texts = [name, read.level, read.records ?? "", read.unicode ?? "", ...symbols];
    this.withBytes(normalize(text, read), (content, size) =>
      this.withTexts(texts, (pointers) =>
        this.attempt("corpus", content, size, ...pointers, Number(read.lowercase), this.output),
      ),
    );
    this.corpus = this.word(this.output);
    this.#withOptions(epochs, (values) => this.attempt("create", this.corpus, values, BigInt(seed), this.output));
    this.trainer = this.word(this.output);
    if (from) {
      this.withBytes(from.content, (file, size) => this.attempt("textgen_trainer_start_from", this.trainer, file, size));
    }
    const { partSize } = this.info();
    this.part = { pointer: this.allocate(partSize), bytes: partSize };
  }

  /** What the text and the run are. @returns {Record<(typeof NUMBERS)[number], number>} */
  info() {
    this.call.describe(this.corpus, this.trainer, this.numbers);
    const numbers = this.view(Float64Array, this.numbers, NUMBERS.length);
    return /** @type {any} */ (Object.fromEntries(NUMBERS.map((name, index) => [name, numbers[index]])));
  }

  /** The options of a run: whether each is a whole number, by its name in C. @returns {Map<string, boolean>} */
  #options() {
    const options = new Map();
    for (let index = 0, option; (option = this.call.textgen_option(index)); index += 1) {
      options.set(this.text(this.word(option + OPTION.name)), !this.word(option + OPTION.isNumber));
    }
    return options;
  }

  /**
   * Call a function with the options of a run of so many epochs, float64 numbers.
   *
   * @param {number} epochs
   * @param {(pointer: number) => void} use
   */
  #withOptions(epochs, use) {
    const options = this.#options();
    const names = [...options.keys()].map(spell);
    const unknown = Object.keys(this.chosen).find((name) => !names.includes(name));
    if (unknown !== undefined) throw invalid("values", `have no option ${quote(unknown)}`);
    this.withMemory(8 * options.size, (pointer) => {
      if (!this.withText(this.preset, (preset) => this.call.preset(this.corpus, preset, epochs, pointer))) {
        throw invalid("preset", `must be small, medium or large, not ${quote(this.preset)}`);
      }
      const values = this.view(Float64Array, pointer, options.size);
      [...options].forEach(([name, isWhole], index) => {
        const value = this.chosen[spell(name)] ?? values[index];
        if (isWhole && !Number.isInteger(value)) {
          throw invalid(spell(name), `must be a whole number, not ${quote(value)}`);
        }
        values[index] = value;
      });
      use(pointer);
    });
  }

  /** Choose what is against overfitting, when it is known how many epochs the run will have. @param {number} epochs */
  regularize(epochs) {
    this.#withOptions(epochs, (values) => this.attempt("regularize", this.trainer, values));
  }

  /** Make an update. @param {number} progress the share of the budget that is used @returns {number} the loss, or NaN */
  update(progress) {
    return this.call.textgen_trainer_update(this.trainer, progress);
  }

  // An update of several trainers: see textgen_train.h.

  /** @param {number} progress */
  begin(progress) {
    this.call.textgen_trainer_begin(this.trainer, progress);
  }

  /** @param {number} part */
  computePart(part) {
    this.call.textgen_trainer_compute_part(this.trainer, part);
  }

  /** Return a view of a part, until memory is allocated. @param {number} part */
  writePart(part) {
    this.call.textgen_trainer_write_part(this.trainer, part, this.part.pointer);
    return this.bytes(this.part.pointer, this.part.bytes);
  }

  /** @param {number} part @param {Uint8Array} content */
  readPart(part, content) {
    this.bytes(this.part.pointer, this.part.bytes).set(content);
    this.call.textgen_trainer_read_part(this.trainer, part, this.part.pointer);
  }

  /** @returns {number} the loss, or NaN */
  end() {
    return this.call.textgen_trainer_end(this.trainer);
  }

  /** Return a view of all weights, until memory is allocated. */
  weights() {
    return this.view(Float32Array, this.call.textgen_trainer_weights(this.trainer), this.info().weights);
  }

  /** @param {Float32Array} weights of the trainer that ended the update */
  follow(weights) {
    this.withBytes(new Uint8Array(weights.buffer, weights.byteOffset, weights.byteLength), (pointer) =>
      this.call.textgen_trainer_follow(this.trainer, pointer),
    );
  }

  /** Return the loss of the held-out text, in nats per character, or NaN. @returns {number} */
  score() {
    return this.call.textgen_trainer_score(this.trainer);
  }

  /** Return the model file. @param {number} heldOutNats as score() returned it */
  model(heldOutNats) {
    const training = JSON.stringify(this.#training(heldOutNats));
    return this.withText(training, (text) => {
      const size = this.call.textgen_trainer_write_model(this.trainer, heldOutNats, text, 0);
      return this.withMemory(size, (file) => {
        this.call.textgen_trainer_write_model(this.trainer, heldOutNats, text, file);
        return this.bytes(file, size).slice();
      });
    });
  }

  /** What the metadata says of the training, as the other trainers do. @param {number} heldOutNats */
  #training(heldOutNats) {
    const info = this.info();
    const names = [...this.#options().keys()];
    const options = this.withMemory(8 * names.length, (pointer) => {
      this.call.options(this.trainer, pointer);
      const values = this.view(Float64Array, pointer, names.length);
      return Object.fromEntries(names.map((name, index) => [name, values[index]]));
    });
    return {
      corpus: this.title,
      sha256: this.text(this.call.digest(this.corpus)),
      characters: info.trainingCharacters + info.heldOutCharacters,
      split: { training_characters: info.trainingCharacters, held_out_characters: info.heldOutCharacters },
      parameters: info.parameters,
      held_out_nats: heldOutNats,
      evaluation: { step: info.step, epoch: info.epoch },
      recipe: { name: "default", cell: "lstm", ...options, seed: this.seed },
    };
  }

  /** Return the run, all that it needs to go on exactly. */
  save() {
    const pointer = this.call.textgen_trainer_save(this.trainer, this.output);
    return this.bytes(pointer, this.word(this.output)).slice();
  }

  /** Replace the run by a saved one of the same text and options. @param {Uint8Array} saved */
  resume(saved) {
    this.withBytes(saved, (data, size) => this.attempt("textgen_trainer_resume", this.trainer, data, size));
  }
}

/**
 * Return a model file with 8-bit weights.
 *
 * @param {WebAssembly.Instance} module
 * @param {Uint8Array} content of a model file with float32 weights
 */
export function convert(module, content) {
  const instance = new Instance(module);
  const size = instance.allocate(4);
  return instance.withBytes(content, (file, fileSize) => {
    instance.attempt("textgen_quantize", file, fileSize, 0, 0, size);
    return instance.withMemory(instance.word(size), (converted) => {
      instance.attempt("textgen_quantize", file, fileSize, 0, converted, size);
      return instance.bytes(converted, instance.word(size)).slice();
    });
  });
}
