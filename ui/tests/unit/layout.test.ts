import { describe, expect, test } from "vitest";
import { longPast } from "../../src/backend/recorded/past";
import { NOW } from "../../src/backend/recorded/cards";
import { HEADING_PX, Layout, mapping, ROW_PX, TALLEST } from "../../src/history/layout";
import { headings } from "../../src/history/list.svelte";

const [some] = longPast(1);
if (some === undefined) throw new Error("no row");
/** A million rows that share all but their number, under a thousand headings. */
const million = Array.from({ length: 1_000_000 }, (_, n) => ({ ...some, txn: String(n) }));
const layout = new Layout(million, (row) => (Number(row.txn) % 1000 === 0 ? `day ${Number(row.txn) / 1000}` : null));

describe("a million rows", () => {
  test("stand where they should, to the last", () => {
    expect(layout.height).toBe(1_000_000 * ROW_PX + 1000 * HEADING_PX);
    expect(layout.lines[layout.at(layout.height - 1)]).toMatchObject({ line: "row", index: 999_999 });
    expect(layout.lines[layout.at(0)]).toEqual({ line: "heading", day: "day 0" });
    for (const row of [0, 1, 999, 1000, 500_500, 999_999]) expect(layout.lines[layout.at(layout.topOf(layout.lineOf(row)) + 1)]).toMatchObject({ index: row });
  });
  test("are mapped onto a bar of bounded length, both ends on both ends", () => {
    const map = mapping(layout.height, 700);
    expect(map.tall).toBe(TALLEST);
    expect(map.toTop(0)).toBe(0);
    expect(map.toTop(TALLEST - 700)).toBeCloseTo(layout.height - 700);
    expect(map.toBar(map.end)).toBeCloseTo(TALLEST - 700);
    // What an engine makes of it beyond its end is still the end.
    expect(map.toTop(TALLEST)).toBe(map.end);
    for (const top of [1, 49, 12_345_678]) expect(map.toTop(map.toBar(top))).toBeCloseTo(top, 3);
  });
  test("are revealed by the least movement", () => {
    const last = 999_999;
    expect(layout.reveal(last, 0, 700)).toBe(layout.height - 700);
    expect(layout.reveal(last, layout.height - 700, 700)).toBe(layout.height - 700);
    expect(layout.reveal(0, 5000, 700)).toBe(0);
    expect(layout.reveal(5, 5000, 700)).toBe(HEADING_PX + 5 * ROW_PX);
  });
});

test("a short list is its own bar", () => {
  const map = mapping(900, 700);
  expect([map.tall, map.end, map.toBar(123), map.toTop(123)]).toEqual([900, 200, 123, 123]);
  expect(mapping(300, 700)).toMatchObject({ tall: 300, end: 0 });
});

test("an empty list has nothing and breaks nothing", () => {
  const none = new Layout([], () => null);
  expect([none.height, none.at(50), none.lineOf(0)]).toEqual([0, 0, 0]);
});

test("each day has one heading, over its first row", () => {
  const rows = longPast(1000);
  const days = new Layout(rows, headings(NOW)).lines.flatMap((line) => (line.line === "heading" ? [line.day] : []));
  expect(days.slice(0, 3)).toEqual(["Today", "Yesterday, 21 November", "20 November 2026"]);
  expect(new Set(days).size).toBe(days.length);
});
