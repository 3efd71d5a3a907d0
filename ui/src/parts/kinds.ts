/** The icon of each kind of request and of each way in which one ends. */
import type { Kind, Outcome } from "../generated/ipc";
import type { IconName } from "./icons";

export const kindIcon: Record<Kind, IconName> = { http: "http", sql: "db", command: "term", tool: "tool", other: "info" };

/** A shape and a tone, never a tone alone. */
export const outcomeIcon: Record<Outcome, { icon: IconName; tone: string }> = {
  pending: { icon: "clock", tone: "q2" },
  approved: { icon: "check", tone: "pass" },
  redeemed: { icon: "check", tone: "pass" },
  denied: { icon: "cross", tone: "stop" },
  expired: { icon: "clock", tone: "q2" },
  withdrawn: { icon: "minus", tone: "q2" },
  voided: { icon: "minus", tone: "q2" },
};
