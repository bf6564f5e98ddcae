// Keys for the examples of a project. Without this the boxes and buttons do the same.

let at = 0;

const form = () => document.getElementById("data-form");
const examples = () => [...document.querySelectorAll("[data-example]")];
const boxOf = (example) => example.querySelector("input[name=example]");

/** Move the focus to an example, as far as there are any. */
function go(to) {
  const all = examples();
  if (!all.length) return;
  at = Math.min(Math.max(to, 0), all.length - 1);
  boxOf(all[at]).focus();
}

/** Choose the example that has the focus, unless others are chosen. */
function choose() {
  const all = examples();
  if (all.length && !all.some((example) => boxOf(example).checked)) boxOf(all[Math.min(at, all.length - 1)]).checked = true;
}

/** Press a button of the form, for what is chosen or else for the example that has the focus. */
function press(action, label) {
  const here = form();
  if (!here) return;
  choose();
  if (label !== undefined) here.elements.label.value = label;
  here.querySelector(`button[value="${action}"]`).click();
}

function takeBack() {
  document.querySelector("#data-undo button")?.click();
}

/** Let the class be typed that the chosen examples, or else the one that has the focus, shall have. */
function typeClass() {
  choose();
  form()?.querySelector("[data-class]").focus();
}

const KEYS = {
  j: () => go(at + 1),
  k: () => go(at - 1),
  a: () => document.querySelector("[data-all]")?.click(),
  A: () => form()?.querySelector("[name=everything]")?.click(),
  t: () => press("take"),
  c: () => press("keep"),
  e: typeClass,
  s: () => examples()[at]?.querySelector("[data-like]")?.click(),
  x: () => press("exclude"),
  r: () => press("restore"),
  m: () => press("test"),
  u: takeBack,
  n: () => document.querySelector("[data-next]")?.click(),
  "/": () => document.querySelector("#data input[type=search]")?.focus(),
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input:not([type=checkbox]), select, textarea");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (/^[1-9]$/.test(event.key)) {
    const classes = document.getElementById("data-key-classes")?.content.querySelectorAll("data") ?? [];
    const label = classes[Number(event.key) - 1]?.value;
    if (label !== undefined) press("relabel", label);
    return;
  }
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

document.addEventListener("focusin", ({ target }) => {
  const place = examples().findIndex((example) => example.contains(target));
  if (place >= 0) at = place;
});

document.addEventListener("change", ({ target }) => {
  if (!target.matches("[data-all]")) return;
  for (const example of examples()) boxOf(example).checked = target.checked;
});

// Not when other parts of the page are renewed: somebody may be typing.
document.addEventListener("htmx:afterSwap", ({ detail }) => {
  if (detail.target.id === "data") go(at);
});
