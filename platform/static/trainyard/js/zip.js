// Packs files into a zip without compressing them (photos are compressed already), in the memory of one at a time:
// the browser reads the rest from disk when it sends them. The format: PKWARE's APPNOTE.TXT, 4.3.

const TABLE = Uint32Array.from({ length: 256 }, (_, start) => {
  let value = start;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value >>> 0;
});

export const MOST_FILES = 65535; // more would need ZIP64
const UTF8_NAMES = 0x0800;
const VERSION = 20;
const NEW_YEAR_1980 = 0x21; // a date that every program can read

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** Little-endian numbers of the given widths (2 or 4 bytes) as bytes. */
function pack(...fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [width]) => sum + width, 0)));
  let at = 0;
  for (const [width, value] of fields) {
    if (width === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += width;
  }
  return view.buffer;
}

/** What both headers of a file hold in the same order. */
function common(name, file, crc) {
  return [
    [2, VERSION],
    [2, UTF8_NAMES],
    [2, 0],
    [2, 0],
    [2, NEW_YEAR_1980],
    [4, crc],
    [4, file.size],
    [4, file.size],
    [2, name.length],
    [2, 0],
  ];
}

/** A zip of `entries` ({name, file}); `told(done)` is called after each file. */
export async function zip(entries, told = () => {}) {
  const pieces = [];
  const directory = [];
  let offset = 0;
  let length = 0;
  for (const [index, { name, file }] of entries.entries()) {
    const bytes = new TextEncoder().encode(name);
    const fields = common(bytes, file, crc32(new Uint8Array(await file.arrayBuffer())));
    const header = pack([4, 0x04034b50], ...fields);
    pieces.push(header, bytes, file);
    const entry = pack([4, 0x02014b50], [2, VERSION], ...fields, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]);
    directory.push(entry, bytes);
    offset += header.byteLength + bytes.length + file.size;
    length += entry.byteLength + bytes.length;
    told(index + 1);
  }
  const count = entries.length;
  const end = pack([4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, length], [4, offset], [2, 0]);
  return new Blob([...pieces, ...directory, end], { type: "application/zip" });
}
