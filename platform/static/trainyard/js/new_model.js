// The page of a new model. The first step is in `new_data.js`; the others sum up what was chosen, show what the preset
// works with, and forget nothing on a reload.

import { forget, keepDraft } from "./draft.js";
import { UNSENT, prepareData } from "./new_data.js";

const LEFT_OUT = ["csrfmiddlewaretoken", "dataset"];

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
