// The files that were chosen one by one, as folders or in zips, as the page sees them: a worker keeps and packs them.

const AT_A_TIME = 64; // files that are handed over before the page may do something else; each takes a moment

/** Let the page draw and answer. */
const breathe = () => new Promise((resolve) => setTimeout(resolve));

/** Every file of what a picker gave, as {path, file}. */
export function* chosenFiles(list) {
  for (const file of list) yield { path: file.webkitRelativePath || file.name, file };
}

/** What was dropped, as {name, isFolder, handle, entry, file()}: all that has to be asked for during the event. */
export async function dropped(transfer) {
  const items = [...transfer.items].filter(({ kind }) => kind === "file");
  const entries = items.map((item) => item.webkitGetAsEntry?.());
  const handles = items.map((item) => item.getAsFileSystemHandle?.().catch(() => null));
  const found = [];
  for (const [place, entry] of entries.entries()) {
    const handle = await handles[place];
    if (handle) found.push({ name: handle.name, isFolder: handle.kind === "directory", handle, file: () => handle.getFile() });
    else if (entry) found.push({ name: entry.name, isFolder: entry.isDirectory, entry, file: () => fileOf(entry) });
  }
  if (found.length === items.length) return found;
  return [...transfer.files].map((file) => ({ name: file.name, isFolder: false, file: async () => file }));
}

/** Every file of what was dropped where there are no handles, as {path, file}; folders are walked through. */
export async function* droppedFiles(things) {
  for (const { name, entry, file } of things) {
    if (entry) yield* walk(entry);
    else yield { path: name, file: await file() };
  }
}

async function* walk(entry) {
  const path = entry.fullPath.replace(/^\//, "");
  if (entry.isFile) {
    yield { path, file: await fileOf(entry) };
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const one of some) yield* walk(one);
  }
}

/** A file that was dropped; null when it cannot be opened. */
function fileOf(entry) {
  return new Promise((resolve) => entry.file(resolve, () => resolve(null)));
}

export class Collection {
  constructor(address) {
    this.worker = new Worker(address, { type: "module" });
    this.waiting = new Map();
    this.asked = 0;
    this.looking = null; // the last look at all of it; one that is not it any more shows nothing
    this.isThinned = false; // whether somebody has removed something
    this.worker.addEventListener("message", ({ data }) => this.hear(data));
  }

  hear({ id, progress, answer, error }) {
    const { resolve, reject, told } = this.waiting.get(id);
    if (progress) {
      told(progress);
      return;
    }
    this.waiting.delete(id);
    if (error === undefined) resolve(answer);
    else reject(new Error(error));
  }

  ask(work, what = {}, told = () => {}) {
    this.asked += 1;
    const id = this.asked;
    this.worker.postMessage({ id, work, ...what });
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject, told }));
  }

  /** Hand over what `chosenFiles` or `droppedFiles` gave, some at a time; `told({listed})` is called now and then. */
  async add(files, { group, told = () => {} } = {}) {
    let some = [];
    let listed = 0;
    for await (const one of files) {
      some.push(one);
      listed += 1;
      if (some.length < AT_A_TIME) continue;
      await this.ask("add", { files: some, group });
      some = [];
      told({ listed });
      await breathe();
    }
    return this.ask("add", { files: some, group });
  }

  /** Let the worker walk through folders on its own. */
  walk(handles, { group, told } = {}) {
    return this.ask("walk", { handles, group }, told);
  }

  /** Forget everything, and end what goes on with it; nobody is answered any more. */
  close() {
    this.worker.terminate();
    this.waiting.clear();
  }
}
