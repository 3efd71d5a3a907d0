/**
 * A history of any length, computed and not stored: entry `n` is always the same, so that a million of them take no
 * memory but the places of those that a question selects.
 */
import type { Figures, HistoryQuery, Kind, Outcome, PersonChoice, Row } from "../../generated/ipc";
import { NOW, row } from "./cards";
import { line } from "./lines";

const WHO = ["Aino Korhonen", "Mara Lindqvist", "Tomas Wren", "Idris Halloran", "Ruben Achterberg", "Ines Okafor", "Tove Sandström", "Jonas Petersen", "Layla Haddad", "ops-assistant", "release pipeline", "schema-migrator", "Noa Ben-Ami", "Wei Chen", "Sanne de Wit", "Pilar Ruiz"] as const;
const WHAT: readonly (readonly [string, Kind, string])[] = [
  ["Delete tenant", "http", "billing-api"], ["Update prices of order", "sql", "catalog-prod"], ["Delete rows of tenant", "sql", "orders-prod"], ["Deploy build", "command", "deploy-prod"],
  ["Call refund_payment for", "tool", "payments"], ["Drop partition", "sql", "orders-prod"], ["Grant read on ledger", "sql", "ledger-prod"], ["Restart node", "command", "cluster-eu"],
];
/** One every so many seconds. */
const EVERY = 300;

/** Well mixed bits of a number. */
const mixed = (n: number, salt: number) => {
  let x = (Math.imul(n + 1, 0x9e3779b1) ^ Math.imul(salt, 0x85ebca6b)) >>> 0;
  x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d) >>> 0;
  return (x ^ (x >>> 12)) >>> 0;
};
const whoOf = (n: number) => mixed(n, 1) % WHO.length;
const whatOf = (n: number) => mixed(n, 2) % WHAT.length;
const outcomeOf = (n: number): Outcome => {
  const of = mixed(n, 3) % 100;
  return of < 82 ? "redeemed" : of < 85 ? "approved" : of < 93 ? "denied" : of < 97 ? "expired" : of < 99 ? "withdrawn" : "voided";
};
const endedAt = (n: number) => NOW - (n < 0 ? 0 : n * EVERY + (mixed(n, 4) % EVERY) + 40);
const mine = (n: number) => mixed(n, 5) % 8 === 0 && !["expired", "withdrawn"].includes(outcomeOf(n));
const secsOf = (n: number) => Math.floor(8 + 70 * ((mixed(n, 6) % 1000) / 1000) ** 2 + ((mixed(n, 7) % 100) / 100) ** 6 * 500);

export function entry(n: number): Row {
  const [what, kind, where] = WHAT[whatOf(n)] ?? ["", "other", ""];
  const who = WHO[whoOf(n)] ?? "";
  const [outcome, ended] = [outcomeOf(n), endedAt(n)];
  const good = outcome === "redeemed" || outcome === "approved";
  const words = who.split(/[ -]/);
  return {
    ...row({ txn: `old-${n}`, kind, requester: line(who), initials: `${words[0]?.[0] ?? ""}${words.at(-1)?.[0] ?? ""}`.toUpperCase(), summary: line(`${what} ${n}`), resource: line(where), age: 0, left: 0, approvals: good ? 2 : 0, needed: 2 }),
    asked_at: ended - secsOf(n),
    expires_at: ended + 200,
    outcome,
    ended_at: ended,
    ended_by: outcome === "denied" ? line(mine(n) ? "Elin Varga" : "Jonas Petersen") : null,
  };
}

/** The places that a question selects, newest first; null: all of them. */
function places(count: number, query: HistoryQuery): Int32Array | null {
  const words = query.text.toLocaleLowerCase().split(/\s+/).filter((word) => word !== "");
  if (words.length === 0 && !query.mine && query.outcomes.length === 0 && query.kinds.length === 0 && query.person === null && query.from === null && query.until === null) return null;
  // By the few things that an entry is made of; only its number is its own.
  const has = (text: string) => words.map((word) => text.toLocaleLowerCase().split(/[\s_-]+/).some((own) => own.startsWith(word)));
  const [who, what] = [WHO.map(has), WHAT.map(([text, , where]) => has(`${text} ${where}`))];
  const said = (n: number) => words.every((word, w) => who[whoOf(n)]?.[w] === true || what[whatOf(n)]?.[w] === true || String(n).startsWith(word));
  const kept: number[] = [];
  for (let n = 0; n < count; n++) {
    const ended = endedAt(n);
    if (query.until !== null && ended >= query.until) continue;
    if (query.from !== null && ended < query.from) break;
    if (query.mine && !mine(n)) continue;
    if (query.outcomes.length > 0 && !query.outcomes.includes(outcomeOf(n))) continue;
    if (query.kinds.length > 0 && !query.kinds.includes(WHAT[whatOf(n)]?.[1] ?? "other")) continue;
    if (query.person !== null && WHO[whoOf(n)] !== query.person) continue;
    if (words.length > 0 && !said(n)) continue;
    kept.push(n);
  }
  return Int32Array.from(kept);
}

/** Answers questions about so many entries. */
export class Entries {
  /** So many came since: they are numbered below nought. */
  newer = 0;
  #last: { key: string; places: Int32Array | null } | undefined;

  constructor(readonly count: number) {}

  #of(query: HistoryQuery): Int32Array | null {
    const key = JSON.stringify(query);
    if (this.#last?.key !== key) this.#last = { key, places: places(this.count, query) };
    return this.#last.places;
  }

  page(query: HistoryQuery, at: number, limit: number): { rows: Row[]; total: number } {
    const found = this.#of(query);
    const total = found?.length ?? this.count + this.newer;
    const rows = Array.from({ length: Math.max(0, Math.min(limit, total - at)) }, (_, n) => entry(found === null ? at + n - this.newer : (found[at + n] ?? 0)));
    return { rows, total };
  }

  people(text: string): PersonChoice[] {
    const wanted = text.toLocaleLowerCase();
    return WHO.map((who, n) => ({ id: who, name: line(who), issuer: line(who.includes("-") || who.includes("pipeline") ? "ci.example.com" : "login.example.com"), count: Math.floor(this.count / WHO.length) - n * 7 }))
      .filter(({ id, count }) => count > 0 && id.toLocaleLowerCase().split(/[\s-]/).some((word) => word.startsWith(wanted)))
      .slice(0, 50);
  }

  /** Of the person's own votes among what a question selects: the newest forty thousand are enough to see. */
  figures(query: HistoryQuery): Figures {
    const found = this.#of(query);
    const WEEK = 7 * 86_400;
    const FROM = [0, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600];
    const monday = (secs: number) => secs - ((secs - 4 * 86_400) % WEEK);
    const mineOf = Array.from({ length: Math.min(40_000, found?.length ?? this.count) }, (_, n) => (found === null ? n : (found[n] ?? 0))).filter(mine);
    const took = mineOf.map(secsOf).sort((a, b) => a - b);
    const weeks = new Map<number, { starts: number; approved: number; denied: number }>();
    const kinds = new Map<Kind, { kind: Kind; approved: number; denied: number }>();
    const last = monday(NOW);
    for (let n = 0; n < 53 && mineOf.length > 0 && last - n * WEEK >= monday(endedAt(mineOf.at(-1) ?? 0)); n++) weeks.set(last - n * WEEK, { starts: last - n * WEEK, approved: 0, denied: 0 });
    for (const n of mineOf) {
      const what = outcomeOf(n) === "denied" ? "denied" : "approved";
      const week = weeks.get(monday(endedAt(n)));
      if (week !== undefined) week[what] += 1;
      const kind = WHAT[whatOf(n)]?.[1] ?? "other";
      const of = kinds.get(kind) ?? { kind, approved: 0, denied: 0 };
      of[what] += 1;
      kinds.set(kind, of);
    }
    return {
      voted: mineOf.length,
      denied: mineOf.filter((n) => outcomeOf(n) === "denied").length,
      median_secs: took[Math.floor(took.length / 2)] ?? null,
      median_all_secs: mineOf.length === 0 ? null : 112,
      weeks: [...weeks.values()].sort((a, b) => a.starts - b.starts),
      times: FROM.map((from, n) => ({ from_secs: from, to_secs: FROM[n + 1] ?? null, count: took.filter((secs) => secs >= from && secs < (FROM[n + 1] ?? Infinity)).length })),
      kinds: [...kinds.values()].sort((a, b) => b.approved + b.denied - a.approved - a.denied),
    };
  }
}
