// SPDX-License-Identifier: Apache-2.0
// picture.mjs - a screenshot as a small PNG: 256 colours, which for a page is
// nearly all of them, one byte a pixel, packed as well as can be
import { deflateSync } from 'node:zlib';

const COLOURS = 256;

// In the browser, for it can read PNG.
async function pixelsOf(png) {
  const image = new Image();
  image.src = `data:image/png;base64,${png}`;
  await image.decode();
  const { width, height } = image;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  let text = '';
  for (let at = 0; at < data.length; at += 32768) text += String.fromCharCode(...data.subarray(at, at + 32768));
  return { width, height, data: btoa(text) };
}

/** @param blank  a page without a policy  @return PNG */
export async function small(png, blank) {
  const { width, height, data } = await blank.evaluate(pixelsOf, png.toString('base64'));
  const pixels = Buffer.from(data, 'base64');
  const colourAt = (i) => pixels.readUIntBE(4 * i, 3);

  const counts = new Map();
  for (let i = 0; i < width * height; i += 1) counts.set(colourAt(i), (counts.get(colourAt(i)) ?? 0) + 1);
  const { palette, index } = chosen(counts);

  // Each line begins with its filter: none.
  const rows = Buffer.alloc((width + 1) * height);
  for (let i = 0; i < width * height; i += 1) rows[i + Math.floor(i / width) + 1] = index.get(colourAt(i));

  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 3, 0, 0, 0], 8); // bits, palette
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', head),
    chunk('PLTE', Buffer.from(palette.flatMap(parts))),
    chunk('IDAT', deflateSync(rows, { level: 9, memLevel: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

const parts = (colour) => [colour >> 16, (colour >> 8) & 255, colour & 255];

/** One after the other, the colour that most pixels are farthest from. */
function chosen(counts) {
  const all = [...counts].map(([colour, count]) => ({ parts: parts(colour), colour, count, away: Infinity, at: 0 }));
  const palette = [];
  const worth = ({ away, count }) => away * count;
  while (palette.length < Math.min(COLOURS, all.length)) {
    const next = all.reduce((best, one) => (worth(one) > worth(best) ? one : best));
    for (const one of all) {
      const away = one.parts.reduce((sum, part, i) => sum + (part - next.parts[i]) ** 2, 0);
      if (away < one.away) Object.assign(one, { away, at: palette.length });
    }
    palette.push(next.colour);
  }
  return { palette, index: new Map(all.map(({ colour, at }) => [colour, at])) };
}

function chunk(name, data) {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeInt32BE(~body.reduce(crc, -1), 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}

function crc(sum, byte) {
  let value = sum ^ byte;
  for (let bit = 0; bit < 8; bit += 1) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  return value;
}
