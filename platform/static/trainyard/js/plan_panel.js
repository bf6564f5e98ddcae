// What was found in data before it is sent, and what a person says against it.

import { merged, renamed, without, withoutClass } from "./corrections.js";
import { readableSize } from "./dropzone.js";
import { counted, icon, make, note } from "./elements.js";
import { ClassList } from "./plan_classes.js";
import { drawControls, wordsOf } from "./plan_controls.js";

const PATIENCE = 300; // milliseconds before it says that it looks
const NAMES = 5; // of what is left out
const DOUBTS = ["merge", "min_examples", "name_encoding", "encoding"]; // what is offered only where it may well be meant
const IMAGES = "imageclassification";

/** A plan with everything that the drawing relies on. */
const whole = (plan) => ({
  task_type: "", examples: 0, classes: {}, parts: {}, left_out: [], notes: [], problem: "", is_complete: true, levels: [],
  columns: [], rows: [], encoding: "", separator: "", heading: true, sheet: "", sheets: [], members: [], tables: [],
  labels_from: "", label_columns: [], corrections: {}, suggestions: [], ...plan,
});

export class PlanPanel {
  /** `ask(source, corrections, signal)` gets a plan or null; `changed()` is called whenever the panel is another. */
  constructor(place, { ask, changed }) {
    this.place = place;
    this.ask = ask;
    this.changed = changed;
    this.classes = new ClassList({
      rename: (from, to) => this.correct(renamed(this.corrections, from, to)),
      leave: (name) => this.correct(withoutClass(this.corrections, name)),
    });
    this.part("undo").addEventListener("click", () => this.undo());
    this.forget();
  }

  part(name) {
    return this.place.querySelector(`[data-plan="${name}"]`);
  }

  forget() {
    this.asking?.abort();
    this.source = null;
    this.plan = null;
    this.corrections = {};
    this.steps = []; // the corrections before each one
    this.classes.clear();
    this.place.hidden = true;
    this.place.removeAttribute("aria-busy");
    this.part("controls").parentElement.open = false;
  }

  /** Whether nothing keeps the data from being sent; where a plan was refused, the upload tells. */
  get isSendable() {
    return this.source !== null && !this.isBusy && (!this.plan?.problem || this.plan.isRefused);
  }

  get isBusy() {
    return this.place.hasAttribute("aria-busy");
  }

  /** Show another source, or more of the one that there is, and ask what would become of it. */
  show(source, { keep = false } = {}) {
    if (!keep) this.forget();
    this.source = source;
    this.place.hidden = false;
    this.part("icon").replaceChildren(icon(source.kind));
    this.part("name").textContent = source.title ?? source.name;
    this.part("size").textContent = source.words ?? readableSize(source.size);
    return this.look();
  }

  /** Say what goes on before there is anything to ask about. */
  wait(words) {
    this.place.hidden = false;
    this.place.setAttribute("aria-busy", "true");
    this.verdict("wait", "clock", words);
    this.changed();
  }

  async look() {
    this.asking?.abort();
    const asking = new AbortController();
    this.asking = asking;
    this.place.setAttribute("aria-busy", "true");
    this.changed();
    const slow = setTimeout(() => this.verdict("wait", "clock", "Looking at your data…"), PATIENCE);
    try {
      const plan = await this.ask(this.source, this.corrections, asking.signal);
      if (this.asking !== asking) return;
      this.plan = plan && whole(plan);
      this.place.removeAttribute("aria-busy");
      this.draw();
      this.changed();
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    } finally {
      clearTimeout(slow);
    }
  }

  correct(corrections) {
    this.steps.push(this.corrections);
    this.corrections = corrections;
    this.look();
  }

  undo() {
    if (this.steps.length === 0) return;
    this.corrections = this.steps.pop();
    this.look();
  }

  // Drawing --------------------------------------------------------------------------------------------

  draw() {
    const focused = document.activeElement?.dataset.key;
    const wasInside = this.place.contains(document.activeElement);
    const plan = this.plan ?? whole(this.source.guess ?? {});
    this.drawVerdict(plan);
    this.drawSuggestions(plan);
    this.drawSaid();
    this.classes.draw(this.part("classes"), plan.classes, this.source.photos ?? new Map());
    this.drawRows(plan);
    this.drawLeftOut(plan);
    this.drawControls(plan);
    if (!wasInside || this.place.contains(document.activeElement)) return;
    const again = focused && this.place.querySelector(`[data-key="${CSS.escape(focused)}"]`);
    (again || this.part("verdict")).focus();
  }

  verdict(kind, name, strong, more = "") {
    const words = make("p", {}, make("strong", { text: strong }), more && ` ${more}`);
    this.part("verdict").className = `note note-${kind}`;
    this.part("verdict").replaceChildren(icon(name), make("div", {}, words));
  }

  drawVerdict(plan) {
    const classes = Object.keys(plan.classes).length;
    const examples = plan.task_type === IMAGES ? counted(plan.examples, "photo") : counted(plan.examples, "sentence");
    const sums = `${counted(classes, "class", "classes")}, ${examples}.`;
    if (this.plan === null) {
      this.verdict("wait", "info", classes > 0 ? sums : "Ready to be sent.", classes > 0 ? "They are looked at when they have arrived." : "What is in it shows when it has arrived.");
    } else if (plan.isRefused) this.verdict("wait", "info", plan.problem);
    else if (plan.problem) this.verdict("stop", "warning", plan.problem);
    else if (classes === 0) this.verdict("wait", "info", "Ready to be sent.");
    else if (this.doubtful(plan).length > 0) this.verdict("wait", "info", sums, "Please have a look:");
    else this.verdict("go", "check", sums, this.isBeginning(plan) ? "The first rows look good." : "Looks good.");
    const notes = plan.problem ? [] : plan.notes;
    const parts = Object.entries(plan.parts).filter(([, count]) => count > 0);
    const names = { train: "training", valid: "validation", test: "test" };
    const split = parts.map(([part, count]) => `${count.toLocaleString("en")} for ${names[part] ?? part}`).join(", ");
    const unread = this.source.unread ?? [];
    const lines = [...notes, split && parts.length > 1 && `Its own split is used: ${split}.`, unread.length > 0 && unreadWords(unread)];
    const list = lines.filter(Boolean).map((text) => make("li", { text }));
    if (list.length > 0) this.part("verdict").lastElementChild.append(make("ul", {}, ...list));
  }

  /** Only the first rows of a table were looked at. */
  isBeginning({ is_complete: isComplete, task_type: task }) {
    return !isComplete && task !== IMAGES;
  }

  /** Suggestions for what is not certain; that there is no heading never is. */
  doubtful({ suggestions }) {
    const isSaid = (key) => key.endsWith("encoding") && key in this.corrections;
    const isDoubt = ([key, value]) =>
      (value !== null && DOUBTS.includes(key) && !isSaid(key)) || (key === "heading" && value === true);
    return suggestions.filter(({ corrections }) => Object.entries(corrections).some(isDoubt));
  }

  /** Offer what is likely to be meant at once, the rest among the controls. */
  drawSuggestions(plan) {
    const near = plan.problem ? plan.suggestions : this.doubtful(plan);
    const far = plan.suggestions.filter((one) => !near.includes(one));
    this.part("suggestions").replaceChildren(...near.map((one) => this.suggestion(one)));
    this.part("more").replaceChildren(...far.map((one) => this.suggestion(one)));
  }

  suggestion({ label, why, corrections }) {
    const button = make("button", {
      type: "button", class: "btn btn-quiet btn-sm", text: label, "data-key": `suggestion ${label}`,
      on: { click: () => this.correct(merged(this.corrections, corrections)) },
    });
    return make("li", {}, button, make("span", { class: "muted small", text: why }));
  }

  drawSaid() {
    const said = wordsOf(this.corrections).map(([words, key, entry]) =>
      make("li", {}, make("span", { class: "break", text: words }), make("button", {
        type: "button", class: "plan-take-back", "aria-label": `Take back: ${words}`, text: "×",
        on: { click: () => this.correct(without(this.corrections, key, entry)) },
      })));
    this.part("said").replaceChildren(...said);
    this.part("corrected").hidden = this.steps.length === 0;
  }

  drawRows({ columns, rows, corrections }) {
    const place = this.part("rows");
    place.hidden = rows.length === 0;
    if (place.hidden) return;
    const head = columns.map((name) => make("th", { scope: "col", text: name, class: this.isUsed(name, corrections) }));
    const body = rows.map((row) => make("tr", {}, ...row.map((text) => make("td", { class: "break", text }))));
    place.querySelector("table").replaceChildren(
      make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body));
  }

  isUsed(name, { input, label }) {
    return name === input || name === label ? "is-used" : null;
  }

  drawLeftOut({ left_out: reasons }) {
    const place = this.part("left");
    const count = reasons.reduce((sum, reason) => sum + reason.count, 0);
    place.hidden = count === 0;
    place.querySelector("summary").textContent = `${count.toLocaleString("en")} left out`;
    place.querySelector("ul").replaceChildren(...reasons.map(({ reason, count: some, names }) => {
      const shown = names.slice(0, NAMES).join(", ") + (some > names.slice(0, NAMES).length ? " …" : "");
      return make("li", {}, make("strong", { text: some.toLocaleString("en") }), ` ${reason}`,
        names.length > 0 && make("span", { class: "muted break", text: `: ${shown}` }));
    }));
  }

  drawControls(plan) {
    const place = this.part("controls");
    place.parentElement.hidden = this.plan === null || !plan.task_type;
    if (place.parentElement.hidden) return;
    const said = (key, value) => this.correct(merged(this.corrections, { [key]: value }));
    place.replaceChildren(drawControls(plan, { isZip: /\.zip$/i.test(this.source.name) && !this.source.entries, said }));
    if (plan.problem && plan.columns.length > 0) place.parentElement.open = true;
  }
}

function unreadWords(unread) {
  const shown = unread.slice(0, NAMES).map(({ path, reason }) => `${path} (${reason})`).join(", ");
  return `${counted(unread.length, "file")} cannot be read and will be left out: ${shown}${unread.length > NAMES ? " …" : ""}`;
}
