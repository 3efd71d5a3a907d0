/** What of an operation is new since the last one like it that this person approved: marks for the eye, nothing else. Pure. */
import type { Exhibit, Line, Since, Span } from "../generated/ipc";

/** Part of a line, and whether it is new. */
export type MarkedSpan = Span & { readonly fresh?: boolean };

/** The same exhibit with what is new marked: parts are counted through the title, the lines, and the lines of the details. */
export function marked(exhibit: Exhibit, since: Since | null | undefined): Exhibit {
  if (since == null || since.fresh.length === 0) return exhibit;
  const fresh = new Set(since.fresh.flatMap(([from, to]) => Array.from({ length: to - from }, (_, n) => from + n)));
  let at = 0;
  const mark = (line: Line): Line => {
    const first = at;
    at += line.spans.length;
    if (!line.spans.some((_, n) => fresh.has(first + n))) return line;
    return { ...line, spans: line.spans.map((span, n): MarkedSpan => (fresh.has(first + n) ? { ...span, fresh: true } : span)) };
  };
  return {
    title: mark(exhibit.title),
    lines: exhibit.lines.map(mark),
    details: exhibit.details.map((field) => ({ ...field, lines: field.lines.map(mark) })),
  };
}
