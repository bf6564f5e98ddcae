// Writes and reads the frame of zip files: PKWARE's APPNOTE.TXT, 4.3 and 4.5.3 (ZIP64). Nothing is compressed (photos
// are compressed already). A written zip is a Blob of pieces, of which the browser holds the large ones on disk.

const TABLES = crcTables();
const UTF8_NAMES = 0x0800;
const ENCRYPTED = 0x0001;
const STREAMED = 0x0008; // sizes stand behind the content, too
const NEW_YEAR_1980 = 0x21; // a date that every program can read
const MOST_16 = 0xffff;
const MOST_32 = 0xffffffff; // also says "see the ZIP64 field"
const PLAIN = 20; // version needed
const ZIP64 = 45;
const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END_ZIP64 = 0x06064b50;
const LOCATOR_ZIP64 = 0x07064b50;
const END_LENGTH = 22;
const LOCATOR_LENGTH = 20;
const MOST_COMMENT = 65535;

/** Four tables, so that four bytes are read at a time. */
function crcTables() {
  const tables = [new Uint32Array(256), new Uint32Array(256), new Uint32Array(256), new Uint32Array(256)];
  for (let start = 0; start < 256; start += 1) {
    let value = start;
    for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
    tables[0][start] = value >>> 0;
  }
  for (let start = 0; start < 256; start += 1) {
    for (let table = 1; table < 4; table += 1) {
      const before = tables[table - 1][start];
      tables[table][start] = (tables[0][before & 0xff] ^ (before >>> 8)) >>> 0;
    }
  }
  return tables;
}

/** The CRC-32 of `bytes`, going on from that of the bytes before. */
export function crc32(bytes, before = 0) {
  const [one, two, three, four] = TABLES;
  let crc = ~before;
  let at = 0;
  for (const last = bytes.length - 3; at < last; at += 4) {
    crc ^= bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    crc = four[crc & 0xff] ^ three[(crc >>> 8) & 0xff] ^ two[(crc >>> 16) & 0xff] ^ one[crc >>> 24];
  }
  for (; at < bytes.length; at += 1) crc = one[(crc ^ bytes[at]) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Little-endian numbers of the given widths (2, 4 or 8 bytes) as bytes. */
function pack(...fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [width]) => sum + width, 0)));
  let at = 0;
  for (const [width, value] of fields) {
    if (width === 2) view.setUint16(at, value, true);
    else if (width === 4) view.setUint32(at, value, true);
    else view.setBigUint64(at, BigInt(value), true);
    at += width;
  }
  return new Uint8Array(view.buffer);
}

/** The ZIP64 field of what does not fit into 32 bits; empty when everything does. */
function large(...values) {
  const wide = values.filter((value) => value >= MOST_32);
  return wide.length > 0 ? pack([2, 1], [2, 8 * wide.length], ...wide.map((value) => [8, value])) : new Uint8Array(0);
}

/** Pieces with those that lie side by side in memory as one: a Blob of a thousand costs as many messages. */
function joined(pieces) {
  const found = [];
  let run = [];
  const close = () => {
    const all = new Uint8Array(run.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const piece of run) {
      all.set(piece, at);
      at += piece.length;
    }
    found.push(all);
    run = [];
  };
  for (const piece of pieces) {
    if (piece instanceof Uint8Array) run.push(piece);
    else {
      close();
      found.push(piece);
    }
  }
  close();
  return found;
}

const narrow = (value) => Math.min(value, MOST_32);

export class ZipWriter {
  constructor() {
    this.settled = [];
    this.pieces = [];
    this.waiting = 0; // bytes among them
    this.directory = [];
    this.count = 0;
    this.offset = 0;
    this.length = 0; // of the directory
  }

  /** Add a file whose `content` (bytes or a Blob) is `packed` bytes long; stored unless `method` says otherwise. */
  add({ name, content, crc, size, packed = size, method = 0, flags = 0 }) {
    const bytes = new TextEncoder().encode(name);
    const ahead = large(size, packed).length > 0 ? pack([2, 1], [2, 16], [8, size], [8, packed]) : new Uint8Array(0);
    const behind = large(size, packed, this.offset);
    const described = (extra) => [
      [2, extra.length > 0 ? ZIP64 : PLAIN],
      [2, UTF8_NAMES | (flags & ENCRYPTED)],
      [2, method],
      [2, 0],
      [2, NEW_YEAR_1980],
      [4, crc],
      [4, ahead.length > 0 && extra === ahead ? MOST_32 : narrow(packed)],
      [4, ahead.length > 0 && extra === ahead ? MOST_32 : narrow(size)],
      [2, bytes.length],
      [2, extra.length],
    ];
    const header = pack([4, LOCAL], ...described(ahead));
    const rest = [[2, 0], [2, 0], [2, 0], [4, 0], [4, narrow(this.offset)]];
    const entry = pack([4, CENTRAL], [2, ZIP64], ...described(behind), ...rest);
    this.pieces.push(header, bytes, ahead, content);
    this.waiting += content instanceof Blob ? 0 : content.length;
    this.directory.push(entry, bytes, behind);
    this.count += 1;
    this.offset += header.length + bytes.length + ahead.length + packed;
    this.length += entry.length + bytes.length + behind.length;
  }

  /** Hand what came since the last call over to the browser, which keeps much of it on disk. */
  settle() {
    this.settled.push(new Blob(joined(this.pieces)));
    this.pieces = [];
    this.waiting = 0;
  }

  /** A writer that goes on from here, while this one stays as it is. */
  copy() {
    const other = Object.assign(new ZipWriter(), this);
    for (const list of ["settled", "pieces", "directory"]) other[list] = [...this[list]];
    return other;
  }

  /** The whole zip. */
  finish() {
    const { count, offset, length } = this;
    const ends = [];
    if (count >= MOST_16 || offset >= MOST_32 || length >= MOST_32) {
      ends.push(
        pack(
          [4, END_ZIP64], [8, 44], [2, ZIP64], [2, ZIP64], [4, 0], [4, 0],
          [8, count], [8, count], [8, length], [8, offset],
        ),
        pack([4, LOCATOR_ZIP64], [4, 0], [8, offset + length], [4, 1]),
      );
    }
    const listed = Math.min(count, MOST_16);
    ends.push(pack([4, END], [2, 0], [2, 0], [2, listed], [2, listed], [4, narrow(length)], [4, narrow(offset)], [2, 0]));
    const rest = joined([...this.pieces, ...this.directory, ...ends]);
    return new Blob([...this.settled, ...rest], { type: "application/zip" });
  }
}

const view = async (blob) => new DataView(await blob.arrayBuffer());

/** Where the list of a zip's files lies: {start, length, shift}; null for what is no zip, or one of several parts. */
export async function findDirectory(file) {
  const from = Math.max(0, file.size - END_LENGTH - MOST_COMMENT - LOCATOR_LENGTH);
  const tail = await view(file.slice(from));
  for (let at = tail.byteLength - END_LENGTH; at >= 0; at -= 1) {
    if (tail.getUint32(at, true) !== END) continue;
    const found = { length: tail.getUint32(at + 12, true), start: tail.getUint32(at + 16, true), shift: 0 };
    const locator = at - LOCATOR_LENGTH;
    if (locator >= 0 && tail.getUint32(locator, true) === LOCATOR_ZIP64) {
      const place = Number(tail.getBigUint64(locator + 8, true));
      const end = await view(file.slice(place, place + 56));
      if (end.byteLength < 56 || end.getUint32(0, true) !== END_ZIP64) return null;
      found.length = Number(end.getBigUint64(40, true));
      found.start = Number(end.getBigUint64(48, true));
    } else {
      found.shift = from + at - found.length - found.start; // by which a program that unpacks itself stands in front
      found.start += found.shift;
    }
    return found.start >= 0 && found.start + found.length <= file.size ? found : null;
  }
  return null;
}

/** The files of a zip as {path, raw}: `raw` is what `ZipWriter.add` takes of them, content not yet unpacked. */
export async function entriesOf(file) {
  const place = await findDirectory(file);
  if (place === null) throw new Error("it is no zip that can be read");
  const directory = await view(file.slice(place.start, place.start + place.length));
  const found = [];
  for (let at = 0; at + 46 <= directory.byteLength && directory.getUint32(at, true) === CENTRAL; ) {
    const [names, extras, comment] = [28, 30, 32].map((field) => directory.getUint16(at + field, true));
    const path = nameOf(new Uint8Array(directory.buffer, at + 46, names));
    const entry = wideOf(directory, at, at + 46 + names, extras);
    if (!path.endsWith("/")) found.push({ path, raw: { ...entry, file, local: entry.offset + place.shift } });
    at += 46 + names + extras + comment;
  }
  return found;
}

function nameOf(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes).replaceAll("\\", "/");
  } catch {
    throw new Error("its names are in a code page; choose it on its own, and name the code page");
  }
}

/** What a record of the directory says of a file, with the numbers of its ZIP64 field. */
function wideOf(directory, at, extra, length) {
  const entry = {
    flags: directory.getUint16(at + 8, true) & ~STREAMED,
    method: directory.getUint16(at + 10, true),
    crc: directory.getUint32(at + 16, true),
    packed: directory.getUint32(at + 20, true),
    size: directory.getUint32(at + 24, true),
    offset: directory.getUint32(at + 42, true),
  };
  for (let field = extra; field + 4 <= extra + length; ) {
    const [kind, bytes] = [directory.getUint16(field, true), directory.getUint16(field + 2, true)];
    let value = field + 4;
    for (const key of kind === 1 ? ["size", "packed", "offset"] : []) {
      if (entry[key] !== MOST_32 || value + 8 > field + 4 + bytes) continue;
      entry[key] = Number(directory.getBigUint64(value, true));
      value += 8;
    }
    field += 4 + bytes;
  }
  return entry;
}

/** The packed content of a file of another zip, as a part of that zip. */
export async function contentOf({ file, local, packed }) {
  const head = await view(file.slice(local, local + 30));
  if (head.byteLength < 30 || head.getUint32(0, true) !== LOCAL) throw new Error("the zip is damaged");
  const start = local + 30 + head.getUint16(26, true) + head.getUint16(28, true);
  return file.slice(start, start + packed);
}
