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

/** Where else the same thing may stand, the nearest first: most blocks are where they were. */
const around = (near) => {
  const steps = Array.from({ length: 2 * near + 1 }, (_, n) => n - near);
  return steps.flatMap((dy) => steps.map((dx) => ({ dx, dy }))).sort((a, b) => Math.abs(a.dx) + Math.abs(a.dy) - Math.abs(b.dx) - Math.abs(b.dy));
};

/** The mean color of a block. */
function meanOf({ width, pixels }, x, y, wide, high) {
  let [red, green, blue] = [0, 0, 0];
  for (let py = y; py < y + high; py++) {
    for (let n = (py * width + x) * 3; n < (py * width + x + wide) * 3; n += 3) {
      red += pixels[n];
      green += pixels[n + 1];
      blue += pixels[n + 2];
    }
  }
  return [red / (wide * high), green / (wide * high), blue / (wide * high)];
}

/** Whether no pixel of a block is another one, as far as anybody sees: so it is with most of them. */
function isSame(one, two, x, y, wide, high, step) {
  for (let py = y; py < y + high; py++) {
    const row = (py * one.width + x) * 3;
    for (let n = row; n < row + wide * 3; n++) if (Math.abs(one.pixels[n] - two.pixels[n]) > step) return false;
  }
  return true;
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
  const offsets = around(NEAR);
  const blocks = [];
  for (let y = 0; y < height; y += BLOCK) {
    for (let x = 0; x < width; x += BLOCK) {
      const [wide, high] = [Math.min(BLOCK, width - x), Math.min(BLOCK, height - y)];
      if (isSame(was, is, x, y, wide, high, FLAT)) continue;
      for (const [one, two] of [[was, is], [is, was]]) {
        const means = meanOf(one, x, y, wide, high);
        const flat = isFlat(one, means, x, y, wide, high, EVEN);
        const allowed = flat ? FLAT : DRAWN;
        let least = Infinity;
        for (const { dx, dy } of offsets) {
          if (x + dx < 0 || y + dy < 0 || x + dx + wide > width || y + dy + high > height) continue;
          const theirs = meanOf(two, x + dx, y + dy, wide, high);
          const by = Math.max(Math.abs(means[0] - theirs[0]), Math.abs(means[1] - theirs[1]), Math.abs(means[2] - theirs[2]));
          // Where nothing is drawn, nothing may be drawn: a hairline hardly moves the mean.
          if (by < least && (!flat || by > FLAT || isFlat(two, theirs, x + dx, y + dy, wide, high, LINE))) least = by;
          if (least <= allowed) break;
        }
        if (least <= allowed) continue;
        blocks.push({ x, y });
        break;
      }
    }
  }
  return { size: null, blocks };
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
