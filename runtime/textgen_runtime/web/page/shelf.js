// The list of the records that have been written, such as names. Each can be chosen again.

import { toLink } from "./link.js";

export class Shelf {
  #section;
  #list;
  /** What was written, by its link, in the order of the list. */
  #records = new Map();

  /** `onChoose(description)` follows a press on a record; `onCopy(text)` one on the button below. */
  constructor(section, onChoose, onCopy) {
    this.#section = section;
    this.#list = section.querySelector("ol");
    this.#list.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) onChoose(this.#records.get(button.value).description);
    });
    section.querySelector(":scope > button").addEventListener("click", () => {
      onCopy(Array.from(this.#records.values(), ({ text }) => text).join("\n"));
    });
  }

  /** Mark a record as the current one, and add it at the end unless it is in the list. */
  add(record) {
    const description = record.describe();
    const link = toLink(description);
    if (!this.#records.has(link)) {
      const text = record.prompt + record.text;
      this.#records.set(link, { description, text });
      this.#list.append(makeItem(link, text));
    }
    for (const button of this.#list.querySelectorAll("button")) {
      if (button.value === link) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
    this.#section.hidden = false;
  }

  /** Scroll until the last records are above a line of the window, but not beyond the first of them. */
  reveal(count, line) {
    const { children } = this.#list;
    const first = children.length > count ? children[children.length - count] : this.#section;
    const { bottom } = this.#section.getBoundingClientRect();
    const hidden = Math.min(bottom - line, first.getBoundingClientRect().top);
    if (hidden > 0) scrollBy({ top: hidden, behavior: "instant" });
  }
}

function makeItem(link, text) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.value = link;
  [button.textContent] = text.split("\n");
  item.append(button);
  return item;
}
