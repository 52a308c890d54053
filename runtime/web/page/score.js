// The score of a tune in ABC notation, with a button that plays it, in a page that contains abcjs.

// abcjs can play sounds that it loads from a network. This page has none, so oscillators play the notes. A melody and
// a chord of four notes, five at once, are as loud as the device allows.
const [WAVE, VOLUME] = ["triangle", 1 / 5];
// In seconds: a note begins and ends without a click, and the first one begins a bit later.
const [ATTACK, RELEASE, DELAY] = [0.01, 0.03, 0.05];
// A narrow staff has fewer bars in a line.
const [WIDE, BARS] = [500, { minSpacing: 1.5, maxSpacing: 2.5, preferredMeasuresPerLine: 3 }];
// The first and the last field of the header of a tune.
const HEADER = /^X:.*\n(.*\n)*K:/m;

export class Score {
  #section;
  #staff;
  #button;
  /** The notes of the tune, by their ends: MIDI pitch, and beginning and end in seconds. */
  #notes = [];
  #context = null;

  /** `section` has a button, and an element for the staff. */
  constructor(section) {
    this.#section = section;
    this.#button = section.querySelector("button");
    this.#staff = section.querySelector("div");
    this.#button.addEventListener("click", () => (this.#context ? this.stop() : this.#play()));
  }

  /** Show the score of a text that is a tune. Any other text has none. */
  show(text) {
    this.hide();
    if (!globalThis.ABCJS || !HEADER.test(text)) return;
    this.#section.hidden = false;
    try {
      this.#notes = this.#draw(text);
    } catch {
      // abcjs fails for some texts that are no complete tune.
      this.#notes = [];
    }
    this.#section.hidden = this.#notes.length === 0;
  }

  hide() {
    this.stop();
    this.#section.hidden = true;
  }

  /** Stop playing. */
  stop() {
    this.#context?.close();
    this.#context = null;
    this.#button.textContent = "Play";
  }

  #draw(text) {
    const { clientWidth } = this.#staff;
    const narrow = clientWidth < WIDE ? { staffwidth: clientWidth, wrap: BARS } : {};
    const [tune] = ABCJS.renderAbc(this.#staff, text, { responsive: "resize", selectTypes: false, ...narrow });
    // abcjs gives the times in whole notes.
    const whole = tune.millisecondsPerMeasure() / 1000 / tune.getBarLength();
    return tune.setUpAudio({}).tracks.flat().filter(({ cmd }) => cmd === "note" && Number.isFinite(whole))
      .map(({ pitch, start, duration }) => ({ pitch, start: start * whole, end: (start + duration) * whole }))
      .sort((a, b) => a.end - b.end);
  }

  #play() {
    const context = new AudioContext();
    const output = new GainNode(context, { gain: VOLUME });
    output.connect(context.destination);
    const now = context.currentTime + DELAY;
    const oscillators = this.#notes.map(({ pitch, start, end }) => sound(pitch, now + start, now + end, output));
    oscillators.at(-1).addEventListener("ended", () => this.#context === context && this.stop());
    this.#context = context;
    this.#button.textContent = "Stop playing";
  }
}

/** Let a note of MIDI sound between two times of the context, and return its oscillator. */
function sound(pitch, start, end, output) {
  const { context } = output;
  const oscillator = new OscillatorNode(context, { type: WAVE, frequency: 440 * 2 ** ((pitch - 69) / 12) });
  const envelope = new GainNode(context, { gain: 0 });
  envelope.gain.setValueAtTime(0, start);
  envelope.gain.linearRampToValueAtTime(1, start + ATTACK);
  envelope.gain.setTargetAtTime(0, Math.max(start + ATTACK, end - RELEASE), RELEASE / 3);
  oscillator.connect(envelope).connect(output);
  oscillator.start(start);
  oscillator.stop(end);
  return oscillator;
}
