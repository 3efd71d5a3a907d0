/**
 * What the foot of a card offers, and the one reason why Approve is not available. Pure, so that each
 * rule of "say why not" is a line in a table and a test.
 */
import type { Card, Choice, Connection, Problem } from "../generated/ipc";

/** What the person has typed so far. */
export interface Draft {
  reason: string;
  words: readonly [string, string];
}

/** Where the act of voting stands. */
export type Casting =
  | { readonly state: "idle" }
  | { readonly state: "sending"; readonly choice: Choice }
  | { readonly state: "failed"; readonly choice: Choice; readonly problem: Problem };

export interface Situation {
  card: Card;
  connection: Connection;
  /** Unix seconds. */
  now: number;
  /** Units of the card with something unseen, in reading order. */
  unseen: readonly string[];
  arming: "away" | "arming" | "armed";
  draft: Draft;
  casting: Casting;
  /** Deny was tried without the reason that the policy wants. */
  reasonMissed: boolean;
}

/** What the line above the buttons says. */
export type Say =
  | { readonly say: "sending" }
  | { readonly say: "offline" }
  | { readonly say: "locked"; readonly sentence: string }
  | { readonly say: "not_counted"; readonly problem: Problem }
  | { readonly say: "words_wrong" }
  | { readonly say: "reason_to_deny" }
  | { readonly say: "unseen"; readonly units: readonly string[] }
  | { readonly say: "away" }
  | { readonly say: "arming" }
  | { readonly say: "words" }
  | { readonly say: "reason" }
  | { readonly say: "ready" };

export interface Vote {
  readonly foot: "vote";
  readonly say: Say;
  readonly canApprove: boolean;
  readonly canDeny: boolean;
  /** The fields may be typed into. */
  readonly canType: boolean;
  readonly typeWords: boolean;
  readonly busy: Choice | null;
  readonly again: Choice | null;
}

/** It is over, or this person has done their part. */
export interface Result {
  readonly foot: "result";
  readonly outcome: "you_approved" | "approved" | "redeemed" | "you_denied" | "denied" | "expired" | "withdrawn" | "voided";
  /** Unix seconds. */
  readonly at: number;
}

export type Footer = Vote | Result;

/** Whether the request is over, by the server's word or by the clock: expiry always denies. */
export const isOver = (card: Card, now: number) => card.row.outcome !== "pending" || now >= card.row.expires_at;

export function footer(s: Situation): Footer {
  return resultOf(s) ?? voteOf(s);
}

function resultOf({ card, now }: Situation): Result | null {
  const { row, votes } = card;
  const at = row.ended_at ?? row.expires_at;
  const mine = votes.find((vote) => vote.mine);
  switch (row.outcome) {
    case "pending":
      if (now >= row.expires_at) return { foot: "result", outcome: "expired", at: row.expires_at };
      if (mine !== undefined) return { foot: "result", outcome: mine.choice === "approve" ? "you_approved" : "you_denied", at: mine.at };
      return null;
    case "approved":
    case "redeemed":
      return { foot: "result", outcome: row.outcome, at };
    case "denied":
      return mine?.choice === "deny" ? { foot: "result", outcome: "you_denied", at: mine.at } : { foot: "result", outcome: "denied", at };
    case "expired":
    case "withdrawn":
    case "voided":
      return { foot: "result", outcome: row.outcome, at };
  }
}

function voteOf(s: Situation): Vote {
  const { card, casting, draft } = s;
  const sending = casting.state === "sending";
  const locked = card.ballot.ballot === "locked" ? card.ballot : null;
  const open = card.ballot.ballot === "open" ? card.ballot : null;
  const offline = s.connection !== "connected" || locked?.why === "offline";
  const typeWords = open?.type_words ?? false;
  const wordsGiven = !typeWords || draft.words.every((word) => word.trim() !== "");
  const reasonGiven = draft.reason.trim() !== "";
  const rule = open?.reason ?? "optional";

  const blocked = ((): Say | null => {
    if (sending) return { say: "sending" };
    if (offline) return { say: "offline" };
    if (locked !== null) return { say: "locked", sentence: locked.sentence };
    return null;
  })();
  // Each of these keeps Approve back until it is done.
  const missing = ((): Say | null => {
    if (s.unseen.length > 0) return { say: "unseen", units: s.unseen };
    if (s.arming === "away") return { say: "away" };
    if (s.arming === "arming") return { say: "arming" };
    if (!wordsGiven) return { say: "words" };
    if (rule === "always" && !reasonGiven) return { say: "reason" };
    return null;
  })();
  // These explain what has just happened, and come before what is still missing.
  const news = ((): Say | null => {
    if (casting.state === "failed" && casting.problem.code === "wrong_words") return { say: "words_wrong" };
    if (casting.state === "failed") return { say: "not_counted", problem: casting.problem };
    if (s.reasonMissed && rule !== "optional" && !reasonGiven) return { say: "reason_to_deny" };
    return null;
  })();

  return {
    foot: "vote",
    say: blocked ?? news ?? missing ?? { say: "ready" },
    canApprove: blocked === null && missing === null,
    canDeny: blocked === null && (rule !== "always" || reasonGiven),
    canType: blocked === null || blocked.say === "offline",
    typeWords,
    busy: casting.state === "sending" ? casting.choice : null,
    again: casting.state === "failed" && casting.problem.code !== "wrong_words" ? casting.choice : null,
  };
}

/** Whether denying now lacks the reason that the policy wants. */
export const denyLacksReason = (card: Card, draft: Draft) =>
  card.ballot.ballot === "open" && card.ballot.reason !== "optional" && draft.reason.trim() === "";
