/**
 * What the foot of a card offers, and the one reason why Approve is not available. Pure, so that each
 * rule of "say why not" is a line in a table and a test.
 */
import type { Card, Choice, Connection, Problem, StepUpAsked, StepUpPhase, WhyLocked } from "../generated/ipc";
import type { Holding } from "./hold.svelte";

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
  /** Where Approve is held down: whether it is, was let go too early, or waits for a second press. */
  holding: Holding["holding"];
}

/** What the line above the buttons says. */
export type Say =
  | { readonly say: "sending" }
  | { readonly say: "offline" }
  | { readonly say: "signed_out" }
  | { readonly say: "locked"; readonly why: WhyLocked; readonly sentence: string }
  | { readonly say: "not_counted"; readonly problem: Problem }
  | { readonly say: "words_wrong" }
  | { readonly say: "reason_to_deny" }
  | { readonly say: "unseen"; readonly units: readonly string[] }
  | { readonly say: "away" }
  | { readonly say: "arming" }
  | { readonly say: "words" }
  | { readonly say: "reason" }
  | { readonly say: "holding" }
  | { readonly say: "let_go" }
  | { readonly say: "pressed" }
  | { readonly say: "press_again" }
  | { readonly say: "step_up"; readonly asked: StepUpAsked; readonly own: boolean }
  | { readonly say: "ready" };

export interface Vote {
  readonly foot: "vote";
  readonly say: Say;
  readonly canApprove: boolean;
  readonly canDeny: boolean;
  /** The fields may be typed into. */
  readonly canType: boolean;
  readonly typeWords: boolean;
  /** Approve is held down, not clicked. */
  readonly hold: boolean;
  /** What Approve takes beside the click. */
  readonly stepUp: StepUpAsked | null;
  /** The requester confirms their own operation. */
  readonly own: boolean;
  readonly busy: Choice | null;
  readonly again: Choice | null;
}

/** The vote is signed, and its confirmation is under way: nothing counts before it is done. */
export interface Confirming {
  readonly foot: "confirming";
  readonly asked: StepUpAsked;
  readonly phase: StepUpPhase;
  readonly own: boolean;
  /** The one thing that stops it: give up, or deny where it has failed. */
  readonly canStop: boolean;
  readonly canDeny: boolean;
  /** What may be done again: the page opened, the sign-in begun anew. */
  readonly canRetry: boolean;
  /** A deny that is on its way. */
  readonly busy: Choice | null;
  /** Why the last thing that was tried here did not work. */
  readonly problem: Problem | null;
}

/** It is over, or this person has done their part. */
export interface Result {
  readonly foot: "result";
  /** A deny may still take the place of this person's approval. */
  readonly takeBack: boolean;
  readonly outcome: "you_approved" | "approved" | "redeemed" | "you_denied" | "denied" | "expired" | "withdrawn" | "voided";
  /** Unix seconds. */
  readonly at: number;
}

export type Footer = Vote | Confirming | Result;

/** Whether the request is over, by the server's word or by the clock: expiry always denies. */
export const isOver = (card: Card, now: number) => card.row.outcome !== "pending" || now >= card.row.expires_at;

export function footer(s: Situation): Footer {
  return resultOf(s) ?? confirmingOf(s) ?? voteOf(s);
}

function resultOf(s: Situation): Result | null {
  const result = outcomeOf(s);
  if (result === null) return null;
  const approved = result.outcome === "you_approved" || result.outcome === "approved";
  return { foot: "result", takeBack: approved && s.card.take_back && s.connection === "connected", ...result };
}

function outcomeOf({ card, now }: Situation): Pick<Result, "outcome" | "at"> | null {
  const { row, votes } = card;
  const at = row.ended_at ?? row.expires_at;
  const mine = votes.find((vote) => vote.mine);
  switch (row.outcome) {
    case "pending":
      if (now >= row.expires_at) return { outcome: "expired", at: row.expires_at };
      if (mine !== undefined) return { outcome: mine.choice === "approve" ? "you_approved" : "you_denied", at: mine.at };
      return null;
    case "approved":
    case "redeemed":
      return { outcome: row.outcome, at };
    case "denied":
      return mine?.choice === "deny" ? { outcome: "you_denied", at: mine.at } : { outcome: "denied", at };
    case "expired":
    case "withdrawn":
    case "voided":
      return { outcome: row.outcome, at };
  }
}

function confirmingOf({ card, connection, casting }: Situation): Confirming | null {
  if (card.ballot.ballot !== "step_up") return null;
  const { asked, phase } = card.ballot;
  const denying = casting.state === "sending";
  const at = ((): Pick<Confirming, "canStop" | "canDeny" | "canRetry"> => {
    switch (phase.phase) {
      case "preparing":
      case "waiting_for_key":
        return { canStop: true, canDeny: false, canRetry: false };
      case "waiting_for_browser":
        return { canStop: true, canDeny: false, canRetry: true };
      case "sending":
        return { canStop: false, canDeny: false, canRetry: false };
      case "failed":
        return { canStop: !denying, canDeny: connection === "connected" && !denying, canRetry: phase.retry && !denying };
    }
  })();
  return {
    foot: "confirming",
    asked,
    phase,
    own: card.by === "requester",
    ...at,
    busy: casting.state === "sending" ? casting.choice : null,
    problem: casting.state === "failed" ? casting.problem : null,
  };
}

function voteOf(s: Situation): Vote {
  const { card, casting, draft } = s;
  const sending = casting.state === "sending";
  const locked = card.ballot.ballot === "locked" ? card.ballot : null;
  const open = card.ballot.ballot === "open" ? card.ballot : null;
  const offline = s.connection !== "connected" || locked?.why === "offline";
  const typeWords = open?.type_words ?? false;
  const hold = open?.hold ?? false;
  const wordsGiven = !typeWords || draft.words.every((word) => word.trim() !== "");
  const reasonGiven = draft.reason.trim() !== "";
  const rule = open?.reason ?? "optional";
  const stepUp = open?.step_up ?? null;
  const own = card.by === "requester";

  const blocked = ((): Say | null => {
    if (sending) return { say: "sending" };
    if (s.connection === "signed_out") return { say: "signed_out" };
    if (offline) return { say: "offline" };
    if (locked !== null) return { say: "locked", why: locked.why, sentence: locked.sentence };
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

  // What the finger does now comes before what became of the time before.
  const pressed = ((): Say | null => {
    const holding = hold && missing === null ? s.holding : "rest";
    switch (holding) {
      case "rest":
        return null;
      case "held":
        return { say: "holding" };
      case "let_go":
      case "pressed":
      case "press_again":
        return { say: holding };
    }
  })();

  return {
    foot: "vote",
    say: blocked ?? pressed ?? news ?? missing ?? (stepUp === null ? { say: "ready" } : { say: "step_up", asked: stepUp, own }),
    canApprove: blocked === null && missing === null,
    canDeny: blocked === null && (rule !== "always" || reasonGiven),
    canType: blocked === null || blocked.say === "offline",
    typeWords,
    hold,
    stepUp,
    own,
    busy: casting.state === "sending" ? casting.choice : null,
    again: casting.state === "failed" && casting.problem.code !== "wrong_words" ? casting.choice : null,
  };
}

/** Whether denying now lacks the reason that the policy wants. */
export const denyLacksReason = (card: Card, draft: Draft) =>
  card.ballot.ballot === "open" && card.ballot.reason !== "optional" && draft.reason.trim() === "";
