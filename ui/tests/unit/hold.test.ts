/// <reference types="node" />
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { AGAIN_MS, Hold, HOLD_MS } from "../../src/card/hold.svelte";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const held = () => {
  const enough = vi.fn();
  const hold = new Hold(enough);
  hold.begin();
  return { hold, enough };
};

test("held to the end it is enough, once", () => {
  const { hold, enough } = held();
  vi.advanceTimersByTime(HOLD_MS - 1);
  expect(enough).not.toHaveBeenCalled();
  expect(hold.now.holding).toBe("held");
  vi.advanceTimersByTime(10 * HOLD_MS);
  expect(enough).toHaveBeenCalledTimes(1);
  expect(hold.now.holding).toBe("rest");
});

test("let go before the end, it is nothing, and begins from the start", () => {
  const { hold, enough } = held();
  vi.advanceTimersByTime(HOLD_MS - 1);
  hold.letGo();
  expect(hold.now.holding).toBe("let_go");
  hold.begin();
  vi.advanceTimersByTime(HOLD_MS - 1);
  expect(enough).not.toHaveBeenCalled();
  hold.stop();
  vi.advanceTimersByTime(10 * HOLD_MS);
  expect(enough).not.toHaveBeenCalled();
  expect(hold.now.holding).toBe("rest");
});

test("a key that repeats itself holds no longer and no shorter", () => {
  const { hold, enough } = held();
  for (let n = 0; n < 11; n++) {
    vi.advanceTimersByTime(100);
    hold.begin();
  }
  expect(enough).not.toHaveBeenCalled();
  vi.advanceTimersByTime(100);
  expect(enough).toHaveBeenCalledTimes(1);
});

test("what cannot hold presses twice, as far apart as it would hold; one press is never enough", () => {
  const enough = vi.fn();
  const hold = new Hold(enough);
  hold.press();
  expect(hold.now.holding).toBe("pressed");
  // Too early begins anew.
  vi.advanceTimersByTime(HOLD_MS - 1);
  hold.press();
  vi.advanceTimersByTime(HOLD_MS - 1);
  expect(hold.now.holding).toBe("pressed");
  vi.advanceTimersByTime(1);
  expect(hold.now.holding).toBe("press_again");
  expect(enough).not.toHaveBeenCalled();
  hold.press();
  expect(enough).toHaveBeenCalledTimes(1);
  expect(hold.now.holding).toBe("rest");
  // The one after it is a first one again.
  hold.press();
  expect(enough).toHaveBeenCalledTimes(1);
});

test("a first press is forgotten after a while, when Approve is not available, and when it is held instead", () => {
  const enough = vi.fn();
  const hold = new Hold(enough);
  hold.press();
  vi.advanceTimersByTime(HOLD_MS + AGAIN_MS);
  expect(hold.now.holding).toBe("rest");
  hold.press();
  vi.advanceTimersByTime(HOLD_MS);
  hold.stop();
  vi.advanceTimersByTime(AGAIN_MS);
  expect(hold.now.holding).toBe("rest");
  hold.press();
  hold.begin();
  // While it is held, a press beside it is nothing, and what was pressed before does not come back.
  hold.press();
  hold.letGo();
  vi.advanceTimersByTime(HOLD_MS + AGAIN_MS);
  expect(hold.now.holding).toBe("let_go");
  expect(enough).not.toHaveBeenCalled();
});

test("time in which the window stood still is not held", () => {
  const { hold, enough } = held();
  const now = vi.spyOn(performance, "now");
  const began = performance.now();
  now.mockReturnValue(began + 10 * HOLD_MS);
  vi.advanceTimersByTime(100);
  expect(enough).not.toHaveBeenCalled();
  expect(hold.now).toEqual({ holding: "held", leftMs: HOLD_MS - 200 });
  now.mockRestore();
});

test("the button fills in the same time", () => {
  const tokens = readFileSync(join(import.meta.dirname, "../../src/style/tokens.css"), "utf8");
  expect(tokens).toContain(`--hold: ${HOLD_MS}ms;`);
});
