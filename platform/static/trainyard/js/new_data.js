// The first step of a new model: files of any kind become one upload. What is in them is shown before they are sent.

import { Collection, chosenFiles, dropped, droppedFiles } from "./collection.js";
import { forget, recall, remember } from "./draft.js";
import { describe, prepareDrop, readableSize } from "./dropzone.js";
import { LooseClasses } from "./loose_classes.js";
import { PlanPanel } from "./plan_panel.js";
import { askPlan } from "./plan_request.js";
import { counted } from "./elements.js";

export const UNSENT = "new-model:unsent"; // the classes that were put together and not sent
const IMAGE = /\.(jpe?g|jpe|jfif|png|webp|heic|heif|hif|avif|gif|bmp|tiff?|jp2|j2k|p[bgnp]m|pfm|ico|tga)$/i;
const FOLDERS = "imageclassification";

let panel = null;
let collection = null; // of folders and loose files; null when one file was chosen
let loose = null;
let packing = null; // what is being packed; another value when that was stopped

const form = () => document.getElementById("data-form");
const field = () => document.getElementById("id_file");
const isPhoto = (name) => IMAGE.test(name);
const endingsOf = ({ dataset }) => `${dataset.archives} ${dataset.tables}`.split(" ");
const isWhole = (name) => endingsOf(field()).some((ending) => name.toLowerCase().endsWith(ending));

export function prepareData(step) {
  const zone = step.querySelector("#file-zone");
  if (!zone.dataset.prepared) {
    zone.dataset.prepared = "yes";
    field().multiple = true;
    field().accept += ",image/*,.heic,.heif,.hif,.avif,.jfif,.jp2,.j2k,.pbm,.pgm,.ppm,.pnm,.pfm,.tga";
    prepareZone(zone);
    prepareParts();
    tellWhatIsForgotten(step.querySelector("#forgotten"));
    takeChosen(); // before this script was there
  }
  const folder = step.querySelector("#folder");
  step.querySelector("#choose-folder").addEventListener("click", () => chooseFolder(folder));
  folder.addEventListener("change", () => {
    const files = [...folder.files];
    const name = files[0]?.webkitRelativePath.split("/")[0];
    folder.value = "";
    if (files.length > 0) collect({ name, filed: () => chosenFiles(files) });
  });
  step.querySelector("#upload-stop").addEventListener("click", () => {
    packing = null;
    window.htmx.trigger(form(), "htmx:abort");
    hideUpload();
  });
  // Classes have to be packed before they can be sent.
  form().addEventListener("submit", packFirst, true);
  form().addEventListener("htmx:beforeRequest", () => showUpload("Uploading…", 0));
  form().addEventListener("htmx:afterRequest", hideUpload);
  refresh();
}

function prepareParts() {
  panel = new PlanPanel(document.getElementById("plan"), { ask, changed: refresh });
  loose = new LooseClasses(panel.part("loose"), {
    named: async (group, words) => {
      await collection.ask("name", { group, words });
      if (loose.complaint) refresh();
      else await lookAgain();
    },
    removed: async (group) => {
      forget(UNSENT); // at once: whoever loads the page anew right now wants it to be gone
      collection.looking = null; // what is being looked at has the class in it
      collection.isThinned = true;
      await collection.ask("remove", { group });
      await lookAgain();
    },
  });
  panel.part("over").addEventListener("click", () => {
    startOver();
    field().focus();
  });
}

function ask(source, corrections, signal) {
  const { planUrl } = form().dataset;
  return askPlan(source, corrections, { address: planUrl, token: form().elements.csrfmiddlewaretoken.value, signal });
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
      item.append(strong, `: ${counted(count, "photo")}${examples.length > 0 ? ", " : ""}${examples.join(", ")}${more}`);
      return item;
    }),
  );
}

// Choosing ---------------------------------------------------------------------------------------------

function prepareZone(zone) {
  prepareDrop(zone, async (transfer) => take(await dropped(transfer)));
  // Whoever mends a file and chooses it again chooses something: without this the browser says nothing of it.
  field().addEventListener("click", empty);
  field().addEventListener("change", takeChosen);
}

function takeChosen() {
  if (field().dataset.packed) return;
  take([...field().files].map((file) => ({ name: file.name, isFolder: false, file: async () => file })));
}

/** Let the worker walk through a folder where the browser can hand one over; else its files come all at once. */
async function chooseFolder(input) {
  if (!window.showDirectoryPicker) {
    input.click();
    return;
  }
  try {
    const handle = await window.showDirectoryPicker({ id: "data" });
    await take([{ name: handle.name, isFolder: true, handle }]);
  } catch (error) {
    if (error.name !== "AbortError") input.click();
  }
}

/** Look at one zip or table as it is; put anything else together. */
async function take(things) {
  complain("");
  if (things.length === 0) return;
  const [first] = things;
  const whole = things.filter(({ name, isFolder }) => !isFolder && isWhole(name));
  const zips = things.filter(({ name, isFolder }) => !isFolder && /\.zip$/i.test(name));
  const photos = things.filter(({ name, isFolder }) => isFolder || isPhoto(name));
  if (things.length === 1 && whole.length === 1 && collection === null) await takeFile(await first.file());
  else if (photos.length > 0 || zips.length > 1 || (collection !== null && whole.length > 0)) await takeParts(things);
  else if (whole.length > 1) complain("Choose one table at a time.");
  else complain(`${first.name} is neither a photo nor a ${endingsOf(field()).join(" or ")} file.`);
}

async function takeFile(file) {
  startOver();
  const limit = Number(field().dataset.maxBytes);
  if (file.size === 0) complain(`${file.name} is empty.`);
  else if (file.size > limit) complain(`${file.name} has ${readableSize(file.size)}; the limit is ${readableSize(limit)}.`);
  else {
    put(file);
    const kind = /\.(zip|tar|tgz|gz|bz2)$/i.test(file.name) ? "image" : "text";
    await panel.show({ kind, name: file.name, size: file.size, file });
  }
}

/** Put folders, zips and tables together as they are, and give loose photos a class. */
async function takeParts(things) {
  const tables = things.filter(({ name, isFolder }) => !isFolder && isWhole(name) && !/\.zip$/i.test(name));
  const photos = things.filter(({ name, isFolder }) => !isFolder && isPhoto(name));
  const isClass = photos.length > 0 && tables.length === 0; // else the table has the labels
  const filed = isClass ? things.filter((one) => !photos.includes(one)) : things;
  const name = things.find(({ isFolder }) => isFolder)?.name;
  await collect({ name, filed: filed.length > 0 && sourceOf(filed), loose: isClass && sourceOf(photos), count: photos.length });
}

/** What hands things over: handles to the worker, or files one after the other. */
function sourceOf(things) {
  return things.every(({ handle }) => handle) ? { handles: things.map(({ handle }) => handle) } : () => droppedFiles(things);
}

/** Add to what was collected, and look at all of it. `filed` and `loose` are such sources. */
async function collect({ name, filed, loose: photos, count }) {
  if (collection === null) {
    startOver();
    collection = new Collection(field().dataset.worker);
  }
  const now = collection;
  empty();
  packing = null;
  now.title ||= name;
  const told = ({ listed }) => panel.wait(`Reading the folder… ${listed.toLocaleString("en")} files`);
  const hand = (source, options) =>
    source.handles ? now.walk(source.handles, options) : now.add(source(), options);
  panel.wait("Reading what is there…");
  if (filed) await hand(filed, { told });
  if (photos) {
    const { group, words } = loose.add(count);
    await now.ask("name", { group, words });
    await hand(photos, { group, told });
  }
  if (collection !== now) return;
  await lookAgain();
  if (photos) loose.focusLast();
}

/** Look at all that is there by now. */
async function lookAgain() {
  const now = collection;
  const looking = {};
  now.looking = looking;
  const found = await now.ask("look");
  if (collection !== now || now.looking !== looking) return; // a later look knows more
  if (found.count === 0 && found.unread.length === 0) {
    startOver();
    if (now.isThinned) field().focus(); // whoever removed the last class knows that nothing is left
    else complain("There is no file in it.");
    return;
  }
  const photos = new Map(found.folders.map((folder) => [folder.name, folder.photos]));
  const classes = Object.fromEntries(found.folders.map(({ name, count }) => [name, count]));
  const examples = Object.values(classes).reduce((sum, count) => sum + count, 0);
  now.folders = photos;
  const name = now.title || "photos";
  const words = `${counted(found.count, "file")} · ${readableSize(found.bytes)}`;
  const guess = { task_type: FOLDERS, classes, examples };
  const source = { kind: "folder", title: name, name: `${name}.zip`, words, photos, guess, entries: found.entries, unread: found.unread };
  await panel.show({ ...source, bytes: found.bytes }, { keep: true });
  const limit = Number(field().dataset.maxBytes);
  complain(found.bytes > limit ? `Together they have ${readableSize(found.bytes)}; the limit is ${readableSize(limit)}.` : "");
}

function startOver() {
  collection?.close();
  collection = null;
  packing = null;
  loose.clear();
  panel.forget();
  empty();
  complain("");
  refresh();
}

function put(file) {
  const chosen = new DataTransfer();
  chosen.items.add(file);
  field().dataset.packed = "yes";
  field().files = chosen.files;
  delete field().dataset.packed;
  document.querySelector("[data-chosen]").textContent = describe(field().files);
}

function empty() {
  field().value = "";
  document.querySelector("[data-chosen]").textContent = "";
}

function complain(words) {
  document.getElementById("file-complaint").textContent = words;
}

// Sending ----------------------------------------------------------------------------------------------

/** Show the step as it is: with a plan, one button sends everything. */
function refresh() {
  if (!form() || !panel) return;
  const step = document.getElementById("new-model");
  const button = document.getElementById("send");
  const isShown = !panel.place.hidden;
  step.classList.toggle("has-plan", isShown);
  step.classList.toggle("is-collecting", collection !== null);
  button.hidden = form().querySelector("select[name=input_column]") !== null; // then the columns are asked for
  button.disabled = !panel.isSendable || loose.complaint !== "";
  field().required = !isShown;
  panel.part("complaint").textContent = loose.complaint;
  form().elements.corrections.value = JSON.stringify(panel.corrections);
  form().elements.task_type.value = panel.plan?.task_type ?? "";
  rememberClasses();
}

function rememberClasses() {
  const place = document.getElementById("forgotten");
  if (!panel.place.hidden) place.hidden = true;
  if (collection === null || panel.isBusy) {
    if (place.hidden && collection === null) forget(UNSENT);
    return;
  }
  const classes = Object.entries(panel.plan?.classes ?? panel.source?.guess.classes ?? {});
  remember(
    UNSENT,
    classes.map(([name, count]) => ({
      name,
      count,
      examples: (collection.folders?.get(name) ?? []).map((file) => file.name),
    })),
  );
}

async function packFirst(event) {
  if (collection === null || field().files.length > 0) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const now = { of: collection };
  packing = now;
  showUpload("Packing…", 0);
  const answer = await collection.ask("pack", {}, ({ done, count, bytes, total }) => {
    if (packing !== now) return;
    const words = `Packing… ${done.toLocaleString("en")} of ${counted(count, "file")}, ${readableSize(bytes)}`;
    showUpload(words, total > 0 ? bytes / total : null);
  });
  if (packing !== now) return;
  const limit = Number(field().dataset.maxBytes);
  hideUpload();
  if (answer.unread.length > (panel.source.unread?.length ?? 0)) {
    panel.source.unread = answer.unread;
    panel.draw();
  }
  if (answer.blob.size > limit) {
    complain(`Together they have ${readableSize(answer.blob.size)}; the limit is ${readableSize(limit)}.`);
    return;
  }
  put(new File([answer.blob], panel.source.name, { type: "application/zip" }));
  form().requestSubmit();
}

function showUpload(words, share) {
  document.getElementById("upload").hidden = false;
  document.getElementById("new-model").classList.add("is-sending");
  document.getElementById("upload-words").textContent = words;
  const bar = document.getElementById("upload-bar");
  if (share === null) bar.removeAttribute("value");
  else bar.value = share;
}

function hideUpload() {
  const place = document.getElementById("upload");
  if (place) place.hidden = true;
  document.getElementById("new-model")?.classList.remove("is-sending");
  refresh();
}

document.addEventListener("htmx:xhr:progress", ({ target, detail }) => {
  if (target.id !== "data-form" || !detail.lengthComputable) return;
  const { loaded, total } = detail;
  if (loaded < total) showUpload(`Uploading… ${readableSize(loaded)} of ${readableSize(total)}`, loaded / total);
  else showUpload("Uploaded. Checking the data…", null);
});
