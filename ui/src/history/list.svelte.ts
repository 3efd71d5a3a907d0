/** The list of past requests: what is searched for, the pages read so far, grouped by day. */
import { ask, problemOf, type Backend } from "../backend/backend";
import type { HistoryQuery, Outcome, Problem, Row } from "../generated/ipc";
import { dayHeading, sameDay } from "../text/time";

/** What a person filters by: what came of it, not how it is stored. */
export type OutcomeFilter = "approved" | "denied" | "lapsed";

export const FILTERS: Record<OutcomeFilter, readonly Outcome[]> = {
  approved: ["approved", "redeemed"],
  denied: ["denied"],
  lapsed: ["expired", "withdrawn", "voided"],
};

export class HistoryList {
  text = $state("");
  mine = $state(false);
  /** Of which account; null: the first one. */
  account = $state<string | null>(null);
  outcomes = $state.raw<ReadonlySet<OutcomeFilter>>(new Set());
  rows = $state.raw<readonly Row[]>([]);
  next = $state<string | null>(null);
  problem = $state.raw<Problem | null>(null);
  reading = $state(false);
  /** Read at least once. */
  ready = $state(false);

  #reads = 0;

  constructor(readonly backend: Backend) {}

  get filtered() {
    return this.text.trim() !== "" || this.mine || this.outcomes.size > 0;
  }

  toggle(filter: OutcomeFilter) {
    const outcomes = new Set(this.outcomes);
    if (!outcomes.delete(filter)) outcomes.add(filter);
    this.outcomes = outcomes;
  }

  #query(cursor: string | null): HistoryQuery {
    return { text: this.text.trim(), outcomes: [...this.outcomes].flatMap((filter) => [...FILTERS[filter]]), mine: this.mine, cursor };
  }

  /** Reads from the top. The last one asked for wins. */
  async read() {
    await this.#page(null);
  }

  /** Reads the page after. */
  async more() {
    if (this.next !== null && !this.reading) await this.#page(this.next);
  }

  async #page(cursor: string | null) {
    const read = ++this.#reads;
    this.reading = true;
    try {
      const { page } = await ask(this.backend, { call: "history", query: this.#query(cursor), account: this.account }, "history");
      if (read !== this.#reads) return;
      this.rows = cursor === null ? page.rows : [...this.rows, ...page.rows];
      this.next = page.next;
      this.problem = null;
      this.ready = true;
    } catch (thrown) {
      if (read === this.#reads) this.problem = problemOf(thrown);
    } finally {
      if (read === this.#reads) this.reading = false;
    }
  }
}

/** When it ended; a request whose end is not known stands where voting ended. */
export const endOf = (row: Row) => row.ended_at ?? row.expires_at;

/** The heading over a row: that of its day, where the row before it is of another; null: none. */
export function headings(now: number): (row: Row, before: Row | undefined) => string | null {
  return (row, before) => (before !== undefined && sameDay(endOf(before), endOf(row)) ? null : dayHeading(endOf(row), now));
}
