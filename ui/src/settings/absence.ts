/** A leave in the making: what is filled in at first, and why one cannot be set yet. Pure. */
import type { AbsenceView } from "../generated/ipc";
import { dayOf, momentOf } from "./times";

/** The longest leave that a server takes. */
export const MOST_DAYS = 90;

export interface Leave {
  /** Unix seconds; null: as soon as it is set. */
  readonly from: number | null;
  /** Unix seconds. */
  readonly until: number;
  /** {@link Colleague.id}; null: nobody. */
  readonly standIn: string | null;
}

const DAY_SECS = 86_400;

/** From now to eight in the morning, tomorrow. */
export const fresh = (now: number): Leave => ({ from: null, until: momentOf(dayOf(now + DAY_SECS), 8 * 60), standIn: null });

export const ofAbsence = (absence: AbsenceView): Leave => ({ from: absence.from, until: absence.until, standIn: absence.stand_in?.id ?? null });

export type Fault = "over" | "backwards" | "long";

/** Why this cannot be set; null: it can. */
export function faultOf(leave: Leave, now: number): Fault | null {
  const from = leave.from ?? now;
  if (leave.until <= now) return "over";
  if (leave.until <= from) return "backwards";
  return leave.until - from > MOST_DAYS * DAY_SECS ? "long" : null;
}

export const same = (a: Leave, b: Leave) => a.from === b.from && a.until === b.until && a.standIn === b.standIn;
