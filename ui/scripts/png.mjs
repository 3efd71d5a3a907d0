// Pictures as the tests keep them: PNG with a palette (RFC 2083). Reads what a browser's screenshots are, and what this
// writes; nothing else. No library: the few of them are either large or no longer looked after.
import { deflateSync, inflateSync } from "node:zlib";

const SIGNATURE = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
const CRC = Int32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n;
});
const crc = (data) => {
  let c = -1;
  for (const byte of data) c = CRC[(c ^ byte) & 255] ^ (c >>> 8);
  return (c ^ -1) >>> 0;
};

/** A picture: width, height, and three bytes for each pixel. */
export function decode(file) {
  if (!file.subarray(0, 8).equals(SIGNATURE)) throw new Error("not a PNG");
  let header;
  let palette;
  const parts = [];
  for (let at = 8; at < file.length; ) {
    const length = file.readUInt32BE(at);
    const type = file.toString("latin1", at + 4, at + 8);
    const data = file.subarray(at + 8, at + 8 + length);
    if (type === "IHDR") header = data;
    if (type === "PLTE") palette = data;
    if (type === "IDAT") parts.push(data);
    at += length + 12;
  }
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const channels = { 2: 3, 3: 1, 6: 4 }[header[9]];
  if (header[8] !== 8 || channels === undefined || header[12] !== 0) throw new Error("a PNG of a kind that is not read here");
  const packed = inflateSync(Buffer.concat(parts));
  const stride = width * channels;
  const rows = Buffer.alloc(stride * height);
  for (let y = 0; y < height; y++) {
    const filter = packed[y * (stride + 1)];
    const [from, to, above] = [y * (stride + 1) + 1, y * stride, (y - 1) * stride];
    for (let x = 0; x < stride; x++) {
      const left = x < channels ? 0 : rows[to + x - channels];
      const up = y === 0 ? 0 : rows[above + x];
      const guess = filter === 0 ? 0 : filter === 1 ? left : filter === 2 ? up : filter === 3 ? (left + up) >> 1 : paeth(left, up, x < channels || y === 0 ? 0 : rows[above + x - channels]);
      rows[to + x] = packed[from + x] + guess;
    }
  }
  const pixels = Buffer.alloc(width * height * 3);
  for (let n = 0; n < width * height; n++) {
    for (let c = 0; c < 3; c++) pixels[n * 3 + c] = palette === undefined ? rows[n * channels + c] : palette[rows[n] * 3 + c];
  }
  return { width, height, pixels };
}

function paeth(left, up, corner) {
  const guess = left + up - corner;
  const a = Math.abs(guess - left);
  const b = Math.abs(guess - up);
  const c = Math.abs(guess - corner);
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

/** The same picture in at most 256 colors: those that it has most of, and for the others the nearest of these. */
export function encode({ width, height, pixels }) {
  const counts = new Map();
  for (let n = 0; n < pixels.length; n += 3) {
    const color = (pixels[n] << 16) | (pixels[n + 1] << 8) | pixels[n + 2];
    counts.set(color, (counts.get(color) ?? 0) + 1);
  }
  // Shades of antialiasing and of shadows stand in for each other, as few as must; what covers something stays what it is.
  const far = (one, other, least) => Math.abs((one >> 16) - (other >> 16)) + Math.abs(((one >> 8) & 255) - ((other >> 8) & 255)) + Math.abs((one & 255) - (other & 255)) > least;
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  const apart = (least) => {
    const kept = [];
    for (const [color, count] of sorted) {
      if (count <= 2000 && !kept.every((other) => far(color, other, least))) continue;
      if (kept.push(color) > 256) return null;
    }
    return kept;
  };
  const kept = [0, 3, 6, 9, 12, 16, 24, 36, 48].reduce((found, least) => found ?? apart(least), null);
  if (kept === null) throw new Error("a picture of too many colors");
  const nearest = new Map();
  for (const color of counts.keys()) {
    let best = 0;
    let least = Infinity;
    kept.forEach((other, n) => {
      const away = ((color >> 16) - (other >> 16)) ** 2 + (((color >> 8) & 255) - ((other >> 8) & 255)) ** 2 + ((color & 255) - (other & 255)) ** 2;
      if (away < least) [best, least] = [n, away];
    });
    nearest.set(color, best);
  }
  const rows = Buffer.alloc((width + 1) * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const n = (y * width + x) * 3;
      rows[y * (width + 1) + 1 + x] = nearest.get((pixels[n] << 16) | (pixels[n + 1] << 8) | pixels[n + 2]);
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3, 0, 0, 0], 8);
  const palette = Buffer.from(kept.flatMap((color) => [color >> 16, (color >> 8) & 255, color & 255]));
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length, 0);
    body.copy(out, 4);
    out.writeUInt32BE(crc(body), body.length + 4);
    return out;
  };
  return Buffer.concat([SIGNATURE, chunk("IHDR", header), chunk("PLTE", palette), chunk("IDAT", deflateSync(rows, { level: 9, memLevel: 9 })), chunk("IEND", Buffer.alloc(0))]);
}
