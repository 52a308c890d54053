// Copies of a generation at several places of its text, so that one of them is near any place.

/** The copies. `units` are those of the text, and an index is that of a unit. */
export class Marks {
  #marks = [];
  #probe = null;

  /** Keep a copy of a generation that is at this unit. */
  add(index, generation) {
    this.#marks.push({ index, generation: generation.copy() });
  }

  /** Drop the copies at this unit and after it. */
  forget(index) {
    for (const { generation } of this.#marks.filter((mark) => mark.index >= index)) generation.dispose();
    this.#marks = this.#marks.filter((mark) => mark.index < index);
    this.#probe?.generation.dispose();
    this.#probe = null;
  }

  /** Return a generation at a unit, which stays this object's. */
  generationAt(index, units) {
    if (this.#probe?.index !== index) {
      this.#probe?.generation.dispose();
      this.#probe = { index, generation: this.copyAt(index, units) };
    }
    return this.#probe.generation;
  }

  /** Return a copy of the generation at a unit. */
  copyAt(index, units) {
    const mark = this.#marks.findLast((candidate) => candidate.index <= index);
    const generation = mark.generation.copy();
    const between = units.slice(mark.index, index).map(({ text }) => text).join("");
    if (between) generation.feed(between);
    return generation;
  }
}
