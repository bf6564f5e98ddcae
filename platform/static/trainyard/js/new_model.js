// The page of a new model. First step: files of any kind become one upload, which starts by itself.
// Then: sums up what was chosen, shows what the preset works with, and forgets nothing on a reload.

import { ClassBuilder, filesOf, isPhoto } from "./class_builder.js";
import { forget, keepDraft, recall, remember } from "./draft.js";
import { describe, readableSize } from "./dropzone.js";

const LEFT_OUT = ["csrfmiddlewaretoken", "dataset"];
const UNSENT = "new-model:unsent"; // the classes that were put together and not sent

// Data -------------------------------------------------------------------------------------------------

let builder = null;

function prepareData(step) {
  const form = step.querySelector("#data-form");
  const zone = form.querySelector("#file-zone");
  const input = zone.querySelector("input");
  if (!zone.dataset.prepared) {
    zone.dataset.prepared = "yes";
    input.multiple = true;
    input.accept += ",image/*,.heic,.heif,.hif,.avif,.jfif,.jp2,.j2k,.pbm,.pgm,.ppm,.pnm,.pfm,.tga";
    prepareZone(zone, input);
    builder = new ClassBuilder(form.querySelector("#classes"), showBuilder);
    tellWhatIsForgotten(form.querySelector("#forgotten"));
  }
  const folder = form.querySelector("#folder");
  form.querySelector("#choose-folder").addEventListener("click", () => folder.click());
  folder.addEventListener("change", () => {
    const files = [...folder.files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
    folder.value = "";
    take(files, input);
  });
  form.querySelector("#upload-stop").addEventListener("click", () => {
    window.htmx.trigger(form, "htmx:abort");
    hideUpload();
  });
  // Classes have to be packed before they can be sent.
  form.addEventListener("submit", packFirst, true);
  form.addEventListener("htmx:beforeRequest", () => showUpload("Uploading…", 0));
  form.addEventListener("htmx:afterRequest", hideUpload);
  showBuilder();
}

/** A browser forgets files when the page is left or loaded anew: say which they were. */
function tellWhatIsForgotten(place) {
  const classes = recall(UNSENT) ?? [];
  place.hidden = classes.length === 0;
  place.querySelector("ul").replaceChildren(
    ...classes.map(({ name, count, examples }) => {
      const item = document.createElement("li");
      const strong = document.createElement("strong");
      strong.textContent = name;
      const more = count > examples.length ? " …" : "";
      item.append(strong, `: ${count === 1 ? "1 photo" : `${count} photos`}, ${examples.join(", ")}${more}`);
      return item;
    }),
  );
}

function prepareZone(zone, input) {
  let depth = 0;
  const hover = (step) => {
    depth = step === 0 ? 0 : depth + step;
    zone.classList.toggle("is-over", depth > 0);
  };
  zone.addEventListener("dragenter", (event) => {
    event.preventDefault();
    hover(1);
  });
  zone.addEventListener("dragleave", () => hover(-1));
  zone.addEventListener("dragover", (event) => event.preventDefault());
  zone.addEventListener("drop", async (event) => {
    event.preventDefault();
    hover(0);
    take(await filesOf(event.dataTransfer), input);
  });
  // Whoever mends a file and chooses it again chooses something: without this the browser says nothing of it.
  input.addEventListener("click", () => empty(input));
  input.addEventListener("change", () => {
    if (input.dataset.packed) return;
    take([...input.files].map((file) => ({ path: file.name, file })), input);
  });
}

/** Send a zip or a table at once; put photos into classes. */
function take(files, input) {
  const endings = `${input.dataset.archives} ${input.dataset.tables}`.split(" ");
  const whole = files.filter(({ file }) => endings.some((ending) => file.name.toLowerCase().endsWith(ending)));
  const photos = files.filter(({ path, file }) => path.includes("/") || isPhoto(file));
  complain("");
  if (whole.length === 1 && files.length === 1) {
    input.form.querySelector("#forgotten").hidden = true;
    builder.clear();
    put(input, whole[0].file);
    send(input);
  } else if (photos.length > 0) {
    builder.add(files);
    empty(input);
  } else if (files.length > 0) {
    empty(input);
    const name = files[0].file.name;
    complain(
      whole.length > 1
        ? "Choose one zip or one table at a time."
        : `${name} is neither a photo nor a ${endings.join(" or ")} file.`,
    );
  }
}

function put(input, file) {
  const chosen = new DataTransfer();
  chosen.items.add(file);
  input.dataset.packed = "yes";
  input.files = chosen.files;
  delete input.dataset.packed;
  document.querySelector("[data-chosen]").textContent = describe(input.files);
  document.getElementById("file-zone").classList.add("has-files");
}

function empty(input) {
  input.value = "";
  document.querySelector("[data-chosen]").textContent = "";
  document.getElementById("file-zone").classList.remove("has-files");
}

/** Say at once what the server would say only after the upload, or begin with it. */
function send(input) {
  const [file] = input.files;
  const limit = Number(input.dataset.maxBytes);
  if (file.size === 0) complain(`${file.name} is empty.`);
  else if (file.size > limit) complain(`${file.name} has ${readableSize(file.size)}; the limit is ${readableSize(limit)}.`);
  else {
    // The columns that were asked for belong to the file before.
    for (const select of input.form.querySelectorAll("select")) select.value = "";
    input.form.requestSubmit();
  }
}

function complain(words) {
  document.getElementById("file-complaint").textContent = words;
}

/** Offer to send what does not send itself: classes, and a file whose upload was stopped or refused. */
function showBuilder() {
  const form = document.getElementById("data-form");
  if (!form || !builder) return;
  const button = form.querySelector("#check");
  const input = form.querySelector("#id_file");
  const some = builder.classes.length > 0;
  const again = !some && input.files.length > 0;
  const forgotten = form.querySelector("#forgotten");
  if (some) {
    remember(UNSENT, builder.summary);
    forgotten.hidden = true;
  } else if (forgotten.hidden) forget(UNSENT);
  input.required = !some;
  if (some) empty(input); // what was packed before is not what there is now
  button.dataset.before ??= button.textContent;
  button.classList.toggle("is-wanted", some || again);
  button.disabled = some && builder.complaint !== "";
  if (some) button.textContent = `Check these ${builder.count} photos`;
  else button.textContent = again && !form.querySelector("select") ? "Check it again" : button.dataset.before;
}

async function packFirst(event) {
  const form = event.currentTarget;
  if (!builder || builder.classes.length === 0) return;
  const input = form.querySelector("#id_file");
  if (input.files.length > 0) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  showUpload("Packing…", 0);
  const file = await builder.pack((done, all) => showUpload(`Packing… ${done} of ${all} photos`, done / all));
  put(input, file);
  if (file.size > Number(input.dataset.maxBytes)) {
    hideUpload();
    empty(input);
    complain(`Together they have ${readableSize(file.size)}; the limit is ${readableSize(Number(input.dataset.maxBytes))}.`);
    return;
  }
  form.requestSubmit();
}

function showUpload(words, share) {
  document.getElementById("upload").hidden = false;
  document.getElementById("upload-words").textContent = words;
  const bar = document.getElementById("upload-bar");
  if (share === null) bar.removeAttribute("value");
  else bar.value = share;
}

function hideUpload() {
  const place = document.getElementById("upload");
  if (place) place.hidden = true;
  showBuilder();
}

document.addEventListener("htmx:xhr:progress", ({ target, detail }) => {
  if (target.id !== "data-form" || !detail.lengthComputable) return;
  const { loaded, total } = detail;
  if (loaded < total) showUpload(`Uploading… ${readableSize(loaded)} of ${readableSize(total)}`, loaded / total);
  else showUpload("Uploaded. Checking the data…", null);
});

// Model, review -----------------------------------------------------------------------------------------

function prepareModel(form) {
  forget(UNSENT);
  const key = `new-model:${window.location.search}`;
  keepDraft(form, key, LEFT_OUT, { restore: !form.hasAttribute("data-failed") });
  form.addEventListener("input", () => refresh(form));
  form.addEventListener("htmx:beforeOnLoad", ({ detail }) => {
    if (detail.xhr.getResponseHeader("HX-Redirect")) forget(key);
  });
  refresh(form);
}

function refresh(form) {
  for (const part of form.querySelectorAll("[data-with]")) {
    part.hidden = !form.querySelector(`#id_${part.dataset.with}`).checked;
  }
  const preset = form.querySelector("input[name=strategy]:checked");
  for (const part of form.querySelectorAll("[data-strategy]")) part.hidden = part.dataset.strategy !== preset?.value;
  for (const part of form.querySelectorAll("[data-not-strategies]")) {
    part.hidden = part.dataset.notStrategies.split(" ").includes(preset?.value);
  }
  for (const option of form.querySelectorAll("option[data-not-for]")) {
    const reason = JSON.parse(option.dataset.notFor)[preset?.value];
    option.disabled = reason !== undefined;
    option.title = reason ?? "";
    if (option.disabled && option.selected) option.closest("select").value = "";
  }
  if (preset) showDefaults(form, JSON.parse(preset.dataset.defaults));
  sumUp(form, preset);
}

/** Say in every field that is left to the preset what the preset works with. */
function showDefaults(form, defaults) {
  for (const [name, value] of Object.entries(defaults)) {
    const field = form.querySelector(`#id_${name}`);
    if (field.tagName === "SELECT") field.options[0].textContent = `Default: ${value}`;
    else field.placeholder = `Default: ${value}`;
  }
}

function sumUp(form, preset) {
  const show = (name, words) => {
    const place = form.querySelector(`[data-sum="${name}"]`);
    if (place.textContent !== words) place.textContent = words || "–";
    return place;
  };
  show("name", form.querySelector("#id_name").value.trim());
  show("preset", preset?.dataset.label);
  show("expected", preset?.dataset.expected);
  const percent = Number(form.querySelector("#id_train_percent").value);
  const examples = Number(form.querySelector('[data-sum="split"]').dataset.examples);
  const learned = Math.round((examples * percent) / 100);
  show("split", percent > 0 && percent < 100 ? `${learned} for training, ${examples - learned} for validation` : "");
}

// Both --------------------------------------------------------------------------------------------------

function prepare() {
  const step = document.getElementById("new-model");
  // The form has a field of the name "dataset", which is what its property of that name is, too.
  if (!step || step.hasAttribute("data-prepared")) return;
  step.setAttribute("data-prepared", "yes");
  const name = step.getAttribute("data-step");
  if (name === "data") prepareData(step);
  else if (name === "model") prepareModel(step);
  else forget(UNSENT); // what was packed has arrived
  for (const error of step.querySelectorAll("details [id$=_error]")) error.closest("details").open = true;
  step.querySelector("[data-form-errors]")?.focus();
}

document.addEventListener("htmx:afterSettle", prepare);
prepare();
