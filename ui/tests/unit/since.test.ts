import { expect, test } from "vitest";
import { aino, mara } from "../../src/backend/recorded/cards";
import { marked, type MarkedSpan } from "../../src/card/since";
import type { Exhibit, Line } from "../../src/generated/ipc";

/** The text of what is marked, through the whole exhibit. */
const fresh = ({ title, lines, details }: Exhibit) =>
  [title, ...lines, ...details.flatMap((field) => field.lines)].flatMap((line: Line) => line.spans.filter((span: MarkedSpan) => span.fresh === true).map((span) => span.text));

test("what is new is marked where it stands, and nothing else changes", () => {
  const card = aino();
  const shown = marked(card.exhibit, card.since);
  expect(fresh(shown)).toEqual(["--version=4.18.0", "--strategy=all-at-once", "6  ", "--skip-canary"]);
  const text = (exhibit: Exhibit) => JSON.stringify(exhibit, (key, value: unknown) => (key === "fresh" ? undefined : value));
  expect(text(shown)).toBe(text(card.exhibit));
});

test("parts are counted through title, lines and details", () => {
  const { exhibit } = mara();
  const before = exhibit.title.spans.length + exhibit.lines.reduce((sum, line) => sum + line.spans.length, 0);
  expect(fresh(marked(exhibit, { at: 0, fresh: [[before + 1, before + 2]], gone: 0 }))).toEqual(["1204"]);
});

test("where nothing is new, and where nothing can be compared, nothing is marked", () => {
  const { exhibit } = mara();
  expect(marked(exhibit, { at: 0, fresh: [], gone: 3 })).toBe(exhibit);
  expect(marked(exhibit, undefined)).toBe(exhibit);
  expect(fresh(marked(exhibit, { at: 0, fresh: [[9_999, 10_001]], gone: 0 }))).toEqual([]);
});
