/**
 * Where each line of a long list stands, and how a scroll bar of bounded length is mapped onto it. Pure, in
 * pixels. However many rows there are, no element is taller than {@link TALLEST}: engines hold lengths in 64ths of a
 * pixel in 32 bits, so that beyond some 33 million pixels nothing stands where it should, and the last rows could
 * never be reached.
 */
import type { Row } from "../generated/ipc";

/** The tallest element there is. */
export const TALLEST = 1_000_000;
/** As `history.css` draws them. */
export const ROW_PX = 49;
export const HEADING_PX = 36;

export type Line = { readonly line: "heading"; readonly day: string } | { readonly line: "row"; readonly row: Row; readonly index: number };

/** The lines of a list and where each begins. */
export class Layout {
  readonly lines: readonly Line[];
  /** Where each line begins; one more, for the end. */
  readonly #tops: Float64Array;
  /** The line of each row. */
  readonly #lineOf: Int32Array;

  /** @param dayOf the heading over a row */
  constructor(rows: readonly Row[], dayOf: (row: Row, before: Row | undefined) => string | null) {
    const lines: Line[] = [];
    this.#lineOf = new Int32Array(rows.length);
    rows.forEach((row, index) => {
      const day = dayOf(row, rows[index - 1]);
      if (day !== null) lines.push({ line: "heading", day });
      this.#lineOf[index] = lines.length;
      lines.push({ line: "row", row, index });
    });
    this.lines = lines;
    this.#tops = new Float64Array(lines.length + 1);
    lines.forEach((line, at) => (this.#tops[at + 1] = (this.#tops[at] ?? 0) + (line.line === "row" ? ROW_PX : HEADING_PX)));
  }

  /** The height of all of it. */
  get height() {
    return this.#tops[this.lines.length] ?? 0;
  }

  topOf(line: number) {
    return this.#tops[line] ?? 0;
  }

  /** The line at this place. */
  at(top: number): number {
    let [low, high] = [0, Math.max(0, this.lines.length - 1)];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#tops[middle] ?? 0) <= top) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  lineOf(row: number): number {
    return this.#lineOf[row] ?? 0;
  }

  /** Where to scroll so that a row is on screen; `top` where it is already. */
  reveal(row: number, top: number, view: number): number {
    const line = this.lineOf(row);
    // With the heading that stands right over it.
    const first = this.lines[line - 1]?.line === "heading" ? line - 1 : line;
    const [from, to] = [this.topOf(first), this.topOf(line + 1)];
    if (from < top) return from;
    if (to > top + view) return to - view;
    return top;
  }
}

/** The scroll bar's own length, and its place for a place in the list and back. */
export interface Mapping {
  /** How tall the element is that makes the scroll bar. */
  readonly tall: number;
  /** The farthest place in the list. */
  readonly end: number;
  toBar(top: number): number;
  toTop(bar: number): number;
}

export function mapping(height: number, view: number): Mapping {
  const tall = Math.min(height, TALLEST);
  const end = Math.max(0, height - view);
  const way = Math.max(0, tall - view);
  const ratio = way === 0 ? 1 : end / way;
  return { tall, end, toBar: (top) => top / ratio, toTop: (bar) => Math.min(end, bar * ratio) };
}
