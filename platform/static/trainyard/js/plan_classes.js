// The classes of a plan: how many examples each has, and, behind its name, what can be done with it.

import { counted, icon, make } from "./elements.js";

const AT_FIRST = 60; // classes that are drawn before somebody asks for all
const PICTURED = 24; // classes that show some of their photos

export class ClassList {
  /** `rename(from, to)` and `leave(name)` are called for what a person says of a class. */
  constructor({ rename, leave }) {
    this.rename = rename;
    this.leave = leave;
    this.open = ""; // the class that is being edited
    this.isWhole = false;
    this.addresses = new Map(); // of photos
  }

  clear() {
    for (const address of this.addresses.values()) URL.revokeObjectURL(address);
    this.addresses.clear();
    this.open = "";
    this.isWhole = false;
  }

  /** Draw `classes` ({name: count}); `photos` are some files of each, where there are any at hand. */
  draw(place, classes, photos) {
    this.redraw = () => this.draw(place, classes, photos);
    const all = Object.entries(classes).sort(([, one], [, other]) => other - one);
    const shown = this.isWhole ? all : all.slice(0, AT_FIRST);
    const most = all[0]?.[1] ?? 1;
    const isPictured = photos.size > 0 && all.length <= PICTURED;
    const rows = shown.map(([name, count]) => this.row(name, count, most, isPictured ? photos.get(name) : null, all));
    const list = make("ul", { class: "plan-classes" }, ...rows);
    const rest = all.length - shown.length;
    const more = rest > 0 && make("button", {
      type: "button", class: "btn btn-quiet btn-sm", text: `Show ${counted(rest, "more class", "more classes")}`,
      on: { click: () => { this.isWhole = true; this.redraw(); } },
    });
    place.replaceChildren(...(all.length > 0 ? [list, more].filter(Boolean) : []));
  }

  row(name, count, most, photos, all) {
    const isOpen = this.open === name;
    const words = make("span", { class: "bar-words" }, make("span", { class: "break", text: name }), make("span", {
      class: "number muted", text: count.toLocaleString("en"),
    }));
    const button = make("button", {
      type: "button", class: "plan-class", "aria-expanded": String(isOpen), "data-key": `class ${name}`,
      title: "Rename, merge or leave out", on: { click: () => this.toggle(isOpen ? "" : name) },
    }, words, make("progress", { max: most, value: count, "aria-hidden": "true" }));
    const pictures = photos && make("span", { class: "builder-photos" }, ...photos.map((file) => this.picture(file)));
    return make("li", { class: isOpen ? "is-open" : null }, button, pictures, isOpen && this.editor(name, all));
  }

  picture(file) {
    if (!this.addresses.has(file)) this.addresses.set(file, URL.createObjectURL(file));
    const image = make("img", { alt: "", src: this.addresses.get(file), loading: "lazy", decoding: "async" });
    image.addEventListener("error", () => image.remove(), { once: true }); // HEIC, which this browser cannot show
    return image;
  }

  toggle(name) {
    this.open = name;
    this.redraw();
    document.getElementById("plan-class-name")?.select();
  }

  close() {
    const name = this.open;
    this.toggle("");
    document.querySelector(`[data-key="${CSS.escape(`class ${name}`)}"]`)?.focus();
  }

  editor(name, all) {
    const others = all.filter(([other]) => other !== name).slice(0, 500);
    const field = make("input", {
      id: "plan-class-name", class: "form-control", value: name, list: "plan-class-names", autocomplete: "off", maxlength: 200,
    });
    const rename = () => {
      const to = field.value.trim();
      if (to === "" || to === name) this.close();
      else {
        this.open = "";
        this.rename(name, to);
      }
    };
    const leave = () => {
      this.open = "";
      this.leave(name);
    };
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault();
      if (event.key === "Enter") rename();
      else this.close();
    });
    return make("div", { class: "plan-editor" },
      make("label", { class: "form-label", for: field.id, text: "Name of this class" }), field,
      make("datalist", { id: "plan-class-names" }, ...others.map(([other]) => make("option", { value: other }))),
      make("p", { class: "muted small", text: "The name of another class merges the two." }),
      make("div", { class: "actions" },
        make("button", { type: "button", class: "btn btn-quiet btn-sm", text: "Save", on: { click: rename } }),
        make("button", { type: "button", class: "btn btn-quiet btn-sm", text: "Leave out", on: { click: leave } }, icon("stop")),
        make("button", { type: "button", class: "btn btn-quiet btn-sm", text: "Cancel", on: { click: () => this.close() } }),
      ),
    );
  }
}
