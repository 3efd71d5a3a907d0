/** What the history is filtered by: as a person chooses it, as it is asked for, and in words. Pure. */
import type { HistoryQuery, Kind, Outcome, PersonChoice } from "../generated/ipc";
import { t } from "../text";
import { enumerate } from "../text/line";
import { date } from "../text/time";

/** What came of it, as a person thinks of it, not how it is stored. */
export const OUTCOMES = { approved: ["approved", "redeemed"], denied: ["denied"], expired: ["expired"], withdrawn: ["withdrawn"], voided: ["voided"] } as const satisfies Record<string, readonly Outcome[]>;
export type OutcomeFilter = keyof typeof OUTCOMES;
export const KINDS = ["sql", "http", "command", "tool", "other"] as const satisfies readonly Kind[];
export const DAYS = [7, 30, 90] as const;

/** When: the last days, or from one day to another, both counted in. */
export type Time = { readonly time: "any" } | { readonly time: "last"; readonly days: number } | { readonly time: "range"; readonly from: number | null; readonly to: number | null };

export interface Filters {
  readonly text: string;
  readonly mine: boolean;
  readonly outcomes: readonly OutcomeFilter[];
  readonly kinds: readonly Kind[];
  readonly person: PersonChoice | null;
  readonly time: Time;
  /** Of which account; null: of all. */
  readonly account: string | null;
}

export const NO_FILTERS: Filters = { text: "", mine: false, outcomes: [], kinds: [], person: null, time: { time: "any" }, account: null };

/** The first second of a day here, so many days later. */
export function dayStart(secs: number, later = 0): number {
  const day = new Date(secs * 1000);
  return Math.floor(new Date(day.getFullYear(), day.getMonth(), day.getDate() + later).getTime() / 1000);
}

/** As it is asked for. `now` counts by the day: the question stays the same until midnight. */
export function queryOf(filters: Filters, now: number): HistoryQuery {
  const { time } = filters;
  const [from, until] =
    time.time === "any" ? [null, null] : time.time === "last" ? [dayStart(now, -time.days), null] : [time.from, time.to === null ? null : dayStart(time.to, 1)];
  return {
    text: filters.text.trim(),
    outcomes: filters.outcomes.flatMap((outcome) => [...OUTCOMES[outcome]]),
    kinds: [...filters.kinds],
    mine: filters.mine,
    person: filters.person?.id ?? null,
    from,
    until,
    account: filters.account,
  };
}

/** A day as it is typed: `2026-11-22`, or `22.11.2026`. Null: none; undefined: not a day. */
export function dayTyped(text: string): number | null | undefined {
  const trimmed = text.trim();
  if (trimmed === "") return null;
  const iso = /^(\d{4})-(\d{1,2})-(\d{1,2})$/.exec(trimmed);
  const dotted = /^(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})$/.exec(trimmed);
  const [year, month, day] = (iso !== null ? [iso[1], iso[2], iso[3]] : [dotted?.[3], dotted?.[2], dotted?.[1]]).map(Number);
  if (year === undefined || month === undefined || day === undefined || Number.isNaN(year)) return undefined;
  const at = new Date(year, month - 1, day);
  return at.getFullYear() === year && at.getMonth() === month - 1 && at.getDate() === day ? Math.floor(at.getTime() / 1000) : undefined;
}

/** A day as it would be typed. */
export function typedDay(secs: number | null): string {
  if (secs === null) return "";
  const day = new Date(secs * 1000);
  return [String(day.getFullYear()).padStart(4, "0"), String(day.getMonth() + 1).padStart(2, "0"), String(day.getDate()).padStart(2, "0")].join("-");
}

export function timeInWords(time: Time): string | null {
  if (time.time === "any") return null;
  if (time.time === "last") return t.lastDays({ days: time.days });
  const [from, to] = [time.from, time.to].map((secs) => (secs === null || secs === undefined ? null : date(secs)));
  if (from && to) return from === to ? from : t.fromTo({ from, to });
  if (from) return t.fromOn({ from });
  return to ? t.untilDay({ to }) : null;
}

/** `Denied, expired`: what is chosen of a few, or null. */
export function chosen(names: readonly string[]): string | null {
  if (names.length === 0) return null;
  return enumerate(names.length, t.locale).map((part) => (typeof part === "number" ? names[part] : part)).join("");
}
