// Zip archives of files that are not compressed: pictures are already, and texts are small.

const UTF8_NAMES = 0x0800;
const NEEDED_VERSION = 20;

/** @type {Uint32Array} */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value >>> 0;
});

/** @param {Uint8Array} content */
export function crc32(content) {
  let value = 0xffffffff;
  for (const byte of content) value = CRC_TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/**
 * @param {{name: string, content: Uint8Array<ArrayBuffer>}[]} files
 * @returns {Blob}
 */
export function zipOf(files) {
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const parts = [];
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const directory = [];
  let offset = 0;
  for (const { name, content } of files) {
    const encoded = new TextEncoder().encode(name);
    const [crc, size] = [crc32(content), content.length];
    // Version, flags, method 0, time and date 1980-01-01, checksum, both sizes, lengths of name and of no further field.
    const common = [[NEEDED_VERSION, 2], [UTF8_NAMES, 2], [0, 2], [0, 2], [0x21, 2], [crc, 4], [size, 4], [size, 4], [encoded.length, 2], [0, 2]];
    const header = record(0x04034b50, common);
    directory.push(record(0x02014b50, [[NEEDED_VERSION, 2], ...common, [0, 2], [0, 2], [0, 2], [0, 4], [offset, 4]]), encoded);
    parts.push(header, encoded, content);
    offset += header.length + encoded.length + size;
  }
  const directorySize = directory.reduce((sum, part) => sum + part.length, 0);
  const end = record(0x06054b50, [[0, 2], [0, 2], [files.length, 2], [files.length, 2], [directorySize, 4], [offset, 4], [0, 2]]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

/**
 * @param {number} signature
 * @param {number[][]} fields each value with its size in bytes, little-endian
 */
function record(signature, fields) {
  const all = [[signature, 4], ...fields];
  const bytes = new Uint8Array(all.reduce((sum, [, size]) => sum + size, 0));
  const view = new DataView(bytes.buffer);
  let place = 0;
  for (const [value, size] of all) {
    if (size === 2) view.setUint16(place, value, true);
    else view.setUint32(place, value, true);
    place += size;
  }
  return bytes;
}
