// Whether two pictures show the same to a person. Machines draw the same letters with other edges: hinting, smoothing,
// a pixel up or down. So not pixels are compared but what is there: blocks of 8 × 8, by their mean color, wherever within
// two pixels the other picture has it. What is missing, moved, or of another color is a block that is nowhere near.
//
// Two measures. Where nothing is drawn (both blocks flat), the eye sees the smallest step between grounds, so little is
// allowed. Where letters and lines are, the mean may be off as much as other edges make it, and no more.

export const BLOCK = 8;
const LIMITS = {
  /** How far the same thing may stand from where it stood, in pixels. */
  NEAR: 2,
  /** Steps of a channel, of 255, by which a mean may be off: where nothing is drawn, and where something is. */
  FLAT: 5,
  DRAWN: 20,
  /** A block is flat where nothing in it is farther than this from its mean. */
  EVEN: 10,
  /** A line that stands out by more than this is seen. */
  LINE: 14,
};

/** Sums over all pixels above and to the left, for each channel: the mean of any block is four look-ups. */
function sums({ width, height, pixels }) {
  const table = new Float64Array((width + 1) * (height + 1) * 3);
  for (let y = 0; y < height; y++) {
    const row = [0, 0, 0];
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) {
        row[c] += pixels[(y * width + x) * 3 + c];
        table[((y + 1) * (width + 1) + x + 1) * 3 + c] = table[(y * (width + 1) + x + 1) * 3 + c] + row[c];
      }
    }
  }
  return table;
}

function mean(table, width, x, y, wide, high, c) {
  const at = (px, py) => table[(py * (width + 1) + px) * 3 + c];
  return (at(x + wide, y + high) - at(x, y + high) - at(x + wide, y) + at(x, y)) / (wide * high);
}

function isFlat({ width, pixels }, means, x, y, wide, high, even) {
  for (let py = y; py < y + high; py++) {
    for (let px = x; px < x + wide; px++) {
      for (let c = 0; c < 3; c++) if (Math.abs(pixels[(py * width + px) * 3 + c] - means[c]) > even) return false;
    }
  }
  return true;
}

/** The blocks of `is` that `was` does not have there, and the other way round: what is new, and what is lost. */
export function differences(was, is, { NEAR, FLAT, DRAWN, EVEN, LINE } = LIMITS) {
  if (was.width !== is.width || was.height !== is.height) return { size: `${is.width} × ${is.height} instead of ${was.width} × ${was.height}`, blocks: [] };
  const { width, height } = was;
  const [before, after] = [sums(was), sums(is)];
  const found = new Map();
  for (const [one, own, two, other] of [[was, before, is, after], [is, after, was, before]]) {
    for (let y = 0; y < height; y += BLOCK) {
      for (let x = 0; x < width; x += BLOCK) {
        const [wide, high] = [Math.min(BLOCK, width - x), Math.min(BLOCK, height - y)];
        const means = [0, 1, 2].map((c) => mean(own, width, x, y, wide, high, c));
        const flat = isFlat(one, means, x, y, wide, high, EVEN);
        const allowed = flat ? FLAT : DRAWN;
        let least = Infinity;
        for (let dy = -NEAR; dy <= NEAR && least > allowed; dy++) {
          for (let dx = -NEAR; dx <= NEAR && least > allowed; dx++) {
            if (x + dx < 0 || y + dy < 0 || x + dx + wide > width || y + dy + high > height) continue;
            const theirs = [0, 1, 2].map((c) => mean(other, width, x + dx, y + dy, wide, high, c));
            const by = Math.max(...means.map((value, c) => Math.abs(value - theirs[c])));
            // Where nothing is drawn, nothing may be drawn: a hairline hardly moves the mean.
            if (by < least && (!flat || by > FLAT || isFlat(two, theirs, x + dx, y + dy, wide, high, LINE))) least = by;
          }
        }
        if (least > allowed) found.set(`${x} ${y}`, { x, y });
      }
    }
  }
  return { size: null, blocks: [...found.values()] };
}

/** The picture with what differs framed in red and the rest faded, to be looked at. */
export function marked(is, blocks) {
  const pixels = Buffer.from(is.pixels.map((value) => 255 - Math.round((255 - value) * 0.45)));
  for (const { x, y } of blocks) {
    for (let py = y; py < Math.min(is.height, y + BLOCK); py++) {
      for (let px = x; px < Math.min(is.width, x + BLOCK); px++) {
        const n = (py * is.width + px) * 3;
        pixels[n] = Math.round(pixels[n] * 0.5 + 110);
        pixels[n + 1] = Math.round(pixels[n + 1] * 0.5);
        pixels[n + 2] = Math.round(pixels[n + 2] * 0.5);
      }
    }
  }
  return { ...is, pixels };
}
