/** The geometry of the figures: scales, bars, where labels stand. Pure: numbers in, numbers out. */
import type { TimeSpan as Span, Week } from "../generated/ipc";

/** So many bars at most: beyond, several weeks make one. */
export const BARS = 53;

export interface Bar {
  /** When its first week begins. Unix seconds. */
  readonly starts: number;
  readonly approved: number;
  readonly denied: number;
}

/** One bar a week, or one for several weeks where there are many. The newest bar is whole. */
export function bars(weeks: readonly Week[]): { readonly each: number; readonly bars: readonly Bar[] } {
  const each = Math.max(1, Math.ceil(weeks.length / BARS));
  const made: Bar[] = [];
  for (let end = weeks.length; end > 0; end -= each) {
    const part = weeks.slice(Math.max(0, end - each), end);
    made.unshift({ starts: part[0]?.starts ?? 0, approved: sum(part.map((week) => week.approved)), denied: sum(part.map((week) => week.denied)) });
  }
  return { each, bars: made };
}

export const sum = (numbers: readonly number[]) => numbers.reduce((all, one) => all + one, 0);

/** A round number that is not below `most`, and the steps up to it: two or three, counting in 1, 2 or 5. */
export function scale(most: number): { readonly top: number; readonly ticks: readonly number[] } {
  if (most <= 0) return { top: 1, ticks: [0, 1] };
  let step = 1;
  for (let n = 0; Math.floor(most / step) > 2; n++) step = ([1, 2, 5][(n + 1) % 3] ?? 1) * 10 ** Math.floor((n + 1) / 3);
  const ticks = Array.from({ length: Math.floor(most / step) + 1 }, (_, n) => n * step);
  return { top: Math.max(most, step), ticks };
}

/** Places of labels along so many bars: the first, some between, and the last, never too near to each other. */
export function labelled(count: number, most: number): number[] {
  if (count <= 0) return [];
  const steps = Math.max(1, Math.min(most, count) - 1);
  return [...new Set(Array.from({ length: steps + 1 }, (_, n) => Math.round((n * (count - 1)) / steps)))];
}

/** Where a duration lies along the bars of the spans, in bars from the left; null: in none. */
export function along(spans: readonly Span[], secs: number): number | null {
  const at = spans.findIndex((span) => secs >= span.from_secs && (span.to_secs === null || secs < span.to_secs));
  const span = spans[at];
  if (span === undefined) return null;
  return at + (span.to_secs === null ? 0.5 : (secs - span.from_secs) / (span.to_secs - span.from_secs));
}
