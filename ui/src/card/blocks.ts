/** A long text is drawn, and its reading is measured, in blocks: each is a unit of the card. */
import { join, type Interval, type Seen } from "./seen";

export const BLOCK_LINES = 200;

/** The name of a block's unit. */
export const unitOf = (block: number) => `text ${block}`;
export const isText = (unit: string) => unit.startsWith("text ");

/** What of the whole text was seen, from what was seen of its blocks. By lines: a block weighs what it holds. */
export function seenOf(seen: Seen, lines: number): readonly Interval[] {
  let all: Interval[] = [];
  for (let block = 0; block * BLOCK_LINES < lines; block++) {
    const first = block * BLOCK_LINES;
    const count = Math.min(BLOCK_LINES, lines - first);
    for (const [from, to] of seen.intervals(unitOf(block))) all = join(all, [(first + from * count) / lines, (first + to * count) / lines], 1e-9);
  }
  return all;
}
