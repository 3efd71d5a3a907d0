/**
 * The rows on screen. While the pointer is in the list nothing under it moves: new rows wait below a line
 * "2 new", and a row that is over stays where it is, with a word instead of the time. Pure.
 */
import type { Row } from "../generated/ipc";

export interface Held {
  /** On screen, in this order. */
  readonly rows: readonly Row[];
  /** On screen, but no longer in the list: over, or moved elsewhere. */
  readonly gone: ReadonlySet<string>;
  /** In the list, but not on screen yet. */
  readonly waiting: number;
}

export const NOTHING: Held = { rows: [], gone: new Set(), waiting: 0 };

/** The request whose card is open. */
export interface Open {
  readonly txn: string;
  /** As its card has it: newer than a row that has left the list. */
  readonly row: Row | null;
}

/**
 * @param shown what is on screen now
 * @param fresh the list as it is
 * @param hold whether the pointer is in the list
 * @param open the request whose card is open: its row stays until another card is opened
 */
export function held(shown: Held, fresh: readonly Row[], hold: boolean, open: Open | null): Held {
  const byTxn = new Map(fresh.map((row) => [row.txn, row]));
  const was = new Set(shown.rows.map((row) => row.txn));
  const stays = (row: Row) => byTxn.has(row.txn) || hold || row.txn === open?.txn;
  const newest = (row: Row) => byTxn.get(row.txn) ?? (row.txn === open?.txn ? open.row : null) ?? row;

  const kept = shown.rows.filter(stays).map(newest);
  const gone = new Set(kept.filter((row) => !byTxn.has(row.txn)).map((row) => row.txn));
  if (hold) {
    return { rows: kept, gone, waiting: fresh.filter((row) => !was.has(row.txn)).length };
  }
  // The list's own order; a row that is over keeps its place behind the row that it stood behind.
  const rows: Row[] = [...fresh];
  kept.forEach((row, at) => {
    if (!gone.has(row.txn)) return;
    const before = kept.slice(0, at).reverse().find((other) => rows.includes(other));
    rows.splice(before === undefined ? 0 : rows.indexOf(before) + 1, 0, row);
  });
  return { rows, gone, waiting: 0 };
}
