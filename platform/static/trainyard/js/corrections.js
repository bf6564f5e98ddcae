// What a person says against the guess: plain data, of which each step can be undone.

/** `said` with a patch: what is there is replaced, null takes a key away. */
export function merged(said, patch) {
  const all = Object.entries({ ...said, ...patch });
  return Object.fromEntries(all.filter(([, value]) => value !== null && !isEmpty(value)));
}

const isEmpty = (value) => typeof value === "object" && Object.keys(value).length === 0;

/** `said` with a class called otherwise: whatever was called as it before goes along. */
export function renamed(said, from, to) {
  const merge = { ...said.merge, [from]: to };
  for (const [old, now] of Object.entries(merge)) {
    if (now === from) merge[old] = to;
    if (merge[old] === old) delete merge[old];
  }
  return merged(said, { merge, leave_out: (said.leave_out ?? []).filter((name) => name !== to) });
}

/** `said` with a class left out, by the name that it has now. */
export function withoutClass(said, name) {
  return merged(said, { leave_out: [...(said.leave_out ?? []), name] });
}

/** `said` without one thing that was said: a key, or one entry of `merge` or of `leave_out`. */
export function without(said, key, entry) {
  if (entry === undefined) return merged(said, { [key]: null });
  if (key === "leave_out") return merged(said, { leave_out: said.leave_out.filter((name) => name !== entry) });
  const { [entry]: _, ...merge } = said.merge;
  return merged(said, { merge });
}
