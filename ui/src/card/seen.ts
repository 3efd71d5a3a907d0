/**
 * What of a card has been on screen. A card has units (its sections, and the text of a long operation); for
 * each we keep which fractions of its height were visible, so that jumping to the end skips nothing.
 * Pure: the measuring is in `watch.ts`.
 */
export type Interval = readonly [from: number, to: number];

/** Adds an interval to a sorted list of disjoint ones; gaps up to `slack` close. */
export function join(intervals: readonly Interval[], add: Interval, slack = 0): Interval[] {
  let [from, to] = add;
  const out: Interval[] = [];
  for (const [a, b] of intervals) {
    if (b < from - slack || a > to + slack) out.push([a, b]);
    else [from, to] = [Math.min(from, a), Math.max(to, b)];
  }
  out.push([from, to]);
  return out.sort((x, y) => x[0] - y[0]);
}

export class Seen {
  #units = new Map<string, Interval[]>();

  /** Forgets everything: another card, or other bytes. */
  clear() {
    this.#units.clear();
  }

  /** Notes that `unit` exists, so that it counts as unseen until shown. */
  expect(unit: string) {
    if (!this.#units.has(unit)) this.#units.set(unit, []);
  }

  /** Drops units that are no longer on the card. */
  keep(units: ReadonlySet<string>) {
    for (const unit of this.#units.keys()) if (!units.has(unit)) this.#units.delete(unit);
  }

  /** `unit` was on screen from one fraction of its height to another. Returns whether that was news. */
  add(unit: string, from: number, to: number, slack: number): boolean {
    const before = this.#units.get(unit) ?? [];
    const lo = from <= slack ? 0 : from;
    const hi = to >= 1 - slack ? 1 : to;
    if (hi <= lo) return false;
    if (before.some(([a, b]) => a <= lo && b >= hi)) return false;
    this.#units.set(unit, join(before, [lo, hi], slack));
    return true;
  }

  intervals(unit: string): readonly Interval[] {
    return this.#units.get(unit) ?? [];
  }

  /** How much of the unit was seen, 0 to 1. */
  fraction(unit: string): number {
    return this.intervals(unit).reduce((sum, [a, b]) => sum + b - a, 0);
  }

  complete(unit: string): boolean {
    const [only, more] = this.intervals(unit);
    return only !== undefined && more === undefined && only[0] === 0 && only[1] === 1;
  }

  /** Where the first gap begins, as a fraction; null when all was seen. */
  firstGap(unit: string): number | null {
    if (this.complete(unit)) return null;
    const first = this.intervals(unit)[0];
    return first === undefined || first[0] > 0 ? 0 : first[1];
  }

  /** The units with a gap, in the order in which they were noted. */
  unseen(): string[] {
    return [...this.#units.keys()].filter((unit) => !this.complete(unit));
  }
}
