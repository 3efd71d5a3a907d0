/**
 * A storm: many requests that are alike (the same account, person, kind, deed and resource), as one row. Opening it shows
 * them all; each is still decided on its own, because a signature names one operation. Pure.
 */
import type { Row } from "../generated/ipc";
import { plain } from "../text/line";

/** So many alike become one row. The agent's notifications collapse at the same number (`COLLAPSE_AT`). */
export const STORM_AT = 4;

export interface Storm {
  /** Names it for as long as it lasts. */
  readonly key: string;
  /** In the order of the list. */
  readonly rows: readonly Row[];
}

export type Entry = { readonly entry: "row"; readonly row: Row } | { readonly entry: "storm"; readonly storm: Storm };

/** What the row says is done: another deed is not alike. */
const deed = (row: Row) => row.summary.spans.find((span) => span.role === "verb")?.text ?? null;
/** A request that does not verify has nobody behind it, and is like no other. */
const likeness = (row: Row) => JSON.stringify([row.account, row.kind, row.requester_id ?? row.txn, deed(row), row.irreversible, plain(row.resource)]);

/** The list with each storm as one entry, where its most urgent request stands. */
export function entries(rows: readonly Row[]): Entry[] {
  const alike = new Map<string, Row[]>();
  for (const row of rows) {
    const key = likeness(row);
    const others = alike.get(key);
    if (others === undefined) alike.set(key, [row]);
    else others.push(row);
  }
  const told = new Set<string>();
  const list: Entry[] = [];
  for (const row of rows) {
    const key = likeness(row);
    const members = alike.get(key) ?? [];
    if (members.length < STORM_AT) list.push({ entry: "row", row });
    else if (!told.has(key)) {
      told.add(key);
      list.push({ entry: "storm", storm: { key, rows: members } });
    }
  }
  return list;
}

/** The storm as it is now: what has left the list stays where it was, what has come is added. */
export function renewed(storm: Storm, rows: readonly Row[]): Storm {
  const byTxn = new Map(rows.map((row) => [row.txn, row]));
  const known = new Set(storm.rows.map((row) => row.txn));
  const come = rows.filter((row) => !known.has(row.txn) && likeness(row) === storm.key);
  return { key: storm.key, rows: [...storm.rows.map((row) => byTxn.get(row.txn) ?? row), ...come] };
}
