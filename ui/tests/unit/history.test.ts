/** The list by position, what is asked for, and the geometry of the figures. */
import { beforeEach, describe, expect, test, vi } from "vitest";
import { type Backend } from "../../src/backend/backend";
import { Entries } from "../../src/backend/recorded/entries";
import { NOW } from "../../src/backend/recorded/cards";
import type { Call, HistoryPage, Reply } from "../../src/generated/ipc";
import { dayStart, dayTyped, NO_FILTERS, queryOf, timeInWords, typedDay } from "../../src/history/filters";
import { endOf, HistoryList, PAGE } from "../../src/history/list.svelte";
import { along, bars, labelled, scale } from "../../src/history/plots";
import { sameDay } from "../../src/text/time";

/** A backend whose answers come when the test says so, in any order. */
function held(entries: Entries, change: (page: HistoryPage) => HistoryPage = (page) => page) {
  const open: { call: Extract<Call, { call: "history" }>; answer: () => void; refuse: () => void }[] = [];
  const backend: Backend = {
    call: (call) =>
      new Promise<Reply>((done, refuse) => {
        if (call.call !== "history") throw new Error(call.call);
        const { rows, total } = entries.page(call.query, call.at, call.limit);
        const page = change({ rows, at: call.at, total, all: entries.count + entries.newer, filling: null, trouble: null });
        open.push({ call, answer: () => done({ reply: "history", page }), refuse: () => refuse(new Error("gone")) });
      }),
    onEvent: () => Promise.resolve(),
  };
  return { backend, open, async next(at = 0) { open.splice(at, 1)[0]?.answer(); await flush(); } };
}
const flush = async () => { for (let n = 0; n < 20; n++) await Promise.resolve(); };

describe("the list", () => {
  let entries: Entries;
  beforeEach(() => { entries = new Entries(1_000_000); });

  test("reads what is on screen and one row more, and knows where days begin", async () => {
    const { backend, open, next } = held(entries);
    const list = new HistoryList(backend);
    void list.ask(NOW);
    expect(open.map(({ call }) => [call.at, call.limit])).toEqual([[0, PAGE]]);
    await next();
    expect([list.total, list.all, list.layout.count, list.row(0)?.txn, list.row(PAGE)]).toEqual([1_000_000, 1_000_000, 1_000_000, "old-0", undefined]);
    list.want(500_050, 500_060);
    expect(open.map(({ call }) => [call.at, call.limit])).toEqual([[499_999, PAGE + 1]]);
    await next();
    expect([list.row(500_000)?.txn, list.row(500_099)?.txn, list.indexOf("old-500042")]).toEqual(["old-500000", "old-500099", 500_042]);
    const begins = (n: number) => !sameDay(endOf(entries.page(list.query, n - 1, 1).rows[0]!), endOf(entries.page(list.query, n, 1).rows[0]!));
    for (let n = 500_000; n < 500_100; n++) expect(list.layout.hasHeading(n), String(n)).toBe(begins(n));
  });
  test("the last question wins, whatever order the answers come in", async () => {
    const { backend, open, next } = held(entries);
    const list = new HistoryList(backend);
    void list.ask(NOW);
    await next();
    list.set({ text: "del" });
    void list.ask(NOW);
    list.set({ text: "dele aino" });
    void list.ask(NOW);
    expect([open.length, list.stale, list.row(0)?.txn]).toEqual([2, true, "old-0"]);
    await next(1);
    const [first, total] = [list.row(0)?.txn, list.total];
    expect([list.stale, list.epoch]).toEqual([false, 2]);
    await next(0);
    expect([list.row(0)?.txn, list.total, list.epoch]).toEqual([first, total, 2]);
    expect(first).toBe(entries.page(list.query, 0, 1).rows[0]?.txn);
    // The same question is not asked twice.
    void list.ask(NOW);
    expect(open.length).toBe(0);
  });
  test("asks for two pages at a time, and first for what is on screen now", async () => {
    const { backend, open, next } = held(entries);
    const list = new HistoryList(backend);
    void list.ask(NOW);
    await next();
    for (let at = 1000; at < 100_000; at += 1000) list.want(at, at + 30);
    expect(open.map(({ call }) => call.at)).toEqual([999, 1999]);
    await next();
    expect(open.map(({ call }) => call.at)).toEqual([1999, 98_999]);
  });
  test("keeps few pages", async () => {
    const { backend, next } = held(entries);
    const list = new HistoryList(backend);
    void list.ask(NOW);
    await next();
    for (let page = 1; page < 120; page++) {
      list.want(page * PAGE, page * PAGE + 20);
      await next();
    }
    const kept = Array.from({ length: 120 }, (_, page) => list.row(page * PAGE) !== undefined).filter(Boolean).length;
    expect([kept, list.row(119 * PAGE)?.txn, list.row(0)]).toEqual([40, "old-11900", undefined]);
  });
  test("what is on screen is read again when something came, and nothing older stays", async () => {
    const { backend, open, next } = held(entries);
    const list = new HistoryList(backend);
    void list.ask(NOW);
    await next();
    list.want(5000, 5020);
    await next();
    entries.newer = 3;
    void list.renew();
    expect([open.map(({ call }) => call.at), list.row(5000)?.txn]).toEqual([[4999], "old-5000"]);
    await next();
    expect([list.row(5003)?.txn, list.indexOf("old-5000"), list.total, list.epoch, list.row(0)]).toEqual(["old-5000", 5003, 1_000_003, 1, undefined]);
  });
  test("a change does not take a question's answer away, and many changes are one", async () => {
    const { backend, open, next } = held(entries);
    const list = new HistoryList(backend);
    void list.ask(NOW);
    await next();
    list.want(5000, 5020);
    await next();
    list.set({ text: "deploy" });
    void list.ask(NOW);
    void list.renew();
    void list.renew();
    expect(open.length).toBe(1);
    await next();
    // From its top, and once more for what changed.
    expect([list.epoch, list.stale, open.map(({ call }) => [call.query.text, call.at])]).toEqual([2, false, [["deploy", 0]]]);
    void list.renew();
    void list.renew();
    await next();
    await next();
    expect([open.length, list.epoch]).toEqual([0, 2]);
  });
  test("has rows before they are counted, and the count once it is there", async () => {
    vi.useFakeTimers();
    try {
      let counted = false;
      const { backend, open, next } = held(entries, (page) => ({ ...page, total: counted ? page.total : null }));
      const list = new HistoryList(backend);
      void list.ask(NOW);
      await next();
      expect([list.total, list.layout.count]).toEqual([null, 2 * PAGE]);
      await vi.advanceTimersByTimeAsync(250);
      await next();
      expect(list.total).toBeNull();
      counted = true;
      await vi.advanceTimersByTimeAsync(500);
      expect(open[0]?.call.limit).toBe(1);
      await next();
      expect([list.total, list.layout.count, list.row(1)?.txn]).toEqual([1_000_000, 1_000_000, "old-1"]);
      await vi.advanceTimersByTimeAsync(60_000);
      expect(open.length).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
  test("says what went wrong, and goes on with the next question", async () => {
    const { backend, open, next } = held(entries);
    const list = new HistoryList(backend);
    void list.ask(NOW);
    open.shift()?.refuse();
    await flush();
    expect([list.problem?.code, list.ready]).toEqual(["other", false]);
    void list.ask(NOW);
    await next();
    expect([list.problem, list.ready]).toEqual([null, true]);
  });
});

describe("filters", () => {
  test("are asked for as the device stores it", () => {
    const person = { id: "p1", name: { indent: 0, spans: [] }, issuer: { indent: 0, spans: [] }, count: 1 };
    expect(queryOf({ text: " a ", mine: true, outcomes: ["approved", "voided"], kinds: ["sql"], person, time: { time: "last", days: 7 }, account: "x" }, NOW)).toEqual({
      text: "a", mine: true, outcomes: ["approved", "redeemed", "voided"], kinds: ["sql"], person: "p1", from: dayStart(NOW, -7), until: null, account: "x",
    });
  });
  test("both days of a range are counted in", () => {
    const at = dayTyped("2026-03-01") as number;
    expect(queryOf({ ...NO_FILTERS, time: { time: "range", from: at, to: at } }, NOW)).toMatchObject({ from: at, until: at + 86_400 });
    expect(timeInWords({ time: "range", from: at, to: at })).toBe("1 March 2026");
    expect(timeInWords({ time: "range", from: null, to: at })).toBe("Until 1 March 2026");
  });
  test.each([["2026-11-22", "2026-11-22"], ["22.11.2026", "2026-11-22"], ["1. 2.2026", "2026-02-01"], ["", null], ["2026-02-30", undefined], ["soon", undefined], ["11/22/2026", undefined]])("a day typed: %s", (text, day) => {
    const typed = dayTyped(text);
    expect(typeof typed === "number" ? typedDay(typed) : typed).toBe(day);
  });
});

describe("figures", () => {
  test("scales count in round steps", () => {
    expect([0, 1, 2, 3, 7, 126, 1284, 90_000].map((most) => scale(most).ticks)).toEqual([[0, 1], [0, 1], [0, 1, 2], [0, 2], [0, 5], [0, 50, 100], [0, 500, 1000], [0, 50_000]]);
    for (const most of [1, 9, 126, 99_999]) expect(scale(most).top).toBeGreaterThanOrEqual(most);
  });
  test("many weeks share bars, and none is lost", () => {
    const weeks = Array.from({ length: 500 }, (_, n) => ({ starts: n * 604_800, approved: n, denied: 1 }));
    const made = bars(weeks);
    expect([made.each, made.bars.length <= 53]).toEqual([10, true]);
    expect(made.bars.reduce((all, bar) => all + bar.approved + bar.denied, 0)).toBe((499 * 500) / 2 + 500);
    expect(bars([])).toEqual({ each: 1, bars: [] });
  });
  test("labels keep apart", () => {
    expect([labelled(13, 3), labelled(2, 3), labelled(1, 3), labelled(0, 3)]).toEqual([[0, 6, 12], [0, 1], [0], []]);
  });
  test("the median lies within its span", () => {
    const spans = [{ from_secs: 0, to_secs: 30, count: 1 }, { from_secs: 30, to_secs: 60, count: 1 }, { from_secs: 60, to_secs: null, count: 1 }];
    expect([along(spans, 0), along(spans, 45), along(spans, 900), along([], 5)]).toEqual([0, 1.5, 2.5, null]);
  });
});
