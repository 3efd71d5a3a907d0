/**
 * Where each row of a long list stands, and how a scroll bar of bounded length is mapped onto it. Pure, in
 * pixels. However many rows there are, no element is taller than {@link TALLEST}: engines hold lengths in 64ths of a
 * pixel in 32 bits, so that beyond some 33 million pixels nothing stands where it should, and the last rows could
 * never be reached. Rows that nobody has read yet have a place too: only the headings of days are learned on the way.
 */

/** The tallest element there is. */
export const TALLEST = 1_000_000;
/** As `history.css` draws them. */
export const ROW_PX = 49;
export const HEADING_PX = 36;

/** The rows of a list, and the headings over some of them. */
export class Layout {
  /**
   * @param count how many rows there are
   * @param days the rows with a heading over them, in order
   */
  constructor(
    readonly count: number,
    readonly days: readonly number[] = [],
  ) {}

  /** The height of all of it. */
  get height() {
    return this.count * ROW_PX + this.days.length * HEADING_PX;
  }

  /** How many headings stand over this row or over one before it. */
  #over(row: number): number {
    let [low, high] = [0, this.days.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.days[middle] ?? 0) <= row) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  hasHeading(row: number): boolean {
    return this.days[this.#over(row) - 1] === row;
  }

  /** Where a row begins, below its heading. */
  topOf(row: number): number {
    return row * ROW_PX + this.#over(row) * HEADING_PX;
  }

  /** Where a row begins, with its heading. */
  slotOf(row: number): number {
    return this.topOf(row) - (this.hasHeading(row) ? HEADING_PX : 0);
  }

  /** The row at this place, or the one whose heading is there. */
  at(top: number): number {
    let [low, high] = [0, Math.max(0, this.count - 1)];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.slotOf(middle) <= top) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Where to scroll so that a row is on screen, below the day that stands on top; `top` where it is already. */
  reveal(row: number, top: number, view: number): number {
    const [from, to] = [Math.max(0, this.topOf(row) - HEADING_PX), this.topOf(row) + ROW_PX];
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
