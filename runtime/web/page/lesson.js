// The part of the page that learns: the text, the choices, the run with its chart and samples, and what is kept of it.

import { learn } from "../learn.js";
import { normalize } from "../lib/vocabulary.js";
import { load } from "../plain.js";
import { freshSeed } from "./link.js";
import { examine, readFiles } from "./material.js";
import { forgetRun, keepRun, keptRun } from "./keep.js";
import { element } from "./view.js";

const number = (value) => Math.round(value).toLocaleString("en");
const percent = (share) => `${Math.floor(100 * share)}%`;
const bits = (nats) => nats / Math.LN2;
/** Milliseconds between two times that a run is kept. */
const KEEP = 10_000;
/** A text of fewer characters is learned by heart. */
const TINY = 10_000;
/** A network of this size is the better one from so many minutes and characters on, unless there are so many symbols. */
const LARGER = { size: "medium", minutes: 20, characters: 100_000, symbols: 300 };
/** The most points of a line of the chart, and its size in the units of the picture. */
const [POINTS, WIDTH, HEIGHT] = [300, 600, 150];
/** The characters of a sample, and how many items of a list it has. */
const [SAMPLE, ITEMS] = [160, 4];

/** Focus a control if the one that had the focus is hidden now. */
function keepFocus(id) {
  if (document.activeElement === document.body) element(id).focus({ preventScroll: true });
}

export class Lesson {
  /** The text to learn: `{ name, text, symbols }`, or null. */
  #material = null;
  /** The run, or null. */
  #run = null;
  /** What the browser keeps of the run. */
  #kept = null;
  /** Whether a run begins or goes on. */
  #isBusy = false;
  #isPaused = false;
  /** Whether the person ended the run. */
  #isStopped = false;
  #canKeep = true;
  /** Whether the person has chosen a size. */
  #hasSize = false;
  /** The items of a list, with its text, or null. */
  #records = null;
  #learned = [];
  #heldOut = [];
  #onModel;
  #model;

  /**
   * `onModel(content, { name, records })` follows each better model, and one that a person opens. It returns the model. `model()`
   * is the content of the model on the page, or null.
   */
  constructor(onModel, model) {
    this.#onModel = onModel;
    this.#model = model;
    const on = (id, event, action) => element(id).addEventListener(event, action);
    on("choose", "click", () => element("files").click());
    on("files", "change", () => {
      const files = [...element("files").files];
      // The same file can be chosen again.
      element("files").value = "";
      this.#read(files);
    });
    on("pasted", "input", () => this.#take(element("pasted").value && { name: "pasted text", text: element("pasted").value, notes: [] }));
    on("clear", "click", () => {
      this.#take(null);
      element("pasted").focus();
    });
    on("from", "change", () => this.#showChoices());
    on("minutes", "change", () => this.#proposeSize());
    on("preset", "change", () => (this.#hasSize = true));
    on("teach", "click", () => this.#isBusy || this.#begin());
    on("pause", "click", () => this.#pauseOrGoOn());
    on("end", "click", () => {
      this.#isStopped = true;
      this.#run?.stop();
    });
    on("use", "click", () => {
      element("form").scrollIntoView();
      element("write").focus({ preventScroll: true });
    });
    on("resume", "click", () => this.#resume());
    on("forget", "click", () => {
      element("kept").hidden = true;
      forgetRun().catch(() => {});
    });
    this.#acceptDrops();
    this.#offer();
  }

  open() {
    element("learn").open = true;
  }

  #acceptDrops() {
    const over = (isOver) => document.body.classList.toggle("is-over", isOver);
    addEventListener("dragover", (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      over(true);
    });
    addEventListener("dragleave", (event) => event.relatedTarget ?? over(false));
    addEventListener("drop", (event) => {
      over(false);
      const files = [...event.dataTransfer.files];
      if (!files.length) return;
      event.preventDefault();
      this.open();
      this.#read(files);
    });
    addEventListener("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      const text = event.clipboardData?.getData("text/plain") ?? "";
      // A browser needs long to show a long text in a field.
      // Spreadsheets also put a picture of the text there.
      if (text ? event.target.id !== "pasted" || text.length < TINY : !files.length) return;
      event.preventDefault();
      if (!text) return void this.#read(files);
      const { value, selectionStart, selectionEnd } = element("pasted");
      this.#take({ name: "pasted text", text: value.slice(0, selectionStart) + text + value.slice(selectionEnd), notes: [] });
    });
  }

  async #read(files) {
    if (this.#isBusy) return this.#fail(new Error("The page is learning: stop that first."));
    this.#fail(null);
    try {
      const { name, text, notes, model } = await readFiles(files);
      // A run has begun while the files were read.
      if (this.#isBusy) return;
      if (!model) return this.#take({ name, text, notes });
      await this.#onModel(model, { name: name.replace(/\.onnx$/i, "") });
      element("from").checked = true;
      this.#showChoices();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Show a text to learn, or that there is none. */
  #take(material) {
    this.#fail(null);
    this.#material = material || null;
    // The chart, the samples and the verdict are of the text before.
    element("lesson").hidden = true;
    element("verdict").textContent = "";
    element("choices").hidden = element("clear").hidden = !material;
    element("pasted").hidden = Boolean(material) && element("pasted").value !== material.text;
    element("pasted").labels[0].hidden = element("choose").hidden = element("pasted").hidden;
    element("excerpt").hidden = element("pasted").hidden === false || !material;
    element("teach").disabled = !material;
    if (!material) {
      element("pasted").value = element("material").textContent = "";
      return;
    }
    const { characters, symbols, lines, excerpt, records, lowercase } = examine(material.text);
    const small = characters < TINY ? `That is little: a model learns it by heart. ${number(TINY)} characters are a start.` : "";
    element("material").textContent =
      `${material.name}: ${number(characters)} characters, ${number(symbols)} different ones, ${number(lines)} lines. ${[...material.notes, small].join(" ")}`.trim();
    element("excerpt").textContent = excerpt;
    element("records").value = records;
    element("lowercase").checked = lowercase;
    material.symbols = symbols;
    this.#proposeSize();
    this.#showChoices();
  }

  #proposeSize() {
    if (this.#hasSize) return;
    const { text, symbols } = this.#material;
    const isLong = Number(element("minutes").value) >= LARGER.minutes && text.length >= LARGER.characters;
    element("preset").value = isLong && symbols < LARGER.symbols ? LARGER.size : "small";
  }

  /** A model on the page decides how a text is read that it learns. */
  #showChoices() {
    const isFixed = this.#model() !== null && element("from").checked;
    for (const id of ["records", "preset", "lowercase"]) element(id).disabled = isFixed;
  }

  #begin() {
    const { name, text } = this.#material;
    const from = element("from").checked ? this.#model() : null;
    const options = {
      // A name has at most 255 bytes.
      name: Array.from(name).slice(0, 60).join(""),
      minutes: Number(element("minutes").value),
      seed: freshSeed(),
      ...(from ? { from } : { records: element("records").value || null, lowercase: element("lowercase").checked, preset: element("preset").value }),
    };
    // Another tab may keep a run, too.
    const id = `${Date.now()} ${options.seed}`;
    this.#start({ id, name, text, options, chart: { learned: [], heldOut: [] }, samples: [] });
  }

  async #resume() {
    element("kept").hidden = true;
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      const kept = await keptRun();
      // Another tab may have removed it.
      if (!kept) return;
      this.#take({ name: kept.name, text: kept.text, notes: [] });
      this.#fill(kept);
      if (kept.model) await this.#onModel(kept.model, this.#about());
      if (!kept.isComplete) await this.#start(kept);
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isBusy = false;
    }
  }

  /** Show what is kept of a run: its chart and its samples. */
  #fill(kept) {
    this.#kept = kept;
    this.#learned = kept.chart.learned;
    this.#heldOut = kept.chart.heldOut;
    element("samples").replaceChildren();
    kept.samples.forEach((sample) => this.#list(sample));
    element("verdict").textContent = element("progress").textContent = "";
    element("lesson").hidden = false;
    this.#draw();
  }

  /** Run, from the beginning or from what was kept. */
  async #start(kept) {
    this.#fail(null);
    this.#isBusy = true;
    this.#isStopped = false;
    this.#fill(kept);
    this.#showRunning(true);
    const timer = setInterval(() => this.#isPaused || this.#keep(), KEEP);
    try {
      this.#run = await learn(kept.text, {
        ...kept.options,
        ...(kept.saved ? { saved: kept.saved } : {}),
        onProgress: (progress) => this.#showProgress(progress),
        onEvaluation: (evaluation) => this.#evaluate(evaluation),
        onSample: (sample) => this.#sample(sample),
      });
      element("pause").disabled = element("end").disabled = false;
      keepFocus("pause");
      const { saved } = await this.#run.finished;
      this.#conclude();
      await this.#store({ saved, isComplete: true });
    } catch (error) {
      this.#fail(error);
      // The browser still has the run before.
      this.#offer();
    } finally {
      clearInterval(timer);
      this.#run = null;
      this.#isBusy = false;
      this.#showRunning(false);
      keepFocus("teach");
    }
  }

  async #pauseOrGoOn() {
    this.#isPaused = !this.#isPaused;
    this.#isPaused ? this.#run?.pause() : this.#run?.continue();
    element("pause").textContent = this.#isPaused ? "Go on" : "Pause";
    if (!this.#isPaused) return;
    await this.#keep();
    if (this.#isPaused && this.#canKeep) element("progress").textContent += " \u00b7 kept in this browser";
  }

  #showRunning(isRunning) {
    this.#isPaused = false;
    element("pause").textContent = "Pause";
    element("teach").hidden = isRunning;
    element("teach").disabled = isRunning || !this.#material;
    element("pause").hidden = element("end").hidden = !isRunning;
    // They act on a run, which begins soon.
    element("pause").disabled = element("end").disabled = true;
    element("kept").hidden ||= isRunning;
    for (const part of document.querySelectorAll(".material, .choices")) part.inert = isRunning;
  }

  #showProgress({ progress, loss, characters, seconds, secondsLeft }) {
    element("used").value = progress;
    const left = secondsLeft < 90 ? `${Math.ceil(secondsLeft)} s` : `${Math.ceil(secondsLeft / 60)} minutes`;
    element("progress").textContent = `${percent(progress)} \u00b7 ${number(characters / Math.max(seconds, 1e-3))} characters a second \u00b7 ${progress < 1 ? `${left} left` : "done"}`;
    this.#learned.push([progress, bits(loss)]);
    // Of a long line, every second point is enough.
    if (this.#learned.length > POINTS) this.#learned.splice(0, Infinity, ...this.#learned.filter((_, i) => i % 2));
    this.#draw();
  }

  async #evaluate({ progress, heldOut, model }) {
    this.#heldOut.push([progress, bits(heldOut)]);
    this.#draw();
    if (!model) return;
    this.#kept.model = model;
    await this.#onModel(model, this.#about()).catch((error) => this.#fail(error));
    if (this.#heldOut.length === 1) await this.#keep();
  }

  /** Show what the model writes now. */
  async #sample({ progress, model }) {
    const opened = await load(model);
    const sample = { progress, text: this.#write(opened) };
    opened.dispose();
    this.#kept.samples.push(sample);
    this.#list(sample);
  }

  /** Return what a model writes at the temperature of the page. */
  #write(model) {
    const temperature = element("temperature").valueAsNumber;
    const { records, vocabulary } = model.info;
    // An excerpt of the text may end in a word.
    const start = vocabulary.includes("\n") ? "\n" : null;
    if (!records) return model.generate(start, { length: SAMPLE, temperature, seed: 1 }).trim();
    const count = records === "lines" ? ITEMS : 1;
    const items = Array.from({ length: count }, () => model.generate("", { length: SAMPLE, temperature, seed: freshSeed() }));
    return items.filter(Boolean).join(records === "lines" ? ", " : "\n");
  }

  /** The newest sample is the first one. */
  #list({ progress, text }) {
    const item = document.createElement("li");
    const share = document.createElement("span");
    share.textContent = percent(progress);
    item.append(share, text);
    element("samples").prepend(item);
  }

  #conclude() {
    const { value } = element("used");
    if (value < 1) element("progress").textContent = `Stopped after ${percent(value)} of the time.`;
    if (!this.#heldOut.length) return;
    const early = value < 1 && !this.#isStopped ? "It stopped early, because it only learned the text by heart, and kept the best model. " : "";
    element("verdict").textContent = `${early}The part that it has not read surprises the model by ${this.#best} bits per character.`;
  }

  get #best() {
    return Math.min(...this.#heldOut.map(([, value]) => value)).toFixed(2);
  }

  /** The lines of the chart: what it learns, and what it has not read. */
  #draw() {
    const values = [...this.#learned, ...this.#heldOut].map(([, value]) => value);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    for (const [name, points] of [["learned", this.#learned], ["held-out", this.#heldOut]]) {
      const at = ([progress, value]) => `${(WIDTH * progress).toFixed(1)},${(HEIGHT * (0.95 - (0.9 * (value - low)) / (high - low || 1))).toFixed(1)}`;
      element("chart").querySelector(`.${name}`).setAttribute("points", points.map(at).join(" "));
    }
    const [top, bottom] = values.length ? [high.toFixed(2), low.toFixed(2)] : ["", ""];
    element("high").textContent = top;
    element("low").textContent = bottom;
    element("chart").setAttribute("aria-label", `Surprise per character over the run, from ${top} down to ${bottom} bits`);
    element("best").textContent = this.#heldOut.length ? `(at best ${this.#best})` : "";
  }

  /** Keep the run as it is now. */
  async #keep() {
    try {
      await this.#store({ saved: await this.#run?.save() });
    } catch {
      // The run is over, and was kept.
    }
  }

  async #store(changes) {
    if (!changes.saved || !this.#canKeep) return;
    Object.assign(this.#kept, changes, { chart: { learned: this.#learned, heldOut: this.#heldOut } });
    try {
      await keepRun(this.#kept);
    } catch {
      this.#canKeep = false;
      element("keeping").textContent = "The browser does not keep the run: if this page is closed, its latest part is lost.";
    }
  }

  /** Offer a run that was kept. */
  async #offer() {
    const kept = await keptRun().catch(() => undefined);
    if (!kept || this.#isBusy) return;
    const share = kept.isComplete ? "learned" : `${percent(kept.chart.learned.at(-1)?.[0] ?? 0)} learned`;
    element("kept").firstElementChild.textContent = `This browser has kept ${kept.name}, ${share}.`;
    element("resume").textContent = kept.isComplete ? "Open" : "Go on";
    element("kept").hidden = false;
  }

  /** What the page needs to know of the model of a run: its name, and the records that it has read. */
  #about() {
    const { name, text, options } = this.#kept;
    if (options.records === "lines" && this.#records?.text !== text) {
      const lines = normalize(text, { level: "character", lowercase: options.lowercase, unicode: "NFC" }).split("\n");
      this.#records = { text, items: new Set(lines.filter(Boolean)) };
    }
    return { name: name.replace(/\.\w+$/, ""), records: options.records === "lines" ? this.#records.items : null };
  }

  #fail(error) {
    element("learn-error").hidden = !error;
    element("learn-error").textContent = error?.message ?? "";
  }
}
