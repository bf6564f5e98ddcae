// The form for a file of inputs: dropped files, and how far the upload is. Without this the form still works.

import { prepareDropzone, readableSize } from "./dropzone.js";

const form = document.getElementById("batch-form");
const bar = document.getElementById("batch-bar");
const words = document.getElementById("batch-words");

function show(loaded, total) {
  bar.hidden = false;
  const sent = loaded >= total;
  words.textContent = sent ? "Checking the file…" : `Uploading… ${readableSize(loaded)} of ${readableSize(total)}`;
  if (sent) bar.removeAttribute("value");
  else bar.value = loaded / total;
}

if (form) {
  prepareDropzone(form.querySelector("[data-dropzone]"));
  form.addEventListener("htmx:xhr:progress", ({ detail }) => {
    if (detail.lengthComputable) show(detail.loaded, detail.total);
  });
  form.addEventListener("htmx:afterRequest", () => {
    bar.hidden = true;
    words.textContent = "";
  });
}
