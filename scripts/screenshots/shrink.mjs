// Makes a picture of a page a third of its size: 256 colours, which are all but the edges of letters. Chromium writes
// true colour, and no tool for this is on every machine.
import { crc32, deflateSync, inflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');
const COLOURS = 256;
const EXACT = 96;

/** @param png as Chromium writes it: 8 bits, RGB or RGBA, not interlaced; what is not comes back as it is */
export function shrink(png) {
  const { header, data } = read(png);
  const channels = { 2: 3, 6: 4 }[header[9]];
  if (header[8] !== 8 || channels === undefined || header[12] !== 0) return png;
  const width = header.readUInt32BE(0);
  const height = header.readUInt32BE(4);
  const pixels = coloursOf(unfilter(inflateSync(data), width * channels, height, channels), channels);
  const palette = commonest(pixels);
  const indexes = new Map();
  const rows = Buffer.alloc((width + 1) * height);
  for (let at = 0; at < pixels.length; at++) {
    const colour = pixels[at];
    if (!indexes.has(colour)) indexes.set(colour, nearest(palette, colour));
    // Each row begins with its filter, 0: of indexes, differences say nothing.
    rows[at + Math.floor(at / width) + 1] = indexes.get(colour);
  }
  const newHeader = Buffer.from(header);
  newHeader[9] = 3; // by palette
  const colours = Buffer.from(palette.flatMap((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]));
  const chunks = [chunk('IHDR', newHeader), chunk('PLTE', colours), chunk('IDAT', deflateSync(rows, { level: 9 }))];
  return Buffer.concat([SIGNATURE, ...chunks, chunk('IEND', Buffer.alloc(0))]);
}

function read(png) {
  let header;
  const parts = [];
  for (let at = 8; at < png.length; ) {
    const length = png.readUInt32BE(at);
    const name = png.toString('latin1', at + 4, at + 8);
    const content = png.subarray(at + 8, at + 8 + length);
    if (name === 'IHDR') header = content;
    if (name === 'IDAT') parts.push(content);
    at += length + 12;
  }
  return { header, data: Buffer.concat(parts) };
}

/** Undoes what PNG does to rows so that they compress (section 9 of its standard). */
function unfilter(raw, rowBytes, height, channels) {
  const out = Buffer.alloc(rowBytes * height);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (rowBytes + 1)];
    for (let x = 0; x < rowBytes; x++) {
      const at = y * rowBytes + x;
      const left = x >= channels ? out[at - channels] : 0;
      const up = y > 0 ? out[at - rowBytes] : 0;
      const corner = x >= channels && y > 0 ? out[at - rowBytes - channels] : 0;
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter];
      out[at] = raw[y * (rowBytes + 1) + 1 + x] + guess;
    }
  }
  return out;
}

function paeth(left, up, corner) {
  const guess = left + up - corner;
  const [a, b, c] = [left, up, corner].map((value) => Math.abs(guess - value));
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}

function coloursOf(bytes, channels) {
  const colours = new Uint32Array(bytes.length / channels);
  for (let n = 0; n < colours.length; n++) colours[n] = bytes.readUIntBE(n * channels, 3);
  return colours;
}

/** The commonest as they are, which are its grounds; the rest by hue, or ten shades of grey would take the place of a green. */
function commonest(pixels) {
  const counts = new Map();
  for (const colour of pixels) counts.set(colour, (counts.get(colour) ?? 0) + 1);
  const sorted = [...counts].sort((a, b) => b[1] - a[1]).map(([colour]) => colour);
  const palette = new Set(sorted.slice(0, EXACT));
  const hues = new Map();
  for (const colour of sorted) {
    const hue = colour & 0xf0f0f0;
    // The first of a hue is its commonest.
    if (!hues.has(hue)) hues.set(hue, { colour, count: 0 });
    hues.get(hue).count += counts.get(colour);
  }
  for (const { colour } of [...hues.values()].sort((a, b) => b.count - a.count)) {
    if (palette.size < COLOURS) palette.add(colour);
  }
  return [...palette];
}

function nearest(palette, colour) {
  const distance = (other) =>
    [16, 8, 0].reduce((sum, shift) => sum + (((other >> shift) & 255) - ((colour >> shift) & 255)) ** 2, 0);
  let best = 0;
  for (let n = 1; n < palette.length; n++) if (distance(palette[n]) < distance(palette[best])) best = n;
  return best;
}

function chunk(name, content) {
  const out = Buffer.alloc(content.length + 12);
  out.writeUInt32BE(content.length, 0);
  out.write(name, 4, 'latin1');
  content.copy(out, 8);
  out.writeUInt32BE(crc32(out.subarray(4, content.length + 8)), content.length + 8);
  return out;
}
