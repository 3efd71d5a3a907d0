import { expect, test } from "vitest";
import { arm, ARM_MS, AWAY, remaining, type Arming } from "../../src/card/arming";

/** Plays [time, attentive] in order. */
const play = (...steps: [now: number, attentive: boolean][]): Arming => steps.reduce<Arming>((arming, [now, attentive]) => arm(arming, attentive, now), AWAY);

test("arms after the time without a break", () => {
  expect(play([0, true], [ARM_MS - 1, true]).state).toBe("arming");
  expect(play([0, true], [ARM_MS, true]).state).toBe("armed");
});

test("losing the focus starts it over", () => {
  expect(play([0, true], [600, false], [650, true], [ARM_MS + 100, true]).state).toBe("arming");
  expect(play([0, true], [600, false], [650, true], [650 + ARM_MS, true]).state).toBe("armed");
});

test("what was armed disarms in the background", () => {
  expect(play([0, true], [ARM_MS, true], [ARM_MS + 1, false]).state).toBe("away");
});

test("says how long it takes", () => {
  expect(remaining(AWAY, 5)).toBeNull();
  expect(remaining(play([100, true]), 300)).toBe(ARM_MS - 200);
  expect(remaining(play([0, true], [ARM_MS, true]), ARM_MS)).toBe(0);
});
