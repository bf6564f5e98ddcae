// Keeps what was filled into a form while its tab is open, so that a reload or a detour forgets nothing.

/** Keep the fields of `form` under `key`, and fill in what was kept before; `left` names fields that are not kept. */
export function keepDraft(form, key, left, { restore }) {
  const fields = () => [...form.elements].filter((field) => field.name && !left.includes(field.name));
  const kept = restore ? recall(key) : null;
  if (kept) {
    for (const field of fields()) {
      const values = kept[field.name] ?? [];
      if (field.type === "checkbox" || field.type === "radio") {
        if (!field.disabled) field.checked = values.includes(field.value);
      } else if (values.length > 0) field.value = values[0];
    }
  }
  form.addEventListener("input", () => {
    const draft = {};
    for (const field of fields()) {
      if ((field.type === "checkbox" || field.type === "radio") && !field.checked) continue;
      (draft[field.name] ??= []).push(field.value);
    }
    remember(key, draft);
  });
}

export function forget(key) {
  try {
    sessionStorage.removeItem(key);
  } catch {
    // A browser that keeps nothing has nothing to forget.
  }
}

export function recall(key) {
  try {
    return JSON.parse(sessionStorage.getItem(key));
  } catch {
    return null;
  }
}

export function remember(key, what) {
  try {
    sessionStorage.setItem(key, JSON.stringify(what));
  } catch {
    // Full or forbidden: the form works without.
  }
}
