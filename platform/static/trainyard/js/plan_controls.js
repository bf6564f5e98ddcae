// The plain controls of a plan: each says one thing against the guess, or leaves it to the guess.

import { make } from "./elements.js";

const SEPARATORS = [[",", "Comma"], [";", "Semicolon"], ["\t", "Tab"], ["|", "Pipe |"]];
const ENCODINGS = [
  ["utf-8", "UTF-8"], ["utf-16", "UTF-16"], ["cp1252", "Western European (1252)"], ["cp1250", "Central European (1250)"],
  ["cp1251", "Cyrillic (1251)"], ["cp1253", "Greek (1253)"], ["cp1254", "Turkish (1254)"], ["cp1255", "Hebrew (1255)"],
  ["cp1256", "Arabic (1256)"], ["gb18030", "Chinese (GB 18030)"], ["big5", "Chinese (Big5)"],
  ["cp932", "Japanese (Shift JIS)"], ["cp949", "Korean (949)"],
];
const NAME_ENCODINGS = [
  ["utf-8", "UTF-8"], ["cp437", "English, DOS (437)"], ["cp850", "Western European, DOS (850)"],
  ["cp1252", "Western European (1252)"], ["cp852", "Central European, DOS (852)"], ["cp866", "Cyrillic, DOS (866)"],
  ["cp1251", "Cyrillic (1251)"], ["gbk", "Chinese (GBK)"], ["big5", "Chinese (Big5)"],
  ["cp932", "Japanese (Shift JIS)"], ["cp949", "Korean (949)"],
];
const HEADING = [[true, "Names of the columns"], [false, "An example"]];
const SPLIT = [[true, "The split of the data"], [false, "Classes, or no matter"]];
const LEVEL_NAMES = 3;

const namedBy = (names) => names.map((name) => [name, name]);

/** What can be said of images. */
function imageControls({ levels, parts, tables, columns, labels_from: labelsFrom, corrections }, isZip) {
  const named = levels.map((names, place) => {
    const more = names.length > LEVEL_NAMES ? " …" : "";
    return [place + 1, `${names.slice(0, LEVEL_NAMES).join(", ")}${more}`];
  });
  return [
    named.length > 1 && { key: "class_level", label: "Folders that are the classes", choices: named },
    (Object.keys(parts).length > 1 || corrections.use_split !== undefined) && {
      key: "use_split", label: "Folders train, valid, test are", choices: SPLIT,
    },
    (tables.length > 0 || corrections.labels_from !== undefined) && {
      key: "labels_from", label: "Labels come from", found: labelsFrom || "the folders",
      choices: [["folders", "The folders"], ...namedBy(tables)],
    },
    (columns.length > 0 || corrections.label !== undefined) && {
      key: "label", label: "Column of the labels", choices: namedBy(columns),
    },
    isZip && { key: "name_encoding", label: "Names in the zip are in", choices: NAME_ENCODINGS },
  ];
}

/** What can be said of a table. */
function tableControls({ columns, separator, encoding, heading, sheet, sheets, members, parts, corrections }) {
  const named = namedBy(columns);
  const isSplit = Object.keys(parts).length > 1 || corrections.split !== undefined;
  const isText = separator !== "" || encoding !== "";
  const isKnown = (choices, value) => choices.find(([one]) => one === value)?.[1] ?? value;
  return [
    (members.length > 0 || corrections.member) && { key: "member", label: "Table of the zip", choices: namedBy(members) },
    (sheets.length > 0 || corrections.sheet) && {
      key: "sheet", label: "Sheet of the workbook", choices: namedBy([sheet, ...sheets].filter(Boolean)), found: sheet,
    },
    named.length > 0 && { key: "input", label: "Column of the sentences", choices: named },
    named.length > 0 && { key: "label", label: "Column of the labels", choices: named },
    isText && { key: "separator", label: "Fields are separated by", choices: SEPARATORS, found: isKnown(SEPARATORS, separator) },
    isText && { key: "encoding", label: "Text is in", choices: ENCODINGS, found: isKnown(ENCODINGS, encoding) },
    (columns.length > 0 || corrections.heading !== undefined) && {
      key: "heading", label: "The first row is", choices: HEADING, found: isKnown(HEADING, heading),
    },
    isSplit && { key: "split", label: "Column of training, validation and test", choices: [["", "None"], ...named] },
  ];
}

/** The fields of a plan; `said(key, value)` is called with null for what is left to the guess. */
export function drawControls(plan, { isZip, said }) {
  const isImages = plan.task_type === "imageclassification";
  const controls = isImages ? imageControls(plan, isZip) : tableControls(plan);
  const fields = controls.filter(Boolean).map((control) => drawChoice(control, plan.corrections[control.key], said));
  return make("div", { class: "plan-fields" }, ...fields, drawLeast(plan.corrections.min_examples, said));
}

function drawChoice({ key, label, choices, found }, value, said) {
  const chosen = JSON.stringify(value);
  const options = choices.map(([one, words]) => {
    const written = JSON.stringify(one);
    return make("option", { value: written, text: words, selected: written === chosen });
  });
  const open = make("option", { value: "null", text: found ? `Recognised: ${found}` : "Recognised by itself" });
  const select = make("select", {
    class: "form-select", id: `plan-${key}`, "data-key": key,
    on: { change: ({ target }) => said(key, JSON.parse(target.value)) },
  }, open, ...options);
  return make("div", {}, make("label", { class: "form-label", for: select.id, text: label }), select);
}

function drawLeast(value, said) {
  const field = make("input", {
    class: "form-control", id: "plan-min_examples", "data-key": "min_examples", type: "number", min: 2, step: 1,
    inputmode: "numeric", placeholder: "None", value,
    on: {
      change: ({ target }) => target.validity.valid && said("min_examples", target.value ? Number(target.value) : null),
      keydown: (event) => {
        if (event.key !== "Enter") return;
        event.preventDefault();
        event.target.blur();
      },
    },
  });
  const label = make("label", { class: "form-label", for: field.id, text: "Leave out classes with fewer examples than" });
  return make("div", {}, label, field);
}

/** What was said, in words, as [words, key, entry] each. */
export function wordsOf(corrections) {
  const words = [];
  for (const [key, value] of Object.entries(corrections)) {
    if (key === "merge") for (const [old, now] of Object.entries(value)) words.push([`“${old}” is “${now}”`, key, old]);
    else if (key === "leave_out") for (const name of value) words.push([`Without “${name}”`, key, name]);
    else words.push([SENTENCES[key]?.(value) ?? `${key}: ${value}`, key]);
  }
  return words;
}

const nameIn = (choices, value) => choices.find(([one]) => one === value)?.[1] ?? value;
const SENTENCES = {
  class_level: (level) => `Classes are the folders of level ${level}`,
  use_split: (used) => (used ? "Own split is used" : "Own split is not used"),
  labels_from: (file) => (file === "folders" ? "Labels from the folders" : `Labels from ${file}`),
  name_encoding: (name) => `Names in ${nameIn(NAME_ENCODINGS, name)}`,
  min_examples: (least) => `At least ${least} examples a class`,
  separator: (one) => `Separator: ${nameIn(SEPARATORS, one)}`,
  encoding: (name) => `Text in ${nameIn(ENCODINGS, name)}`,
  heading: (is) => (is ? "First row names the columns" : "First row is an example"),
  sheet: (name) => `Sheet: ${name}`,
  member: (name) => `File: ${name}`,
  input: (name) => `Sentences from “${name}”`,
  label: (name) => `Labels from “${name}”`,
  split: (name) => (name ? `Split from “${name}”` : "No column is the split"),
  group: (name) => `Kept together by ${name}`,
};
