/**
 * Every state of the window by name, for development, page tests and screenshots: `#inbox/ready`, `#first/waiting`.
 * A scene is the agent's state and its cards at one moment.
 */
import type { Account, Card, Problem, Row, State, StepUpPhase, VerifyReport } from "../../generated/ipc";
import { aino, askedKey, askedOidc, assistant, chained, ELIN, han, hostile, idris, layla, longNames, longQuery, many, mara, NOW, orders, others, ownRequest, staged, stepUp, storm, vote } from "./cards";
import { away, mutes, prefs } from "./desk";
import { line, name } from "./lines";
import { reports } from "./past";

const NO_DAEMON = "No notification service answers on this desktop.";

export interface Scene {
  state: State;
  cards: Record<string, Card>;
  /** The request that a notification was clicked for. */
  open?: string;
  report: VerifyReport;
  /** So many past requests, instead of the usual few. */
  past?: number;
  /** How far the history has come to this device, so many of so many. */
  filling?: [done: number, of: number];
  /** The rows of a selection are not counted at once. */
  uncounted?: boolean;
  /** What the next vote is answered with, instead of counting it. */
  refuse?: Problem;
  /** Never answers a vote. */
  stall?: boolean;
  /** The agent is not there. */
  dead?: boolean;
}

export const account: Account = {
  id: ELIN,
  connection: "connected",
  server: "https://approvals.example.com",
  issuer: "https://login.example.com",
  provider_name: "Example Staff",
  sub: "elin.varga",
  name: line("Elin Varga"),
  email: line("elin.varga@example.com"),
  groups: [line("dba-approvers"), line("billing-owners"), line("auditors")],
  binding_id: "q1vN3mYxS0b7rT2uKpVd8sLr4nZgA6iHoXBf3Q9xUu0",
  session_ends_at: NOW + 21_483,
  key_storage: "Key in the system keyring: programs that run as you could use it.",
};

const base = (cards: Card[]): Scene => ({
  state: {
    agent_version: "0.1.0",
    suggested_server: "https://approvals.example.com",
    account,
    accounts: [account],
    sign_in: { state: "idle" },
    connection: "connected",
    inbox: cards.map((card) => card.row),
    others: others(),
    notifications: { state: "working", daemon: "GNOME Shell", version: "43", can: ["body", "actions", "urgency"], held: false, test: null },
    mutes: [],
    paused: null,
    quiet_now: null,
    tray: "shown",
    sandbox: { state: "on" },
    troubles: [],
    prefs: prefs(),
  },
  cards: Object.fromEntries(cards.map((card) => [card.row.txn, card])),
  report: reports.unproven,
});

/** The same person at a second server. */
export const second: Account = {
  ...account,
  id: "elin-2",
  server: "https://approvals.partner.example.net",
  issuer: "https://id.partner.example.net",
  provider_name: "Partner Network",
  sub: "e.varga",
  email: null,
  groups: [line("settlement-approvers")],
  binding_id: "Kd8sLr4nZgA6iHoXBf3Q9xUu0q1vN3mYxS0b7rT2uKpV",
};
const several = (connection: Account["connection"] = "connected"): Scene => {
  const scene = usual();
  const other: Account = { ...second, connection };
  scene.state.accounts = [account, other];
  if (connection !== "connected") scene.state.connection = connection;
  const mine = (row: Row): Row => (row.txn === "txn-http" || row.txn === "txn-o2" ? { ...row, account: other.id } : row);
  scene.state.inbox = scene.state.inbox.map(mine);
  scene.state.others = scene.state.others.map(mine);
  for (const card of Object.values(scene.cards)) card.row = mine(card.row);
  scene.open = "txn-http";
  return scene;
};

const usual = () => base([assistant(), mara(), hostile(), idris(), layla(), aino()]);
const opened = (txn: string, change: (scene: Scene, card: Card) => void = () => undefined): Scene => {
  const scene = usual();
  scene.open = txn;
  const card = scene.cards[txn];
  if (card !== undefined) change(scene, card);
  return scene;
};
/** The card is over: its row leaves the inbox. */
const over = (outcome: Row["outcome"], ended: number, by: string | null, change: (card: Card) => void = () => undefined) =>
  opened("txn-sql", (scene, card) => {
    card.row = { ...card.row, outcome, ended_at: ended, ended_by: by === null ? null : line(by) };
    card.ballot = { ballot: "locked", why: "closed", sentence: "It is over." };
    scene.state.inbox = scene.state.inbox.filter((row) => row.txn !== "txn-sql");
    change(card);
  });
const signedOut = (sign_in: State["sign_in"]): Scene => {
  const scene = base([]);
  return { ...scene, state: { ...scene.state, account: null, accounts: [], others: [], connection: "signed_out", sign_in } };
};
const PAGE = "https://login.example.com/authorize?client_id=countersign-approver&prompt=login&max_age=60&scope=openid%20approve%3Aorders.delete";
/** One card in place of Mara's, with its confirmation at some point. */
const confirming = (card: Card, phase?: StepUpPhase): Scene => {
  const scene = base([assistant(), card, idris()]);
  scene.open = card.row.txn;
  const asked = card.ballot.ballot === "open" ? (card.ballot.step_up ?? askedOidc) : askedOidc;
  if (phase !== undefined) scene.cards[card.row.txn] = { ...card, ballot: { ballot: "step_up", asked, phase } };
  return scene;
};
const locked = (why: "own_request" | "not_eligible" | "not_supported", sentence: string) =>
  opened("txn-sql", (_, card) => {
    card.ballot = { ballot: "locked", why, sentence };
  });

export const scenes: Record<string, () => Scene> = {
  "first": () => signedOut({ state: "idle" }),
  "first/waiting": () => signedOut({ state: "waiting_for_browser", provider_name: "Example Staff", url: "https://login.example.com/authorize?response_type=code&client_id=countersign-approver&redirect_uri=http%3A%2F%2F127.0.0.1%3A40123%2Fcallback&code_challenge_method=S256&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&state=af0ifjsldkj" }),
  "first/keyring": () => {
    const scene = signedOut({ state: "idle" });
    scene.state.troubles = [{ code: "keyring", sentence: "The keyring has not given this device's keys yet. Where it asks for its password, answer its dialog." }];
    return scene;
  },
  "first/binding": () => signedOut({ state: "binding" }),
  "first/failed": () => signedOut({ state: "failed", problem: { code: "provider_unreachable", sentence: "Example Staff did not answer within 30 seconds. Check the network, then try again." } }),
  "inbox": usual,
  "inbox/sql": () => opened("txn-sql"),
  "inbox/http": () => opened("txn-http"),
  "inbox/orders": () => {
    const scene = base([orders(), mara()]);
    scene.open = "txn-orders";
    return scene;
  },
  "inbox/tool": () => opened("txn-tool"),
  "inbox/hostile": () => opened("txn-hostile"),
  "inbox/rtl": () => opened("txn-rtl"),
  "inbox/long": () => {
    const scene = base([longNames(), mara()]);
    scene.open = "txn-long";
    return scene;
  },
  "inbox/short": () => opened("txn-http", (_, card) => {
    card.exhibit = { ...card.exhibit, lines: [], details: [] };
    card.ballot = { ballot: "open", type_words: false, hold: false, reason: "optional", step_up: null };
  }),
  "inbox/on-deny": () => opened("txn-sql", (_, card) => {
    card.ballot = { ballot: "open", type_words: false, hold: false, reason: "on_deny", step_up: null };
  }),
  "inbox/hold": () => opened("txn-sql", (_, card) => {
    card.ballot = { ballot: "open", type_words: false, hold: true, reason: "optional", step_up: null };
  }),
  "inbox/voted": () => opened("txn-sql", (scene, card) => {
    card.row = { ...card.row, approvals: 2, needed: 3 };
    card.votes = [...card.votes, vote("Elin Varga", "approve", NOW - 12, null, true)];
    card.ballot = { ballot: "locked", why: "voted", sentence: "You have voted." };
    card.take_back = true;
    scene.state.inbox = scene.state.inbox.filter((row) => row.txn !== "txn-sql");
    scene.state.others = [card.row, ...scene.state.others];
  }),
  "inbox/own": () => locked("own_request", "You asked for this yourself. Somebody else has to approve it."),
  "inbox/not-eligible": () => locked("not_eligible", "The policy does not let you vote on this: it asks for a member of dba-approvers."),
  "inbox/not-supported": () => locked("not_supported", "This needs a fresh sign-in with your vote, which this version cannot do yet."),
  "inbox/approved": () => over("redeemed", NOW - 3, null, (card) => {
    card.row = { ...card.row, approvals: 2 };
    card.votes = [...card.votes, vote("Elin Varga", "approve", NOW - 5, null, true)];
  }),
  "inbox/approved-unused": () => over("approved", NOW - 3, null, (card) => {
    card.row = { ...card.row, approvals: 2 };
    card.votes = [...card.votes, vote("Elin Varga", "approve", NOW - 5, null, true)];
    card.take_back = true;
  }),
  "inbox/step-up": () => confirming(stepUp()),
  "inbox/step-up-key": () => confirming(stepUp(askedKey)),
  "inbox/step-up-waiting": () => confirming(stepUp(), { phase: "waiting_for_browser", url: PAGE, since: NOW - 8 }),
  "inbox/step-up-touch": () => confirming(stepUp(askedKey), { phase: "waiting_for_key", since: NOW - 3, waits: { for: "touch" } }),
  "inbox/step-up-sending": () => confirming(stepUp(), { phase: "sending" }),
  "inbox/step-up-declined": () => confirming(stepUp(), { phase: "failed", problem: { code: "forbidden", sentence: "You did not agree to approve:orders.delete at Example Login. Sign in once more if that was a slip." }, retry: true }),
  "inbox/step-up-other": () => confirming(stepUp(), { phase: "failed", problem: { code: "forbidden", sentence: "The browser came back with another account than elin.varga. Sign in there as yourself." }, retry: true }),
  "inbox/step-up-down": () => confirming(stepUp(), { phase: "failed", problem: { code: "provider_unreachable", sentence: "Example Login does not answer. Your vote is kept until time runs out: try again when it does." }, retry: true }),
  "inbox/step-up-over": () => confirming(stepUp(), { phase: "failed", problem: { code: "other", sentence: "Example Login cannot confirm single votes: it reached no level that the policy accepts. Tell the people who run the server." }, retry: false }),
  "inbox/stages": () => confirming(staged()),
  "inbox/confirm-own": () => confirming(ownRequest()),
  "inbox/ci": () => opened("txn-ci"),
  "inbox/chain": () => {
    const scene = base([chained(), mara()]);
    scene.open = "txn-tool";
    return scene;
  },
  "inbox/accounts": () => several(),
  "inbox/account-out": () => several("signed_out"),
  "inbox/denied": () => over("denied", NOW - 5, "Elin Varga", (card) => {
    card.votes = [...card.votes, vote("Elin Varga", "deny", NOW - 5, "Legal hold on two of these accounts. Ask Ines first.", true)];
  }),
  "inbox/elsewhere": () => over("denied", NOW - 9, "Aino Korhonen", (card) => {
    card.votes = [...card.votes, vote("Aino Korhonen", "deny", NOW - 9, "Two of these accounts are on legal hold.")];
  }),
  "inbox/expired": () => over("expired", NOW - 1, null, (card) => {
    card.row = { ...card.row, asked_at: NOW - 601, expires_at: NOW - 1 };
  }),
  "inbox/withdrawn": () => over("withdrawn", NOW - 30, null),
  "inbox/voided": () => over("voided", NOW - 30, null),
  "inbox/failed": () => {
    const scene = opened("txn-sql");
    scene.refuse = { code: "server_unreachable", sentence: "The server did not answer." };
    return scene;
  },
  "inbox/away": () => opened("txn-sql", (_, card) => {
    card.away = [
      { name: line(name("Aino Korhonen")), until: NOW + 86_400 + 4 * 3600, stand_in: line("Ines Okafor"), names_you: false },
      { name: line(name("Ruben Achterberg")), until: NOW + 40 * 86_400, stand_in: null, names_you: true },
    ];
    card.others_can = 3;
  }),
  "inbox/i-am-away": () => {
    const scene = usual();
    scene.state.accounts = scene.state.accounts.map((each) => ({ ...each, away: away() }));
    scene.state.account = scene.state.accounts[0] ?? null;
    scene.state.quiet_now = { quiet: "away", until: away().until };
    return scene;
  },
  "inbox/muted": () => opened("txn-sql", (scene, card) => {
    scene.state.mutes = [...mutes(), { id: "mute-2", name: card.row.requester, until: NOW + 3000, silent: 0, txns: ["txn-sql"] }];
  }),
  "inbox/paused": () => opened("txn-sql", (scene) => {
    scene.state.paused = { until: NOW + 56 * 60 + 3 };
  }),
  "inbox/quiet": () => opened("txn-sql", (scene) => {
    scene.state.quiet_now = { quiet: "quiet_hours", until: NOW + 17 * 3600 - 57 };
  }),
  "inbox/step-up-plug": () => confirming(stepUp(askedKey), { phase: "waiting_for_key", since: NOW - 3, waits: { for: "key" } }),
  "inbox/step-up-pin": () => confirming(stepUp(askedKey), { phase: "waiting_for_key", since: NOW - 3, waits: { for: "pin", wrong: true, tries_left: 7 } }),
  "inbox/sending": () => ({ ...opened("txn-sql"), stall: true }),
  "inbox/wrong-words": () => ({ ...opened("txn-tool"), refuse: { code: "wrong_words", sentence: "These are not the two words." } }),
  "inbox/many": () => {
    const scene = base([]);
    scene.state.inbox = many();
    scene.cards = Object.fromEntries(scene.state.inbox.map((row) => [row.txn, { ...mara(), row, display_digest: row.txn }]));
    return scene;
  },
  "inbox/han": () => {
    const scene = base([han(), layla(), mara()]);
    scene.open = "txn-han";
    return scene;
  },
  "inbox/query": () => confirming(longQuery()),
  "inbox/storm": () => {
    const scene = base([mara(), idris(), aino()]);
    scene.state.inbox = [...storm(), ...scene.state.inbox];
    for (const row of storm()) scene.cards[row.txn] = { ...mara(), row, votes: [], display_digest: row.txn };
    scene.open = "txn-http";
    return scene;
  },
  "inbox/empty": () => {
    const scene = base([]);
    scene.state.others = [];
    return scene;
  },
  "inbox/offline": () => opened("txn-sql", (scene) => {
    scene.state.connection = "reconnecting";
  }),
  "inbox/no-notifications": () => opened("txn-sql", (scene) => {
    scene.state.notifications = { state: "missing", why: NO_DAEMON };
    scene.state.tray = "no_host";
  }),
  "inbox/trouble": () => opened("txn-sql", (scene) => {
    scene.state.troubles = [{ code: "keyring", sentence: "The keyring is locked. Unlock it to vote; Countersign asks again by itself." }];
  }),
  "inbox/signed-out": () => {
    const scene = base([]);
    const ended: Account = { ...account, connection: "signed_out" };
    Object.assign(scene.state, { connection: "signed_out", account: ended, accounts: [ended], others: [] });
    return scene;
  },
  "inbox/no-agent": () => ({ ...base([]), dead: true }),
  "history": usual,
  "history/passed": () => ({ ...usual(), report: reports.passed }),
  "history/failed": () => ({ ...usual(), report: reports.failed }),
  "history/long": () => ({ ...usual(), past: 1_000_000 }),
  "history/thousand": () => ({ ...usual(), past: 1000 }),
  "history/filling": () => ({ ...usual(), past: 1_048_212, filling: [859_533, 1_048_212] }),
  "history/uncounted": () => ({ ...usual(), past: 250_000, uncounted: true }),
  "history/offline": () => {
    const scene: Scene = { ...usual(), past: 4200 };
    scene.state.connection = "reconnecting";
    return scene;
  },
  "history/accounts": () => ({ ...several(), past: 9000 }),
  "settings": usual,
  "settings/full": () => {
    const scene = usual();
    const { state } = scene;
    const at = { ...account, away: away() };
    Object.assign(state, { account: at, accounts: [at], mutes: mutes() });
    if (state.notifications.state === "working") state.notifications.test = { at: NOW - 110, millis: 2, seen: null };
    state.prefs = { ...prefs(), quiet: { on: true, from: 20 * 60, to: 7 * 60 }, proxy: { way: "url", url: "http://proxy.example.com:3128" } };
    state.sandbox = { state: "off", why: "bubblewrap is not installed. Install it to shut this window in." };
    return scene;
  },
  "settings/held": () => {
    const scene = usual();
    if (scene.state.notifications.state === "working") scene.state.notifications.held = true;
    scene.state.paused = { until: null };
    return scene;
  },
  "settings/add-key": () => {
    const scene = usual();
    scene.state.sign_in = { state: "waiting_for_key", waits: { for: "pin", wrong: false, tries_left: 8 } };
    return scene;
  },
  "settings/keys": () => {
    const scene = usual();
    const withKey: Account = { ...account, security_keys: [{ id: "wQ7rT2uKpVd8sLr4nZgA6iHoXBf3Q9xUu0b1hT7eWqs", name: line("Blue key on the ring") }] };
    scene.state.account = withKey;
    scene.state.accounts = [withKey];
    return scene;
  },
  "settings/trouble": () => {
    const scene = usual();
    scene.state.notifications = { state: "missing", why: NO_DAEMON };
    scene.state.troubles = [{ code: "other", sentence: "No notification service answers on this desktop." }];
    return scene;
  },
};
