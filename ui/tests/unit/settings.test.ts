import { describe, expect, test } from "vitest";
import type { Account, Prefs } from "../../src/generated/ipc";
import { account, scenes } from "../../src/backend/recorded/scenes";
import { play } from "../../src/backend/web";
import { Clock } from "../../src/clock.svelte";
import { keySentence } from "../../src/card/key-waits";
import { awayUntil } from "../../src/parts/accounts";
import { faultOf, fresh, MOST_DAYS, ofAbsence, same } from "../../src/settings/absence";
import { Checking } from "../../src/settings/checking.svelte";
import { dayOf, daysFrom, minuteName, minuteOf, minutesOfDay, momentOf } from "../../src/settings/times";
import { Store } from "../../src/store.svelte";
import { leaveEnd } from "../../src/text/time";

const DAY = 86_400;
const NOW = Date.UTC(2026, 10, 22, 14, 3, 57) / 1000;
const settled = async () => {
  for (let n = 0; n < 20; n++) await Promise.resolve();
};
async function started(scene: string) {
  const make = scenes[scene];
  if (make === undefined) throw new Error(scene);
  const played = play(make(), false);
  const store = new Store(played.backend, new Clock(played.readMillis));
  return { store, played };
}

describe("times of day and days as choices", () => {
  test("every half hour, and what is set beside them, in order", () => {
    expect(minutesOfDay(0)).toHaveLength(48);
    const odd = minutesOfDay(8 * 60 + 3);
    expect(odd).toHaveLength(49);
    expect(odd.indexOf(483)).toBe(17);
    expect([0, 483, 1439].map(minuteName)).toEqual(["00:00", "08:03", "23:59"]);
  });
  test("days follow one another over the end of a month and of a year, each once", () => {
    const days = daysFrom(Date.UTC(2026, 11, 30) / 1000, 4, NOW);
    expect(days).toEqual(["2026-11-22", "2026-12-30", "2026-12-31", "2027-01-01", "2027-01-02"]);
    expect(daysFrom(NOW, 90, NOW)).toHaveLength(90);
  });
  test("a moment is its day and its minute", () => {
    expect([dayOf(NOW), minuteOf(NOW)]).toEqual(["2026-11-22", 14 * 60 + 3]);
    expect(momentOf("2026-11-22", 14 * 60 + 3)).toBe(NOW - 57);
  });
  test("until when: the hour today, the weekday within a week, else the day", () => {
    expect(leaveEnd(NOW + 3600, NOW)).toBe("15:03");
    expect(leaveEnd(NOW + 5 * DAY, NOW)).toBe("Friday 14:03");
    expect(leaveEnd(NOW + 20 * DAY, NOW)).toBe("Sat 12 Dec, 14:03");
  });
});

describe("a leave in the making", () => {
  test("begins now and ends tomorrow at eight, and nothing stands in its way", () => {
    const leave = fresh(NOW);
    expect(leave).toEqual({ from: null, until: momentOf("2026-11-23", 480), standIn: null });
    expect(faultOf(leave, NOW)).toBeNull();
  });
  test("over, backwards and too long are told", () => {
    const leave = { from: null, until: NOW + DAY, standIn: null };
    expect(faultOf({ ...leave, until: NOW }, NOW)).toBe("over");
    expect(faultOf({ ...leave, from: NOW + 2 * DAY }, NOW)).toBe("backwards");
    expect(faultOf({ ...leave, until: NOW + MOST_DAYS * DAY }, NOW)).toBeNull();
    expect(faultOf({ ...leave, until: NOW + MOST_DAYS * DAY + 1 }, NOW)).toBe("long");
  });
  test("one that is set is read as it is, and a change is told from none", () => {
    const set = ofAbsence({ from: NOW - DAY, until: NOW + DAY, stand_in: null, stand_in_eligible: false });
    expect(same(set, { ...set })).toBe(true);
    expect(same(set, { ...set, standIn: "jonas" })).toBe(false);
    expect(faultOf(set, NOW)).toBeNull();
  });
  test("being away is between its ends", () => {
    const at = (from: number, until: number): Account => ({ ...account, away: { from, until } });
    expect(awayUntil(at(NOW, NOW + 1), NOW)).toBe(NOW + 1);
    expect(awayUntil(at(NOW + 1, NOW + 2), NOW)).toBeNull();
    expect(awayUntil(at(NOW - 2, NOW), NOW)).toBeNull();
    expect(awayUntil({ ...account, away: null }, NOW)).toBeNull();
  });
});

test("what a security key waits for is one sentence each", () => {
  const sentences = [
    keySentence({ for: "key" }),
    keySentence({ for: "choice", keys: 2 }),
    keySentence({ for: "pin", wrong: false, tries_left: null }),
    keySentence({ for: "pin", wrong: true, tries_left: 1 }),
    keySentence({ for: "finger", wrong: false }),
    keySentence({ for: "finger", wrong: true }),
    keySentence({ for: "touch" }),
  ];
  expect(new Set(sentences).size).toBe(sentences.length);
  expect(sentences[3]).toBe("That was not the PIN. 1 try left, then the key locks itself.");
});

describe("a link", () => {
  test("fills in the address of another account, for that once, and asks nobody", async () => {
    const { store, played } = await started("inbox/sql");
    await store.start();
    played.emit({ event: "connect", server: "https://other.example.net" });
    expect([store.adding, store.linked]).toEqual([true, "https://other.example.net"]);
    store.add(false);
    expect([store.adding, store.linked]).toEqual([false, null]);
    expect(played.calls.map((call) => call.call)).not.toContain("look_up_server");
  });
  test("that came before the agent's first state counts as well", async () => {
    const { store, played } = await started("inbox/sql");
    const starting = store.start();
    played.emit({ event: "connect", server: "https://other.example.net" });
    await starting;
    expect([store.adding, store.linked]).toEqual([true, "https://other.example.net"]);
  });
  test("before anybody is signed in is the first account's", async () => {
    const { store, played } = await started("first");
    await store.start();
    played.emit({ event: "connect", server: "https://other.example.net" });
    expect([store.adding, store.linked]).toEqual([false, "https://other.example.net"]);
  });
});

test("a second change of the settings before the first has come back does not undo it", async () => {
  const { store, played } = await started("settings");
  await store.start();
  const sent: Prefs[] = [];
  const answers: (() => void)[] = [];
  played.backend.call = async (call) => {
    if (call.call !== "set_prefs") return { reply: "nothing" };
    sent.push(call.prefs);
    await new Promise<void>((done) => answers.push(done));
    return { reply: "nothing" };
  };
  const both = [store.prefer({ autostart: false }), store.prefer({ sound: true })];
  expect(sent.map((prefs) => [prefs.autostart, prefs.sound])).toEqual([[false, false], [false, true]]);
  answers.forEach((answer) => answer());
  await Promise.all(both);
  // What has come back is the truth again.
  const third = store.prefer({ keep_in_tray: false });
  expect(sent[2]?.autostart).toBe(true);
  answers.at(-1)?.();
  await third;
});

test("checks that are asked for while they run are read once more, and the last word is the newest", async () => {
  const { store, played } = await started("settings");
  await store.start();
  let turn = 0;
  const answers: (() => void)[] = [];
  played.backend.call = async () => {
    const sentence = String(++turn);
    await new Promise<void>((done) => answers.push(done));
    return { reply: "checks", checks: [{ what: "clock", state: "good", sentence, millis: null }] };
  };
  const checking = new Checking(store);
  const read = checking.read();
  void checking.read();
  void checking.read();
  await settled();
  expect(turn).toBe(1);
  answers[0]?.();
  await settled();
  expect([turn, checking.busy]).toEqual([2, true]);
  answers[1]?.();
  await read;
  expect([checking.find("clock")?.sentence, checking.find("key"), checking.busy]).toEqual(["2", null, false]);
});
