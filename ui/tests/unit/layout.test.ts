import { describe, expect, test } from "vitest";
import { HEADING_PX, Layout, mapping, ROW_PX, TALLEST } from "../../src/history/layout";

/** A million rows under a thousand headings. */
const layout = new Layout(1_000_000, Array.from({ length: 1000 }, (_, n) => n * 1000));

describe("a million rows", () => {
  test("stand where they should, to the last", () => {
    expect(layout.height).toBe(1_000_000 * ROW_PX + 1000 * HEADING_PX);
    expect(layout.at(layout.height - 1)).toBe(999_999);
    expect([layout.at(0), layout.slotOf(0), layout.topOf(0)]).toEqual([0, 0, HEADING_PX]);
    for (const row of [0, 1, 999, 1000, 500_500, 999_999]) {
      expect([layout.at(layout.topOf(row)), layout.at(layout.slotOf(row)), layout.at(layout.topOf(row) + ROW_PX - 1)]).toEqual([row, row, row]);
      expect(layout.slotOf(row + 1)).toBe(layout.topOf(row) + ROW_PX);
    }
    expect([layout.hasHeading(0), layout.hasHeading(1), layout.hasHeading(999_000), layout.hasHeading(999_999)]).toEqual([true, false, true, false]);
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
  test("are revealed by the least movement, below the day that stands on top", () => {
    const last = 999_999;
    expect(layout.reveal(last, 0, 700)).toBe(layout.height - 700);
    expect(layout.reveal(last, layout.height - 700, 700)).toBe(layout.height - 700);
    expect(layout.reveal(0, 5000, 700)).toBe(0);
    expect(layout.reveal(5, 5000, 700)).toBe(5 * ROW_PX);
  });
});

test("a short list is its own bar", () => {
  const map = mapping(900, 700);
  expect([map.tall, map.end, map.toBar(123), map.toTop(123)]).toEqual([900, 200, 123, 123]);
  expect(mapping(300, 700)).toMatchObject({ tall: 300, end: 0 });
});

test("an empty list has nothing and breaks nothing", () => {
  const none = new Layout(0);
  expect([none.height, none.at(50), none.topOf(0), none.hasHeading(0)]).toEqual([0, 0, 0, false]);
});
