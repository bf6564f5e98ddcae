// A file field that also takes files dropped on it, and says what was chosen. Without this the field still works.

const UNITS = ["bytes", "KB", "MB", "GB"];

export function readableSize(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

export function describe(files) {
  if (files.length === 0) return "";
  const bytes = [...files].reduce((sum, file) => sum + file.size, 0);
  const what = files.length === 1 ? files[0].name : `${files.length} files`;
  return `${what} · ${readableSize(bytes)}`;
}

/** Let `zone` show that something is over it; `taken(transfer)` is called with what was dropped. */
export function prepareDrop(zone, taken) {
  let depth = 0; // of the elements inside that were entered and not left
  const hover = (now) => {
    depth = now;
    zone.classList.toggle("is-over", depth > 0);
  };
  zone.addEventListener("dragenter", (event) => {
    event.preventDefault();
    hover(depth + 1);
  });
  zone.addEventListener("dragleave", () => hover(depth - 1));
  zone.addEventListener("dragover", (event) => event.preventDefault());
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    hover(0);
    taken(event.dataTransfer);
  });
}

/** Make `zone` (an element around a file field) take dropped files; `changed(input)` is called after each choice. */
export function prepareDropzone(zone, changed = () => {}) {
  const input = zone.querySelector("input[type=file]");
  const chosen = zone.querySelector("[data-chosen]");

  const show = () => {
    chosen.textContent = describe(input.files);
    zone.classList.toggle("has-files", input.files.length > 0);
    changed(input);
  };
  prepareDrop(zone, (transfer) => {
    const dropped = new DataTransfer();
    const files = [...transfer.files];
    for (const file of input.multiple ? files : files.slice(0, 1)) dropped.items.add(file);
    if (dropped.files.length === 0) return;
    input.files = dropped.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });
  input.addEventListener("change", show);
  show();
}
