/**
 * The list of past requests by position: what is asked for, the pages that were read of it, and on which rows a day
 * begins. It is fed from the device's own copy, so nothing here waits for the network. Any number of rows: only the
 * pages near what is on screen are kept.
 */
import { ask, problemOf, type Backend } from "../backend/backend";
import type { Filling, HistoryPage, HistoryQuery, Problem, Row } from "../generated/ipc";
import { sameDay } from "../text/time";
import { NO_FILTERS, queryOf, type Filters } from "./filters";
import { Layout } from "./layout";

/** Rows on a page. One more is asked for, the row before: whether a day begins is known for each. */
export const PAGE = 100;
/** So many pages are kept. */
const KEPT = 40;
/** So many questions at once. */
const AT_ONCE = 2;

export class HistoryList {
  filters = $state.raw<Filters>(NO_FILTERS);
  /** Rows that the question selects; null while they are being counted. */
  total = $state.raw<number | null>(null);
  /** Rows that there are in all. */
  all = $state(0);
  filling = $state.raw<Filling | null>(null);
  problem = $state.raw<Problem | null>(null);
  /** Not in order with what this device holds. */
  trouble = $state.raw<Problem | null>(null);
  /** Answered at least once. */
  ready = $state(false);
  /** What is on screen is still the answer to the question before. */
  stale = $state(false);
  /** Grows with each new question that was answered: the list begins at its top again. */
  epoch = $state(0);
  /** The figures are shown in place of a card. */
  figures = $state(false);
  layout = $state.raw(new Layout(0));

  /** Grows with each page that was read. */
  #version = $state(0);
  #pages = new Map<number, readonly Row[]>();
  #days = new Set<number>();
  /** How many rows are known to be there, while they are being counted. */
  #seen = 0;
  #query: HistoryQuery = queryOf(NO_FILTERS, 0);
  #key = "";
  /** Grows with each question and each renewal: what answers an earlier one is dropped. */
  #turn = 0;
  #asking = new Set<number>();
  /** The list is read anew right now, and something changed meanwhile. */
  #running = false;
  #again = false;
  #wanted: readonly [number, number] = [0, 0];
  #counting: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly backend: Backend) {}

  get filtered() {
    const { text, mine, outcomes, kinds, person, time } = this.filters;
    return text.trim() !== "" || mine || outcomes.length > 0 || kinds.length > 0 || person !== null || time.time !== "any";
  }

  get query(): HistoryQuery {
    return this.#query;
  }

  set(change: Partial<Filters>) {
    this.filters = { ...this.filters, ...change };
  }

  /** The row at a position; undefined while it is not read. */
  row(index: number): Row | undefined {
    void this.#version;
    return this.#pages.get(Math.floor(index / PAGE))?.[index % PAGE];
  }

  /** The position of a request among the rows that are read. */
  indexOf(txn: string): number | null {
    void this.#version;
    for (const [page, rows] of this.#pages) {
      const at = rows.findIndex((row) => row.txn === txn);
      if (at >= 0) return page * PAGE + at;
    }
    return null;
  }

  /** Asks what the filters say, from the top. The last question wins; the same question is not asked twice. */
  async ask(now: number) {
    const query = queryOf(this.filters, now);
    const key = JSON.stringify(query);
    if (key === this.#key && this.problem === null) return;
    this.#key = key;
    this.#query = query;
    this.stale = this.ready;
    await this.#anew([0], true);
  }

  /** Something came or changed: what is on screen is read again, and stays where it is. */
  async renew() {
    if (this.#key === "") return;
    // A question on its way is answered first, and many changes are one.
    if (this.#running) {
      this.#again = true;
      return;
    }
    const [from, to] = this.#wanted;
    const first = Math.floor(from / PAGE);
    await this.#anew(Array.from({ length: Math.min(KEPT, Math.floor(to / PAGE) - first + 1) }, (_, n) => first + n), false);
  }

  /** What is on screen: it is read if it is not yet. */
  want(from: number, to: number) {
    this.#wanted = [from, to];
    this.#pump();
  }

  /** Reads some pages and lets go of all others. */
  async #anew(pages: readonly number[], top: boolean) {
    const turn = ++this.#turn;
    this.#running = true;
    clearTimeout(this.#counting);
    this.#asking = new Set(pages);
    try {
      const read = await Promise.all(pages.map(async (page) => [page, await this.#read(page)] as const));
      if (turn !== this.#turn) return;
      this.#pages = new Map();
      this.#days = new Set();
      this.#seen = 0;
      if (top) this.#wanted = [0, 0];
      for (const [page, got] of read) this.#put(page, got);
      this.ready = true;
      if (top) this.epoch += 1;
      this.#settle();
    } catch (thrown) {
      if (turn === this.#turn) this.problem = problemOf(thrown);
    } finally {
      if (turn === this.#turn) {
        this.stale = false;
        this.#running = false;
        this.#asking = new Set();
        this.#pump();
        if (this.#again) {
          this.#again = false;
          void this.renew();
        }
      }
    }
  }

  async #read(page: number): Promise<HistoryPage & { before: number }> {
    const at = Math.max(0, page * PAGE - 1);
    const { page: got } = await ask(this.backend, { call: "history", query: this.#query, at, limit: PAGE + page * PAGE - at }, "history");
    return { ...got, before: page * PAGE - at };
  }

  #put(page: number, got: HistoryPage & { before: number }) {
    const rows = got.rows.slice(got.before);
    let before = got.before > 0 ? got.rows[0] : undefined;
    rows.forEach((row, n) => {
      if (before === undefined || !sameDay(endOf(before), endOf(row))) this.#days.add(page * PAGE + n);
      else this.#days.delete(page * PAGE + n);
      before = row;
    });
    this.#pages.set(page, rows);
    this.#seen = Math.max(this.#seen, page * PAGE + rows.length + (rows.length === PAGE ? PAGE : 0));
    this.total = got.total;
    this.all = got.all;
    this.filling = got.filling;
    this.trouble = got.trouble;
    this.problem = null;
  }

  /** Lets go of pages that are far from what is on screen, and draws what there is. */
  #settle() {
    const middle = (this.#wanted[0] + this.#wanted[1]) / 2 / PAGE;
    const far = [...this.#pages.keys()].sort((a, b) => Math.abs(b - middle) - Math.abs(a - middle));
    for (const page of far.slice(0, Math.max(0, far.length - KEPT))) this.#pages.delete(page);
    const count = this.total ?? this.#seen;
    this.layout = new Layout(count, [...this.#days].filter((row) => row < count).sort((a, b) => a - b));
    this.#version += 1;
    clearTimeout(this.#counting);
    if (this.total === null) this.#count(this.#turn, 250);
  }

  /** Asks again until the rows are counted. */
  #count(turn: number, wait: number) {
    this.#counting = setTimeout(async () => {
      try {
        const { page } = await ask(this.backend, { call: "history", query: this.#query, at: 0, limit: 1 }, "history");
        if (turn !== this.#turn || this.total !== null) return;
        if (page.total === null) return this.#count(turn, Math.min(4000, wait * 2));
        this.total = page.total;
        this.#settle();
      } catch (thrown) {
        if (turn === this.#turn) this.problem = problemOf(thrown);
      }
    }, wait);
  }

  /** Reads what is wanted and not there, a few pages at a time, those on screen now before those that were. */
  #pump() {
    if (!this.ready || this.problem !== null) return;
    const count = this.layout.count;
    const [from, to] = this.#wanted.map((row) => Math.floor(Math.max(0, Math.min(count - 1, row)) / PAGE)) as [number, number];
    for (let page = from; page <= to && this.#asking.size < AT_ONCE; page++) {
      if (count > 0 && !this.#pages.has(page) && !this.#asking.has(page)) void this.#one(page);
    }
  }

  async #one(page: number) {
    const turn = this.#turn;
    this.#asking.add(page);
    try {
      const got = await this.#read(page);
      if (turn !== this.#turn) return;
      this.#put(page, got);
      this.#settle();
    } catch (thrown) {
      if (turn === this.#turn) this.problem = problemOf(thrown);
    } finally {
      if (turn === this.#turn) {
        this.#asking.delete(page);
        this.#pump();
      }
    }
  }
}

/** When it ended; a request whose end is not known stands where voting ended. */
export const endOf = (row: Row) => row.ended_at ?? row.expires_at;
