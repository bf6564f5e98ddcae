// Asks the server what would become of data, before it is sent: for that the names, or the beginning, are enough.

import { findDirectory } from "./zip.js";

const HEAD = 1_000_000; // bytes of a long table
const MOST_WHOLE = 4 << 20; // bytes of a file that is sent whole only to be looked at
const MOST_TAIL = 64_000_000; // bytes of a zip's list of files
const DELIMITED = /\.(csv|tsv|tab|txt|json|jsonl|ndjson)$/i;
const ZIP = /\.zip$/i;

/** What is sent of a source to be looked at; null when there is too much of it, or it cannot be looked into. */
async function partOf({ name, file, entries }) {
  if (entries) return { name, entries };
  if (file.size <= MOST_WHOLE) return { name, file };
  if (DELIMITED.test(name)) return { name, part: "head", size: file.size, file: file.slice(0, HEAD) };
  const place = ZIP.test(name) ? await findDirectory(file) : null;
  if (place === null || file.size - place.start > MOST_TAIL) return null;
  return { name, part: "tail", size: file.size, file: file.slice(place.start) };
}

/** The plan; {problem, isRefused} when the server says why it makes none, null when there is none to be had. */
export async function askPlan(source, corrections, how) {
  const part = how.address ? await partOf(source) : null;
  if (part === null) return null;
  const said = { ...part, corrections: JSON.stringify(corrections) };
  return post(said, how);
}

async function post(fields, { address, token, signal }) {
  const body = new FormData();
  for (const [key, value] of Object.entries(fields)) {
    if (value instanceof Blob) body.append(key, value, fields.name);
    else body.append(key, value);
  }
  try {
    const headers = { "X-CSRFToken": token, Accept: "application/json" };
    const answer = await fetch(address, { method: "POST", body, headers, signal });
    if (answer.ok) return await answer.json();
    return answer.status === 400 ? { problem: wordsOf(await answer.json()), isRefused: true } : null;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    return null; // not reached, or no JSON: the upload will tell
  }
}

/** The sentences of an error over REST, whichever field they belong to. */
function wordsOf(problem) {
  if (typeof problem === "string") return problem;
  if (Array.isArray(problem)) return problem.map(wordsOf).join(" ");
  return problem.detail ? wordsOf(problem.detail) : Object.values(problem).map(wordsOf).join(" ");
}
