// The form of a new model: shows what belongs to the chosen task, sums up what was chosen, shows the upload.

import { describe, prepareDropzone, readableSize } from "./dropzone.js";

const SENDS = "Uploading…";
const CHECKS = "Checking your data…";
const TASKS = ["imageclassification", "textclassification"];

/** The endings of the files that a task takes. */
function endingsOf(input, task) {
  return (input.getAttribute(`data-suffixes-${task}`) ?? "").split(" ").filter(Boolean);
}

function prepare(form) {
  const input = form.querySelector("#id_file");
  const zone = form.querySelector("[data-dropzone]");
  if (!zone.dataset.prepared) {
    zone.dataset.prepared = "yes";
    prepareDropzone(zone);
  }
  form.addEventListener("input", () => refresh(form));
  form.addEventListener("change", (event) => {
    if (event.target === input) follow(form, input);
    refresh(form);
  });
  refresh(form);
  if (form.dataset.failed !== undefined) {
    for (const error of form.querySelectorAll("details [id$=_error]")) error.closest("details").open = true;
    form.querySelector("[data-form-errors]").focus();
  }
}

/** What a file says by itself need not be filled in: the task by its ending, and a name to begin with. */
function follow(form, input) {
  const [file] = input.files;
  if (!file) return;
  const ending = file.name.toLowerCase().match(/\.[^.]+$/)?.[0];
  const task = TASKS.find((one) => endingsOf(input, one).includes(ending));
  if (task) form.querySelector(`input[name=task_type][value=${task}]`).checked = true;
  const name = form.querySelector("#id_name");
  if (!name.value) {
    const words = file.name.replace(/\.[^.]+$/, "").replace(/[^\p{L}\p{N} -]+/gu, " ").trim();
    name.value = words.charAt(0).toUpperCase() + words.slice(1, 100);
  }
}

function value(form, name) {
  return new FormData(form).get(name) ?? "";
}

function refresh(form) {
  const task = value(form, "task_type");
  const file = form.querySelector("#id_file");
  for (const part of form.querySelectorAll("[data-task]")) {
    part.hidden = task !== "" && part.dataset.task !== task;
  }
  for (const part of form.querySelectorAll("[data-with]")) {
    part.hidden = !form.querySelector(`#id_${part.dataset.with}`).checked;
  }
  offer(form, task);
  complain(file, task);
  sumUp(form, task, file);
}

/** Switch off what this machine cannot do for the chosen task, and show what concerns the chosen preset. */
function offer(form, task) {
  for (const face of form.querySelectorAll(".choice:has([name=strategy])")) {
    const radio = face.querySelector("input");
    radio.disabled = face.querySelector(`[data-missing][data-task="${task}"]`) !== null;
    if (radio.disabled && radio.checked) form.querySelector("[name=strategy]:not([disabled])").checked = true;
  }
  const strategy = value(form, "strategy");
  for (const part of form.querySelectorAll("[data-strategy]")) part.hidden = part.dataset.strategy !== strategy;
  for (const option of form.querySelectorAll("option[data-not-for]")) {
    const reason = JSON.parse(option.dataset.notFor)[strategy];
    option.disabled = reason !== undefined;
    option.title = reason ?? "";
    if (option.disabled && option.selected) option.closest("select").value = "";
  }
}

/** Say at once what the server would say only after the upload. */
function complain(file, task) {
  const wanted = endingsOf(file, task);
  const [chosen] = file.files;
  const limit = Number(file.dataset.maxBytes);
  let words = "";
  if (chosen && task && !wanted.some((ending) => chosen.name.toLowerCase().endsWith(ending))) {
    words = `${chosen.name} is not a ${wanted.join(" or ")} file.`;
  } else if (chosen && chosen.size > limit) {
    words = `${chosen.name} has ${readableSize(chosen.size)}; the limit is ${readableSize(limit)}.`;
  } else if (chosen && chosen.size === 0) {
    words = `${chosen.name} is empty.`;
  }
  file.setCustomValidity(words);
  document.getElementById("file-complaint").textContent = words;
}

function sumUp(form, task, file) {
  const show = (name, words) => {
    form.querySelector(`[data-sum="${name}"]`).textContent = words || "–";
  };
  const checked = (name) => form.querySelector(`input[name="${name}"]:checked`);
  const percent = Number(value(form, "train_percent"));
  show("task", checked("task_type")?.dataset.label);
  show("name", value(form, "name").trim());
  show("file", describe(file.files));
  show("preset", checked("strategy")?.dataset.label);
  show("split", percent > 0 && percent < 100 ? `${percent} : ${100 - percent}` : "");
}

document.addEventListener("htmx:xhr:progress", (event) => {
  const bar = document.getElementById("upload-bar");
  if (!bar || !event.detail.lengthComputable) return;
  const { loaded, total } = event.detail;
  document.getElementById("upload").hidden = false;
  const done = loaded >= total;
  document.getElementById("upload-words").textContent = done
    ? CHECKS
    : `${SENDS} ${readableSize(loaded)} of ${readableSize(total)}`;
  if (done) bar.removeAttribute("value");
  else bar.value = loaded / total;
});

const start = () => {
  const form = document.getElementById("new-model");
  if (form && !form.dataset.prepared) {
    form.dataset.prepared = "yes";
    prepare(form);
  }
};
document.addEventListener("htmx:afterSettle", start);
start();
