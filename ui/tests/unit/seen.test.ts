import { expect, test } from "vitest";
import { BLOCK_LINES, isText, seenOf, unitOf } from "../../src/card/blocks";
import { join, Seen } from "../../src/card/seen";

test("intervals join where they meet", () => {
  expect(join([[0, 0.2], [0.5, 0.6]], [0.2, 0.5])).toEqual([[0, 0.6]]);
  expect(join([[0, 0.2]], [0.5, 0.6])).toEqual([[0, 0.2], [0.5, 0.6]]);
  expect(join([[0.5, 0.6]], [0, 0.2])).toEqual([[0, 0.2], [0.5, 0.6]]);
  expect(join([[0, 0.2]], [0.21, 0.3], 0.02)).toEqual([[0, 0.3]]);
});

test("jumping to the end skips nothing", () => {
  const seen = new Seen();
  seen.add("text", 0, 0.1, 0.001);
  seen.add("text", 0.9, 1, 0.001);
  expect(seen.complete("text")).toBe(false);
  expect(seen.unseen()).toEqual(["text"]);
  expect(seen.firstGap("text")).toBe(0.1);
  seen.add("text", 0.05, 0.95, 0.001);
  expect(seen.complete("text")).toBe(true);
  expect(seen.firstGap("text")).toBeNull();
});

test("a unit that was never shown is unseen from its start", () => {
  const seen = new Seen();
  seen.expect("votes");
  expect(seen.unseen()).toEqual(["votes"]);
  expect(seen.firstGap("votes")).toBe(0);
  expect(seen.fraction("votes")).toBe(0);
});

test("rounding at the edges does not leave a sliver unseen", () => {
  const seen = new Seen();
  seen.add("who", 0.002, 0.5, 0.01);
  seen.add("who", 0.505, 0.995, 0.01);
  expect(seen.complete("who")).toBe(true);
});

test("tells news from what was known, and forgets for another card", () => {
  const seen = new Seen();
  expect(seen.add("who", 0, 1, 0)).toBe(true);
  expect(seen.add("who", 0.2, 0.4, 0)).toBe(false);
  seen.keep(new Set(["what"]));
  expect(seen.unseen()).toEqual([]);
  seen.expect("what");
  seen.clear();
  expect(seen.unseen()).toEqual([]);
});

test("blocks of a long text add up by their lines", () => {
  const seen = new Seen();
  const lines = BLOCK_LINES + 50;
  seen.add(unitOf(0), 0, 1, 0);
  expect(seenOf(seen, lines)).toEqual([[0, BLOCK_LINES / lines]]);
  seen.add(unitOf(1), 0, 0.5, 0);
  const [only, more] = seenOf(seen, lines);
  expect(more).toBeUndefined();
  expect(only?.[1]).toBeCloseTo((BLOCK_LINES + 25) / lines);
  seen.add(unitOf(1), 0.5, 1, 0);
  expect(seenOf(seen, lines)).toEqual([[0, 1]]);
  expect(isText(unitOf(3))).toBe(true);
  expect(isText("votes")).toBe(false);
});
