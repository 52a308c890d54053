// The score of a tune in ABC notation, with a button that plays it, in a page that contains abcjs.

// abcjs can play sounds that it loads from a network. This page has none, so oscillators play the notes.
const [WAVE, VOLUME] = ["triangle", 0.3];
// In seconds: a note begins and ends without a click.
const [ATTACK, RELEASE] = [0.01, 0.06];
// The class of the notes that sound.
const SOUNDING = "sounding";
// The field that each tune has.
const KEY = /^K:/m;

export class Score {
  #section;
  #staff;
  #button;
  #tune = null;
  #context = null;
  #timing = null;

  /** `section` has a button, and an element for the staff. */
  constructor(section) {
    this.#section = section;
    this.#button = section.querySelector("button");
    this.#staff = section.querySelector("div");
    this.#button.addEventListener("click", () => (this.#context ? this.#stop() : this.#play()));
  }

  /** Show the score of a text that is a tune. Any other text has none. */
  show(text) {
    this.hide();
    if (!globalThis.ABCJS || !KEY.test(text)) return;
    this.#section.hidden = false;
    [this.#tune] = ABCJS.renderAbc(this.#staff, text, { responsive: "resize", add_classes: true });
  }

  hide() {
    this.#stop();
    this.#section.hidden = true;
  }

  #play() {
    this.#context = new AudioContext();
    this.#button.textContent = "Stop playing";
    const output = new GainNode(this.#context, { gain: VOLUME });
    output.connect(this.#context.destination);
    // abcjs gives the times in whole notes.
    const whole = this.#tune.millisecondsPerMeasure() / 1000 / this.#tune.getBarLength();
    for (const { cmd, pitch, start, duration } of this.#tune.setUpAudio({}).tracks.flat()) {
      if (cmd === "note") this.#sound(pitch, start * whole, (start + duration) * whole, output);
    }
    this.#timing = new ABCJS.TimingCallbacks(this.#tune, {
      eventCallback: (event) => (event ? this.#mark(event.elements.flat()) : this.#stop()),
    });
    this.#timing.start();
  }

  /** Let a note of MIDI sound between two times in seconds. */
  #sound(pitch, start, end, output) {
    const oscillator = new OscillatorNode(this.#context, { type: WAVE, frequency: 440 * 2 ** ((pitch - 69) / 12) });
    const envelope = new GainNode(this.#context, { gain: 0 });
    const from = this.#context.currentTime + start;
    const until = this.#context.currentTime + end;
    envelope.gain.setValueAtTime(0, from);
    envelope.gain.linearRampToValueAtTime(1, from + ATTACK);
    envelope.gain.setTargetAtTime(0, Math.max(from + ATTACK, until - RELEASE), RELEASE / 3);
    oscillator.connect(envelope).connect(output);
    oscillator.start(from);
    oscillator.stop(until);
  }

  #stop() {
    if (!this.#context) return;
    this.#timing.stop();
    this.#context.close();
    this.#context = null;
    this.#button.textContent = "Play";
    this.#mark([]);
  }

  #mark(elements) {
    for (const element of this.#staff.querySelectorAll(`.${SOUNDING}`)) element.classList.remove(SOUNDING);
    for (const element of elements) element.classList.add(SOUNDING);
  }
}
