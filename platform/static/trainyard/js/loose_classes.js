// Photos that came without a folder: each time some are added, they become a class that wants a name.

import { counted, make } from "./elements.js";

const TYPED = 400; // milliseconds without a key, after which a name counts

export class LooseClasses {
  /** `named(group, words)` and `removed(group)` are called for what a person does with a class. */
  constructor(place, { named, removed }) {
    this.place = place;
    this.named = named;
    this.removed = removed;
    this.clear();
  }

  clear() {
    this.classes = []; // {group, words, count}
    this.next = 1;
    this.place.replaceChildren();
  }

  add(count) {
    const group = this.next;
    this.next += 1;
    const one = { group, words: `Class ${group}`, count };
    this.classes.push(one);
    this.place.append(this.item(one));
    return one;
  }

  /** Why a name cannot be kept; empty when all can. */
  get complaint() {
    const isOdd = ({ words }) => !words.trim() || /[/\\]|^\./.test(words.trim());
    return this.classes.some(isOdd) ? "Give every class a name without a slash." : "";
  }

  focusLast() {
    const field = this.place.lastElementChild?.querySelector("input");
    field?.focus();
    field?.select();
  }

  item(one) {
    let waiting = 0;
    const name = () => {
      clearTimeout(waiting);
      waiting = 0;
      this.named(one.group, one.words);
    };
    const field = make("input", {
      class: "form-control", value: one.words, "aria-label": "Name of the class", autocomplete: "off", maxlength: 200,
      on: {
        input: () => {
          one.words = field.value;
          clearTimeout(waiting);
          waiting = setTimeout(name, TYPED);
        },
        change: () => waiting && name(),
        // Enter in a name goes on to the next thing instead of sending what is not whole.
        keydown: (event) => event.key === "Enter" && event.preventDefault(),
      },
    });
    const remove = make("button", {
      type: "button", class: "btn btn-quiet btn-sm", text: "Remove",
      on: {
        click: () => {
          clearTimeout(waiting);
          this.classes = this.classes.filter((other) => other !== one);
          item.remove();
          this.removed(one.group);
        },
      },
    });
    const item = make("li", {}, field, make("span", { class: "muted small number", text: counted(one.count, "photo") }), remove);
    return item;
  }
}
