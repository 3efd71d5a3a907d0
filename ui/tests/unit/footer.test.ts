import { describe, expect, test } from "vitest";
import { askedKey, askedOidc, mara, NOW, ownRequest, stepUp, vote } from "../../src/backend/recorded/cards";
import { line } from "../../src/backend/recorded/lines";
import { denyLacksReason, footer, type Situation, type Vote } from "../../src/card/footer";
import type { Card, Outcome, ReasonRule, StepUpPhase } from "../../src/generated/ipc";

const situation = (change: Partial<Situation> = {}): Situation => ({
  card: mara(),
  connection: "connected",
  now: NOW,
  unseen: [],
  arming: "armed",
  draft: { reason: "", words: ["", ""] },
  casting: { state: "idle" },
  reasonMissed: false,
  holding: "rest",
  ...change,
});
const open = (type_words: boolean, reason: ReasonRule): Card => ({ ...mara(), ballot: { ballot: "open", type_words, hold: false, reason, step_up: null } });
const held = (): Card => ({ ...mara(), ballot: { ballot: "open", type_words: false, hold: true, reason: "optional", step_up: null } });
const votes = (change: Partial<Situation>): Vote => {
  const foot = footer(situation(change));
  if (foot.foot !== "vote") throw new Error(`a ${foot.foot}`);
  return foot;
};

describe("Approve is available only", () => {
  test("when everything was seen, the window is in front, and nothing else is asked", () => {
    expect(votes({})).toMatchObject({ say: { say: "ready" }, canApprove: true, canDeny: true });
  });
  const cases: [why: string, change: Partial<Situation>, say: string, canDeny: boolean][] = [
    ["something is unseen", { unseen: ["votes", "record"] }, "unseen", true],
    ["it has just appeared", { arming: "arming" }, "arming", true],
    ["the window is in the background", { arming: "away" }, "away", true],
    ["the words are missing", { card: open(true, "optional") }, "words", true],
    ["one word is missing", { card: open(true, "optional"), draft: { reason: "", words: ["amber", " "] } }, "words", true],
    ["a reason is missing", { card: open(false, "always"), draft: { reason: "  ", words: ["", ""] } }, "reason", false],
    ["the connection is gone", { connection: "reconnecting" }, "offline", false],
    ["the connection is not there yet", { connection: "connecting" }, "offline", false],
    ["the session has ended", { connection: "signed_out" }, "signed_out", false],
    ["a vote is under way", { casting: { state: "sending", choice: "approve" } }, "sending", false],
  ];
  test.each(cases)("not while %s", (_, change, say, canDeny) => {
    expect(votes(change)).toMatchObject({ say: { say }, canApprove: false, canDeny });
  });
  test.each(["own_request", "not_eligible", "not_supported", "voted", "closed"] as const)("not when locked: %s", (why) => {
    const card: Card = { ...mara(), ballot: { ballot: "locked", why, sentence: "Because." } };
    expect(votes({ card })).toMatchObject({ say: { say: "locked", sentence: "Because." }, canApprove: false, canDeny: false });
  });
  test("locked as offline reads as offline", () => {
    const card: Card = { ...mara(), ballot: { ballot: "locked", why: "offline", sentence: "…" } };
    expect(votes({ card }).say.say).toBe("offline");
  });
});

test("where Approve is held, what the finger does comes before what did not work before, and after what is missing", () => {
  const problem = { code: "other", sentence: "" } as const;
  expect(votes({ card: held() })).toMatchObject({ hold: true, say: { say: "ready" }, canApprove: true });
  for (const [holding, say] of [["held", "holding"], ["let_go", "let_go"], ["pressed", "pressed"], ["press_again", "press_again"]] as const) {
    expect(votes({ card: held(), holding, casting: { state: "failed", choice: "approve", problem } })).toMatchObject({ say: { say }, canApprove: true });
    expect(votes({ card: held(), holding, arming: "away" }).say.say).toBe("away");
    expect(votes({ card: held(), holding, connection: "reconnecting" }).say.say).toBe("offline");
    expect(votes({ holding }).say.say).toBe("ready");
  }
});

test("unseen text comes before everything else that is missing", () => {
  expect(votes({ card: open(true, "always"), unseen: ["text"], arming: "away" }).say.say).toBe("unseen");
});

test("words and a reason make it available", () => {
  expect(votes({ card: open(true, "always"), draft: { reason: "Checked.", words: ["amber", "falcon"] } }).canApprove).toBe(true);
});

test("denying without the reason that the policy wants is explained, not sent", () => {
  const card = open(false, "on_deny");
  expect(denyLacksReason(card, { reason: " ", words: ["", ""] })).toBe(true);
  expect(votes({ card, reasonMissed: true }).say.say).toBe("reason_to_deny");
  expect(denyLacksReason(card, { reason: "Legal hold.", words: ["", ""] })).toBe(false);
  expect(denyLacksReason(open(false, "optional"), { reason: "", words: ["", ""] })).toBe(false);
});

test("a vote that was not counted says so and may be sent again", () => {
  const problem = { code: "server_unreachable", sentence: "The server did not answer." } as const;
  expect(votes({ casting: { state: "failed", choice: "approve", problem } })).toMatchObject({ say: { say: "not_counted" }, canApprove: true, again: "approve" });
});

test("after a failure nothing that is missing is forgiven", () => {
  const problem = { code: "other", sentence: "" } as const;
  expect(votes({ unseen: ["votes"], casting: { state: "failed", choice: "approve", problem } }).canApprove).toBe(false);
});

test("wrong words are named", () => {
  const problem = { code: "wrong_words", sentence: "" } as const;
  expect(votes({ card: open(true, "optional"), casting: { state: "failed", choice: "approve", problem } })).toMatchObject({ say: { say: "words_wrong" }, again: null });
});

describe("the outcome takes the footer's place", () => {
  const over = (outcome: Outcome, mine: "approve" | "deny" | null): Card => ({
    ...mara(),
    row: { ...mara().row, outcome, ended_at: NOW - 5, ended_by: line("Aino Korhonen") },
    votes: mine === null ? [] : [vote("Elin Varga", mine, NOW - 9, null, true)],
  });
  const cases: [Outcome, "approve" | "deny" | null, string, number][] = [
    ["redeemed", "approve", "redeemed", NOW - 5],
    ["approved", null, "approved", NOW - 5],
    ["denied", "deny", "you_denied", NOW - 9],
    ["denied", null, "denied", NOW - 5],
    ["denied", "approve", "denied", NOW - 5],
    ["expired", null, "expired", NOW - 5],
    ["withdrawn", null, "withdrawn", NOW - 5],
    ["voided", "approve", "voided", NOW - 5],
    ["pending", "approve", "you_approved", NOW - 9],
  ];
  test.each(cases)("%s, my vote %s: %s", (outcome, mine, expected, at) => {
    expect(footer(situation({ card: over(outcome, mine) }))).toEqual({ foot: "result", takeBack: false, outcome: expected, at });
  });
  test("expiry always denies, by the window's own clock too", () => {
    const card = mara();
    expect(footer(situation({ card, now: card.row.expires_at - 1 })).foot).toBe("vote");
    expect(footer(situation({ card, now: card.row.expires_at }))).toEqual({ foot: "result", takeBack: false, outcome: "expired", at: card.row.expires_at });
  });
});

describe("a deny may take the place of one's own approval", () => {
  const approved = (outcome: Outcome, take_back: boolean): Card => ({ ...mara(), row: { ...mara().row, outcome, ended_at: NOW - 5 }, votes: [vote("Elin Varga", "approve", NOW - 9, null, true)], take_back });
  test.each([["pending", true], ["approved", true], ["redeemed", false], ["voided", false]] as const)("%s: %s", (outcome, expected) => {
    expect(footer(situation({ card: approved(outcome, true) }))).toMatchObject({ foot: "result", takeBack: expected });
  });
  test("not where the agent says no, and not offline", () => {
    expect(footer(situation({ card: approved("approved", false) }))).toMatchObject({ takeBack: false });
    expect(footer(situation({ card: approved("approved", true), connection: "reconnecting" }))).toMatchObject({ takeBack: false });
  });
});

describe("a fresh sign-in with the vote", () => {
  test("is said before, once nothing else is missing", () => {
    expect(votes({ card: stepUp() })).toMatchObject({ say: { say: "step_up", asked: askedOidc, own: false }, stepUp: askedOidc, canApprove: true });
    expect(votes({ card: stepUp(askedKey), unseen: ["votes"] })).toMatchObject({ say: { say: "unseen" }, stepUp: askedKey, canApprove: false });
    expect(votes({ card: ownRequest() })).toMatchObject({ say: { say: "step_up", own: true }, own: true });
  });
  const under = (phase: StepUpPhase, change: Partial<Situation> = {}) => footer(situation({ card: { ...stepUp(), ballot: { ballot: "step_up", asked: askedOidc, phase } }, ...change }));
  const problem = { code: "provider_unreachable", sentence: "It does not answer." } as const;
  const cases: [StepUpPhase, object][] = [
    [{ phase: "preparing" }, { canStop: true, canDeny: false, canRetry: false }],
    [{ phase: "waiting_for_browser", url: "https://x", since: NOW }, { canStop: true, canDeny: false, canRetry: true }],
    [{ phase: "waiting_for_key", since: NOW, waits: { for: "touch" } }, { canStop: true, canDeny: false, canRetry: false }],
    [{ phase: "sending" }, { canStop: false, canDeny: false, canRetry: false }],
    [{ phase: "failed", problem, retry: true }, { canStop: true, canDeny: true, canRetry: true }],
    [{ phase: "failed", problem, retry: false }, { canStop: true, canDeny: true, canRetry: false }],
  ];
  test.each(cases)("%o", (phase, expected) => {
    expect(under(phase)).toMatchObject({ foot: "confirming", ...expected });
  });
  test("ends with the time, whatever it waits for", () => {
    expect(under({ phase: "waiting_for_browser", url: "https://x", since: NOW }, { now: mara().row.expires_at })).toMatchObject({ foot: "result", outcome: "expired" });
  });
  test("offline nothing is denied from stale data", () => {
    expect(under({ phase: "failed", problem, retry: true }, { connection: "reconnecting" })).toMatchObject({ canDeny: false });
  });
});
