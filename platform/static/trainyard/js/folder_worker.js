// Lists, keeps and reads the files that a person has chosen, and packs them into a zip, beside the page: however many
// there are, the page itself goes on. Reading begins at once, while the person looks at what was found. Small files are
// read many at a time and once; of a large one the zip holds where it lies.

import { ZipWriter, contentOf, crc32, entriesOf } from "./zip.js";

const SMALL = 1 << 20; // bytes; a larger file is read for its checksum, and by the browser when it is sent
const BATCH_BYTES = 4 << 20;
const BATCH_FILES = 256;
const AHEAD = 3; // batches that are being read at a time
const OPENED = 64; // files of a folder that are being opened at a time
const TOLD_EVERY = 100; // milliseconds
const SHOWN = 4; // photos of a folder
const LITTER = /^(\._.*|\.ds_store|thumbs\.db|ehthumbs\.db|desktop\.ini|__macosx|\.ipynb_checkpoints|@eadir)$/i;
const ZIP = /\.zip$/i;
const IMAGE = /\.(jpe?g|jpe|jfif|png|webp|heic|heif|hif|avif|gif|bmp|tiff?|jp2|j2k|p[bgnp]m|pfm|ico|tga)$/i;
// The plan says that they are left out, and they are not worth the way.
const NOT_SENT = /\.(mov|mp4|m4v|avi|mkv|webm|3gp|mp3|wav|m4a|exe|dll|iso|dmg)$/i;

/** Everything that was chosen. */
class Chosen {
  filed = []; // {path, size, file}, or `raw` for what lies in a zip
  grouped = []; // the same with `group`, the number of the class that loose photos become
  groups = new Map(); // what these classes are called
  unread = []; // {path, reason}
  taken = new Set(); // paths in the zip, in small letters
  writer = new ZipWriter();
  next = 0; // of those filed, to be read
  read = 0; // bytes
  reading = null;
}

const chosen = new Chosen();

const isLitter = (path) => path.split("/").some((part) => LITTER.test(part));

/** The path, or one with a number where it is taken. */
function freePath(wanted, taken) {
  const [, stem, suffix] = /^(.*?)(\.[^./]*)?$/s.exec(wanted);
  let path = wanted;
  for (let number = 2; taken.has(path.toLowerCase()); number += 1) path = `${stem} (${number})${suffix ?? ""}`;
  taken.add(path.toLowerCase());
  return path;
}

// Listing ----------------------------------------------------------------------------------------------

/** Take one file; a zip among others is opened. */
async function take(now, path, file, group) {
  if (isLitter(path)) return;
  if (ZIP.test(path)) await open(now, path, file);
  else if (group === undefined) now.filed.push({ path: freePath(path, now.taken), size: file.size, file });
  else if (now.groups.has(group)) now.grouped.push({ path, group, size: file.size, file }); // else it was removed meanwhile
}

async function open(now, path, file) {
  const folder = path.replace(ZIP, "");
  try {
    for (const { path: inner, raw } of await entriesOf(file)) {
      if (isLitter(inner)) continue;
      now.filed.push({ path: freePath(`${folder}/${inner}`, now.taken), size: raw.size, raw });
    }
  } catch ({ message }) {
    now.unread.push({ path, reason: message });
  }
}

async function add(now, { files, group }) {
  for (const { path, file } of files) {
    if (file) await take(now, path, file, group);
    else now.unread.push({ path, reason: "it cannot be opened" });
  }
  readOn(now);
  return {};
}

/** Walk through what handles lead to: files, and folders with everything below them. */
async function walk(now, { handles, group }, tell) {
  let told = 0;
  let found = [];
  for await (const one of opened(filesBelow(handles, ""))) {
    found.push(one);
    if (found.length < BATCH_FILES) continue;
    await add(now, { files: found, group });
    found = [];
    if (performance.now() - told < TOLD_EVERY) continue;
    told = performance.now();
    tell({ listed: now.filed.length + now.grouped.length });
  }
  return add(now, { files: found, group });
}

async function* filesBelow(handles, above) {
  for await (const handle of handles) {
    if (LITTER.test(handle.name)) continue;
    const path = `${above}${handle.name}`;
    if (handle.kind === "file") yield { path, handle };
    else yield* filesBelow(handle.values(), `${path}/`);
  }
}

/** Open files, several at a time. */
async function* opened(found) {
  const running = [];
  for await (const { path, handle } of found) {
    running.push(fileOf(handle).then((file) => ({ path, file })));
    if (running.length >= OPENED) yield await running.shift();
  }
  while (running.length > 0) yield await running.shift();
}

async function fileOf(handle) {
  try {
    return await handle.getFile();
  } catch {
    return null;
  }
}

function name(now, { group, words }) {
  now.groups.set(group, words);
  return {};
}

function remove(now, { group }) {
  now.groups.delete(group);
  now.grouped = now.grouped.filter((item) => item.group !== group);
  return {};
}

/** The folder around the class folders, with "/" behind it; empty where these lie at the top. */
function rootOf(filed) {
  let common = null;
  let isClass = false; // photos lie right in the folder that all have in common
  for (const { path } of filed) {
    if (!IMAGE.test(path)) continue;
    const folders = path.split("/").slice(0, -1);
    common ??= folders;
    const differs = common.findIndex((folder, place) => folder !== folders[place]);
    if (differs >= 0) [common, isClass] = [common.slice(0, differs), false];
    isClass ||= folders.length === common.length;
  }
  const around = isClass ? common.slice(0, -1) : (common ?? []);
  return around.map((folder) => `${folder}/`).join("");
}

/** The loose photos with the paths that they have in the zip: their classes lie beside those of folders. */
function placed({ filed, grouped, groups, taken }) {
  const all = new Set(taken);
  const root = grouped.length > 0 ? rootOf(filed) : "";
  return grouped.map((item) => {
    const path = `${root}${groups.get(item.group).trim()}/${item.path}`;
    return { ...item, path: freePath(path, all) };
  });
}

/** What there is: the entries as JSON, sums, and for each folder how many photos, and the first of them. */
function look(now) {
  const all = [...now.filed, ...placed(now)];
  const folders = new Map();
  let bytes = 0;
  for (const { path, size, file } of all) {
    bytes += size;
    if (!IMAGE.test(path)) continue;
    const key = path.split("/").at(-2) ?? "";
    const folder = folders.get(key) ?? { name: key, count: 0, photos: [] };
    folder.count += 1;
    if (file && folder.photos.length < SHOWN) folder.photos.push(file);
    folders.set(key, folder);
  }
  const entries = JSON.stringify(all.map(({ path, size }) => [path, size]));
  return { entries, count: all.length, bytes, folders: [...folders.values()], unread: now.unread };
}

// Packing ----------------------------------------------------------------------------------------------

/** Read what has not been read, in the background. */
function readOn(now) {
  now.reading ??= readFiled(now).finally(() => {
    now.reading = null;
  });
  return now.reading;
}

async function readFiled(now) {
  for await (const entries of inOrder(batchesOf(now))) {
    write(now.writer, entries, now.unread);
    for (const { size } of entries) now.read += size;
  }
}

function write(writer, entries, left) {
  for (const { reason, ...entry } of entries) {
    if (reason) left.push({ path: entry.name, reason });
    else writer.add(entry);
  }
  writer.settle();
}

/** One zip of everything; what could not be read is left out and listed. */
async function pack(now, what, tell) {
  const loose = placed(now);
  const all = [...now.filed, ...loose].filter(isSent);
  const count = all.length;
  const total = all.reduce((sum, { size }) => sum + size, 0);
  while (now.next < now.filed.length || now.reading) {
    tell({ done: now.writer.count, count, bytes: now.read, total });
    await Promise.race([readOn(now), new Promise((resolve) => setTimeout(resolve, TOLD_EVERY))]);
  }
  const writer = now.writer.copy();
  const unread = [...now.unread];
  for await (const entries of inOrder(batchesOf({ filed: loose, next: 0 }))) {
    write(writer, entries, unread);
    tell({ done: writer.count, count, bytes: now.read, total });
  }
  return { blob: writer.finish(), count: writer.count, unread };
}

const isSent = ({ path }) => !NOT_SENT.test(path);

/** What is read together: small files up to a sum, anything else alone. Moves `next` on. */
function* batchesOf(list) {
  while (list.next < list.filed.length) {
    const batch = [];
    let bytes = 0;
    for (; list.next < list.filed.length && batch.length < BATCH_FILES; list.next += 1) {
      const item = list.filed[list.next];
      if (!isSent(item)) continue;
      const isAlone = item.raw || item.size > SMALL;
      if (batch.length > 0 && (isAlone || bytes + item.size > BATCH_BYTES)) break;
      batch.push(item);
      bytes += item.size;
      if (isAlone) {
        list.next += 1;
        break;
      }
    }
    if (batch.length > 0) yield batch;
  }
}

/** Read some batches ahead, and hand them on one after the other. */
async function* inOrder(batches) {
  const running = [];
  for (const batch of batches) {
    running.push(readTogether(batch));
    if (running.length === AHEAD) yield await running.shift();
  }
  while (running.length > 0) yield await running.shift();
}

async function readTogether(batch) {
  if (batch.length === 1) return [await readOne(batch[0])];
  try {
    const bytes = new Uint8Array(await new Blob(batch.map(({ file }) => file)).arrayBuffer());
    let at = 0;
    return batch.map(({ path, size }) => stored(path, bytes.subarray(at, (at += size))));
  } catch {
    return Promise.all(batch.map(readOne)); // one of them cannot be read: which?
  }
}

const stored = (path, content) => ({ name: path, content, crc: crc32(content), size: content.length });

async function readOne({ path, size, file, raw }) {
  try {
    if (raw) return { ...raw, name: path, content: await contentOf(raw) };
    if (size <= SMALL) return stored(path, new Uint8Array(await file.arrayBuffer()));
    let crc = 0;
    for (let at = 0; at < size; at += BATCH_BYTES) {
      crc = crc32(new Uint8Array(await file.slice(at, at + BATCH_BYTES).arrayBuffer()), crc);
    }
    return { name: path, content: file, crc, size };
  } catch (error) {
    return { name: path, size, reason: whyUnread(error) };
  }
}

function whyUnread({ name: kind, message }) {
  if (kind === "NotFoundError") return "it is not there any more, or not on this device";
  if (kind === "NotReadableError") return "it cannot be opened, or has changed meanwhile";
  return message;
}

// Messages ---------------------------------------------------------------------------------------------

const WORK = { add, walk, name, remove, look, pack };
let before = Promise.resolve();

/** Do one thing after the other. */
self.addEventListener("message", ({ data: { id, work, ...what } }) => {
  before = before.then(async () => {
    try {
      const told = (progress) => self.postMessage({ id, progress });
      self.postMessage({ id, answer: await WORK[work](chosen, what, told) });
    } catch ({ message }) {
      self.postMessage({ id, error: message });
    }
  });
});
