// Photos that come without a zip: folders and loose files become a list of classes, which is packed when it is whole.

import { readableSize } from "./dropzone.js";
import { MOST_FILES, zip } from "./zip.js";

const IMAGE = /\.(jpe?g|jpe|jfif|png|webp|heic|heif|hif|avif|gif|bmp|tiff?|jp2|j2k|p[bgnp]m|pfm|ico|tga)$/i;
const LITTER = /^(\.|thumbs\.db$|desktop\.ini$|__macosx$)/i;
const SHOWN = 4; // photos of a class

export function isPhoto(file) {
  return IMAGE.test(file.name) || file.type.startsWith("image/");
}

/** Every file in what was dropped, as {path, file}; folders are walked through. */
export async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const found = [];
  if (entries.length === 0) return [...transfer.files].map((file) => ({ path: file.name, file }));
  const walk = async (entry) => {
    if (LITTER.test(entry.name)) return;
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      found.push({ path: entry.fullPath.replace(/^\//, ""), file });
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (some.length === 0) return;
      for (const child of some) await walk(child);
    }
  };
  for (const entry of entries) await walk(entry);
  return found;
}

/** The classes that are being put together, and the part of the page that shows them. */
export class ClassBuilder {
  constructor(place, changed) {
    this.place = place;
    this.list = place.querySelector(".builder-classes");
    this.sum = place.querySelector("[role=status]");
    this.changed = changed;
    this.classes = [];
    this.title = "";
  }

  /** Sort files into classes by the folder that each lies in; loose ones become a class to be named. */
  add(files) {
    const loose = [];
    for (const { path, file } of files) {
      const parts = path.split("/");
      if (parts.some((part) => LITTER.test(part))) continue;
      if (parts.length > 2) this.title ||= parts.at(-3);
      if (parts.length > 1) this.classOf(parts.at(-2)).files.push(file);
      else if (isPhoto(file)) loose.push(file);
    }
    let toName = null;
    if (loose.length > 0) {
      toName = this.classOf(this.freeName());
      toName.files.push(...loose);
    }
    this.draw(toName);
  }

  classOf(name) {
    let found = this.classes.find((one) => one.name === name);
    if (!found) {
      found = { name, files: [] };
      this.classes.push(found);
    }
    return found;
  }

  freeName() {
    let number = this.classes.length + 1;
    while (this.classes.some((one) => one.name === `Class ${number}`)) number += 1;
    return `Class ${number}`;
  }

  clear() {
    this.classes = [];
    this.title = "";
    this.draw(null);
  }

  get count() {
    return this.classes.reduce((sum, one) => sum + one.files.length, 0);
  }

  get bytes() {
    return this.classes.reduce((sum, one) => one.files.reduce((more, file) => more + file.size, sum), 0);
  }

  /** The classes in words: what each is called, how many photos it has, and the names of some. */
  get summary() {
    return this.classes.map(({ name, files }) => ({
      name,
      count: files.length,
      examples: files.slice(0, SHOWN).map((file) => file.name),
    }));
  }

  /** Why these classes cannot be sent yet; empty when they can. */
  get complaint() {
    const names = this.classes.map((one) => one.name.trim());
    if (names.some((name) => !name || /[/\\]|^\./.test(name))) return "Give every class a name without a slash.";
    if (new Set(names).size < names.length) return "Two classes have the same name.";
    if (this.count > MOST_FILES) return `More than ${MOST_FILES} files: make a zip of them.`;
    if (this.classes.length === 1) return "Add the photos of a second class.";
    return "";
  }

  /** All of it as one zip file; names that a class has twice are numbered. */
  async pack(told) {
    const entries = [];
    for (const { name, files } of this.classes) {
      const taken = new Set();
      for (const [index, file] of files.entries()) {
        const wanted = file.name.toLowerCase();
        entries.push({ name: `${name.trim()}/${taken.has(wanted) ? `${index}-` : ""}${file.name}`, file });
        taken.add(wanted);
      }
    }
    const blob = await zip(entries, (done) => told(done, entries.length));
    return new File([blob], `${this.title || "photos"}.zip`, { type: "application/zip" });
  }

  draw(toName) {
    for (const image of this.list.querySelectorAll("img")) URL.revokeObjectURL(image.src);
    this.list.replaceChildren(...this.classes.map((one) => this.item(one)));
    this.place.classList.toggle("has-classes", this.classes.length > 0);
    this.tell();
    if (toName) {
      const field = this.list.children[this.classes.indexOf(toName)].querySelector("input");
      field.focus();
      field.select();
    }
  }

  tell() {
    const words = `${this.count} photos in ${this.classes.length} classes · ${readableSize(this.bytes)}`;
    this.sum.textContent = this.classes.length > 0 ? this.complaint || words : "";
    this.changed();
  }

  item(one) {
    const item = document.createElement("li");
    const field = document.createElement("input");
    field.className = "form-control";
    field.value = one.name;
    field.setAttribute("aria-label", "Name of the class");
    field.addEventListener("input", () => {
      one.name = field.value;
      this.tell();
    });
    // Enter in a name goes on to the next thing instead of sending what is not whole.
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") event.preventDefault();
    });
    const count = document.createElement("span");
    count.className = "muted small number";
    count.textContent = one.files.length === 1 ? "1 photo" : `${one.files.length} photos`;
    const remove = document.createElement("button");
    remove.type = "button";
    remove.className = "btn btn-quiet btn-sm";
    remove.textContent = "Remove";
    remove.setAttribute("aria-label", `Remove ${one.name}`);
    remove.addEventListener("click", () => {
      this.classes = this.classes.filter((other) => other !== one);
      this.draw(null);
      this.place.querySelector("button, input")?.focus();
    });
    const photos = document.createElement("span");
    photos.className = "builder-photos";
    for (const file of one.files.filter(isPhoto).slice(0, SHOWN)) {
      const image = document.createElement("img");
      image.alt = "";
      image.src = URL.createObjectURL(file);
      image.addEventListener("error", () => image.remove(), { once: true });
      photos.append(image);
    }
    item.append(field, photos, count, remove);
    return item;
  }
}
