// Makes elements of a page; words from outside only ever become text.

/** An element with attributes and children; `text` and `on` (listeners by event) are no attributes. */
export function make(tag, { text, on = {}, ...attributes } = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  if (text !== undefined) element.textContent = text;
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  element.append(...children.filter(Boolean));
  return element;
}

/** A copy of an icon that the page brings along. */
export function icon(name) {
  return document.querySelector(`#plan-icons [data-icon="${name}"]`).content.firstElementChild.cloneNode(true);
}

/** "1 photo", "1,200 photos". */
export function counted(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

/** A note with an icon: what was found, and what to do. */
export function note(kind, name, ...content) {
  return make("div", { class: `note note-${kind} note-gap` }, icon(name), make("div", {}, ...content));
}
