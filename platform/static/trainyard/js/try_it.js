// The try-it form: dropped images, their previews beside the predictions, and no second click for images.

import { prepareDropzone } from "./dropzone.js";

const form = document.getElementById("try-it");
const zone = form?.querySelector("[data-dropzone]");
let addresses = [];

function keepPreviews(input) {
  for (const address of addresses) URL.revokeObjectURL(address);
  addresses = [...input.files].map((file) => URL.createObjectURL(file));
}

function showPreviews() {
  for (const image of document.querySelectorAll("img[data-file]")) {
    const address = addresses[Number(image.dataset.file)];
    if (!address) continue;
    // What the browser cannot show (TIFF, for one) is left out, and with it the heat map that lies on it.
    const picture = image.closest("[data-picture]");
    image.addEventListener("error", () => picture.remove(), { once: true });
    image.addEventListener("load", () => (picture.hidden = false), { once: true });
    image.src = address;
  }
}

// Who has switched the heat maps off does not want to do so again with the next photo.
let showHeat = true;

document.addEventListener("change", ({ target }) => {
  if (target.id === "show-heat") showHeat = target.checked;
});

function keepSwitch() {
  const box = document.getElementById("show-heat");
  if (box) box.checked = showHeat;
}

if (zone) {
  const input = zone.querySelector("input[type=file]");
  prepareDropzone(zone, keepPreviews);
  input.addEventListener("change", () => {
    if (input.files.length > 0) form.requestSubmit();
  });
  document.addEventListener("htmx:afterSwap", () => {
    showPreviews();
    keepSwitch();
  });
}

// A sentence is sent by Ctrl+Enter, as in every other box of that kind.
form?.querySelector("textarea")?.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});

for (const example of document.querySelectorAll("[data-example]")) {
  example.addEventListener("click", () => {
    form.querySelector("textarea").value = example.dataset.example;
    form.requestSubmit();
  });
}
