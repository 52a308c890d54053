// The workers of a run. The first one leads: it starts the others, makes the updates with them, and evaluates. Each has
// a trainer of its own, because workers share no memory, and computes some parts of each update. The parts are added in
// a fixed order, so the weights do not depend on the number of workers.
import { Port, startWorker } from "./port.js";
import { Trainer } from "./trainer.js";

/** How many epochs a budget of minutes gives is known after so many seconds. */
const MEASURED = 1;
/** The first evaluation is after so many seconds, all of them take at most this share of the time, and there are so many. */
const [FIRST, SHARE, MAX_EVALUATIONS] = [2, 0.03, 20];
/** An evaluation takes as long as learning so many of the tokens that it scores. The first one takes at most this share. */
const [COST, FIRST_SHARE] = [0.4, 0.1];
/** A sample follows the one before when the time is so many times as long, and so many seconds. */
const SAMPLE = { factor: 1.25, seconds: 1 };
/** An update that took more milliseconds was interrupted by a sleep of the machine. */
const MAX_UPDATE = 5000;
/** Milliseconds between two reports of progress. */
const REPORT = 100;
/**
 * A run stops early after this share of its budget and so many epochs, if it has learned the training text by heart: the
 * loss there is below the best held-out loss, which was so many evaluations ago, and is exceeded by this factor. Python
 * does the same.
 */
const EARLY = { share: 0.25, epochs: 3, evaluations: 4, factor: 1.1 };

const threads = /** @type {any} */ (globalThis).threads ?? null;
const parent = new Port(threads?.parentPort ?? self);
const now = () => performance.now();

const channel = new MessageChannel();
const turns = new Port(channel.port1);

/** Let messages arrive. A timer would take milliseconds. */
async function giveWay() {
  channel.port2.postMessage(0);
  await turns.next();
}

/**
 * Compute the parts of updates that belong to a worker.
 *
 * @param {number[]} parts
 * @param {Trainer} trainer
 */
async function follow(parts, trainer) {
  for (;;) {
    const { weights, progress, epochs } = await parent.next();
    if (weights) trainer.follow(weights);
    if (epochs) trainer.regularize(epochs);
    trainer.begin(progress);
    const contents = parts.map((part) => {
      trainer.computePart(part);
      return trainer.writePart(part).slice();
    });
    parent.post({ contents }, contents.map((content) => content.buffer));
  }
}

class Leader {
  /** @param {any} start @param {Trainer} trainer */
  constructor(start, trainer) {
    this.trainer = trainer;
    this.budget = start.budget;
    this.seconds = start.saved?.seconds ?? 0;
    this.best = start.saved?.best ?? Infinity;
    /** The epochs that the run is expected to have, or 0 as long as they are not known. */
    this.epochs = start.budget.epochs ?? start.saved?.epochs ?? 0;
    this.progress = 0;
    this.measure();
    this.evaluated = this.progress;
    /** The number of evaluations since the best one. */
    this.later = 0;
    /** The share of the budget between two evaluations, or 0 as long as it is not known. */
    this.interval = 0;
    /** When a sample was sent, in seconds of the run. */
    this.sampled = this.seconds;
    /** The mean loss of the latest updates, in nats per character. @type {number | undefined} */
    this.loss = undefined;
    this.hasChanged = this.isStopped = this.isPaused = false;
    /** The epochs for which the other workers do not know what is against overfitting yet. */
    this.changed = start.saved?.epochs ?? 0;
    const { parts, trainingTokens, trainingCharacters, heldOutCharacters } = trainer.info();
    this.tokensOfCharacter = trainingTokens / trainingCharacters;
    /** The epochs that could be learned while the network is evaluated. */
    this.cost = (COST * heldOutCharacters) / trainingCharacters;
    const count = Math.min(start.workers, parts);
    const groups = Array.from({ length: count }, (_, worker) =>
      Array.from({ length: parts }, (_, part) => part).filter((part) => part % count === worker),
    );
    this.parts = groups[0];
    this.others = groups.slice(1).map((group) => {
      const port = startWorker(start.source, threads);
      port.post({ ...start, parts: group, isLeader: false });
      return { port, parts: group };
    });
  }

  /** Find the share of the budget that is used. */
  measure() {
    const { step, perEpoch } = this.trainer.info();
    const { minutes, epochs } = this.budget;
    this.progress = Math.min(1, minutes ? this.seconds / (60 * minutes) : step / (epochs * perEpoch));
  }

  async update() {
    const { trainer, others, progress } = this;
    const began = now();
    for (const { port } of others) {
      const weights = this.hasChanged ? trainer.weights().slice() : null;
      port.post({ weights, progress, epochs: this.changed }, weights ? [weights.buffer] : []);
    }
    if (this.changed) trainer.regularize(this.changed);
    this.changed = 0;
    trainer.begin(progress);
    for (const part of this.parts) trainer.computePart(part);
    for (const { port, parts } of others) {
      const { contents, error } = await port.next();
      if (error) throw error;
      parts.forEach((part, index) => trainer.readPart(part, contents[index]));
    }
    const loss = trainer.end() * this.tokensOfCharacter;
    if (Number.isNaN(loss)) throw new Error("training has diverged: lower learningRate and muonLr");
    this.loss = this.loss === undefined ? loss : 0.98 * this.loss + 0.02 * loss;
    this.hasChanged = true;
    if (!others.length) await giveWay();
    this.seconds += Math.min(now() - began, MAX_UPDATE) / 1000;
    this.measure();
  }

  /** Measure the held-out loss, and send the model if it is the best so far. */
  evaluate() {
    const began = now();
    const heldOut = this.trainer.score();
    if (Number.isNaN(heldOut)) throw new Error("training has diverged: lower learningRate and muonLr");
    const isBest = heldOut < this.best;
    const model = isBest ? this.trainer.model(heldOut) : null;
    this.best = Math.min(heldOut, this.best);
    this.later = isBest ? 0 : this.later + 1;
    this.evaluated = this.progress;
    const seconds = (now() - began) / 1000;
    this.seconds += seconds;
    // Evaluations are evenly spaced, and the last one is at the end.
    const most = (SHARE * this.seconds) / (this.progress * seconds);
    this.interval = 1 / Math.max(1, Math.min(MAX_EVALUATIONS, Math.floor(most)));
    const { epoch } = this.trainer.info();
    const isOverfitted = !isBest && /** @type {number} */ (this.loss) < this.best;
    this.isStopped ||=
      isOverfitted && this.progress >= EARLY.share && epoch >= EARLY.epochs && this.later >= EARLY.evaluations && heldOut > EARLY.factor * this.best;
    const evaluation = { progress: this.progress, seconds: this.seconds, epoch, heldOut, isOverfitted, model };
    parent.post({ evaluation }, model ? [model.buffer] : []);
  }

  get isDue() {
    if (!this.interval) {
      const share = (this.cost * this.progress) / this.trainer.info().epoch;
      return this.progress >= 1 || (this.seconds >= FIRST && share <= FIRST_SHARE);
    }
    return Math.floor(this.progress / this.interval) > Math.floor(this.evaluated / this.interval);
  }

  report() {
    const { seconds, progress, loss } = this;
    const { epoch, trainingCharacters } = this.trainer.info();
    const secondsLeft = (seconds * (1 - progress)) / progress;
    parent.post({ progress: { progress, seconds, secondsLeft, epoch, loss, characters: epoch * trainingCharacters } });
  }

  /** Send the model as it is, which is not evaluated. */
  sample() {
    this.sampled = this.seconds;
    const model = this.trainer.model(NaN);
    parent.post({ sample: { progress: this.progress, model } }, [model.buffer]);
  }

  save() {
    return { run: this.trainer.save(), seconds: this.seconds, best: this.best, epochs: this.epochs };
  }

  /** Do what the program has asked for. While the run is paused, wait for more. */
  async obey() {
    for (let request = parent.poll(); request || this.isPaused; request = parent.poll()) {
      const { name } = request ?? (await parent.next());
      if (name === "save") parent.post({ saved: this.save() });
      if (name === "stop") this.isStopped = true;
      this.isPaused = name === "pause" || (this.isPaused && name === "save");
    }
  }

  async run() {
    let reported = -Infinity;
    while (this.progress < 1 && !this.isStopped) {
      await this.update();
      if (!this.epochs && this.seconds >= MEASURED) {
        this.epochs = this.changed = this.trainer.info().epoch / this.progress;
      }
      if (now() - reported >= REPORT) {
        reported = now();
        this.report();
      }
      if (this.isDue) this.evaluate();
      if (this.seconds >= SAMPLE.factor * this.sampled + SAMPLE.seconds) this.sample();
      await this.obey();
    }
    if (this.evaluated < this.progress) this.evaluate();
    this.report();
    parent.post({ saved: this.save(), isComplete: true });
  }
}

async function start() {
  const message = await parent.next();
  const instance = await WebAssembly.instantiate(/** @type {WebAssembly.Module} */ (message.module), {});
  const { text, options, budget, saved } = message;
  const trainer = new Trainer(instance, text, { ...options, epochs: budget.epochs ?? saved?.epochs });
  if (saved) trainer.resume(saved.run);
  const leader = message.isLeader ? new Leader(message, trainer) : null;
  // The trainer has a copy.
  message.text = "";
  return leader ? leader.run() : follow(message.parts, trainer);
}

// The copy of an error in a message has no code.
start().catch(({ message, code, parameter }) => parent.post({ error: { message, code, parameter } }));
