// What every page may use: menus that close, buttons that copy, and a word when the server cannot be reached.

const SHOWN_FOR = 1600; // milliseconds

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// A field that cannot be sent may hide in a closed part of the form: open it, so that it can be seen.
document.addEventListener(
  "invalid",
  (event) => {
    const fold = event.target.closest("details:not([open])");
    if (fold) fold.open = true;
  },
  true,
);

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  const text = source.value ?? source.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without HTTPS a browser has no clipboard API: mark the text, so that the keyboard can copy it.
    const range = document.createRange();
    range.selectNodeContents(source);
    const selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    say(button, "Press Ctrl+C");
    return;
  }
  say(button, "Copied");
}

function say(button, words) {
  const label = button.querySelector("[data-copy-label]") ?? button;
  label.dataset.before ??= label.textContent;
  label.textContent = words;
  window.setTimeout(() => {
    label.textContent = label.dataset.before;
  }, SHOWN_FOR);
}

// A session that has ended answers with the sign-in page: go there, and come back to this page afterwards.
document.addEventListener("htmx:beforeSwap", (event) => {
  const answered = new URL(event.detail.xhr.responseURL, window.location.href);
  if (!answered.searchParams.has("next") || answered.pathname === window.location.pathname) return;
  event.detail.shouldSwap = false;
  answered.searchParams.set("next", window.location.pathname + window.location.search);
  window.location.assign(answered);
});

// A form says itself that there is no room; what is refused before it is read is answered with a whole page.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr } = event.detail;
  if (xhr.status !== 413 || /^\s*<!doctype/i.test(xhr.responseText)) return;
  event.detail.shouldSwap = true;
  event.detail.isError = false;
});

function report(words) {
  const place = document.getElementById("connection");
  if (!place) return;
  place.querySelector("p").textContent = words;
  place.hidden = !words;
}

document.addEventListener("htmx:sendError", () => report("The server cannot be reached. Trying again may help."));
document.addEventListener("htmx:responseError", (event) => {
  const status = event.detail.xhr.status;
  if (status === 413) report("The server refuses a request of this size.");
  else if (status === 403) report("Your session has ended. Reload the page and sign in again.");
  else report(`The server answered with an error (${status}). Try again in a moment.`);
});
document.addEventListener("htmx:afterOnLoad", (event) => {
  if (event.detail.xhr.status < 400) report("");
});
