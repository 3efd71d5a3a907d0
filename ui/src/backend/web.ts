/**
 * The transport over recorded data: an agent that is played, in a plain browser. Chosen by the hash:
 * `#inbox/http`, with `?theme=dark` and `?live` (time runs). Never part of the app.
 */
import type { Card, Event, Problem, Reply, Call, State, StepUpAsked, StepUpPhase } from "../generated/ipc";
import { Refused, type Backend } from "./backend";
import { NOW } from "./recorded/cards";
import { line } from "./recorded/lines";
import { devices, longPast, page, pastCard } from "./recorded/past";
import { account, scenes, type Scene } from "./recorded/scenes";

/** What tests hold in their hands. */
export interface Played {
  backend: Backend;
  readMillis: () => number;
  /** Every call so far. */
  calls: Call[];
  /** The agent says something. */
  emit(event: Event): void;
  /** Changes the state and says so. */
  change(change: (state: State) => void): void;
  /** Changes a card and says so. */
  changeCard(txn: string, change: (card: Card) => void): void;
  /** The browser came back: signed in. */
  signIn(): void;
  /** Moves the time on. */
  advance(secs: number): void;
}

const refuse = (code: Problem["code"], sentence: string): never => {
  throw new Refused({ code, sentence });
};

export function play(scene: Scene, live: boolean): Played {
  let state = scene.state;
  let ahead = 0;
  const began = Date.now();
  let hear: (event: Event) => void = () => undefined;
  let bound = devices();
  const calls: Call[] = [];
  const readMillis = () => (NOW + ahead) * 1000 + (live ? Date.now() - began : 0);
  const now = () => Math.floor(readMillis() / 1000);
  const emit = (event: Event) => hear(event);
  const put = (next: State) => {
    state = next;
    emit({ event: "state", state });
  };
  const nothing: Reply = { reply: "nothing" };

  /** Puts the confirmation of a vote on its card. */
  function phase(txn: string, asked: StepUpAsked, at: StepUpPhase): Card {
    const card = scene.cards[txn] ?? refuse("not_found", "There is no such request.");
    return (scene.cards[txn] = { ...card, ballot: { ballot: "step_up", asked, phase: at } });
  }

  function signOut(id: string | null) {
    const accounts = state.accounts.filter((each) => each.id !== (id ?? state.account?.id));
    const [first] = accounts;
    if (first === undefined) return put({ ...state, account: null, accounts, connection: "signed_out", inbox: [], others: [] });
    const theirs = (row: { account: string }) => accounts.some((each) => each.id === row.account);
    put({ ...state, account: first, accounts, inbox: state.inbox.filter(theirs), others: state.others.filter(theirs) });
  }

  async function castVote(call: Extract<Call, { call: "vote" }>): Promise<Reply> {
    if (scene.stall === true) return new Promise(() => undefined);
    if (scene.refuse !== undefined) throw new Refused(scene.refuse);
    const card = scene.cards[call.txn] ?? refuse("not_found", "There is no such request.");
    if (card.display_digest !== call.display_digest) refuse("not_genuine", "What was shown is not what is asked now.");
    if (call.choice === "approve" && card.ballot.ballot === "open" && card.ballot.step_up !== null) {
      const asked = card.ballot.step_up;
      return { reply: "card", card: phase(call.txn, asked, asked.means === "oidc" ? { phase: "waiting_for_browser", url: "https://login.example.com/authorize", since: now() } : { phase: "waiting_for_key", since: now() }) };
    }
    const approvals = card.row.approvals + (call.choice === "approve" ? 1 : 0);
    const done = call.choice === "deny" || approvals >= card.row.needed;
    const voted: Card = {
      ...card,
      row: { ...card.row, approvals, outcome: call.choice === "deny" ? "denied" : done ? "approved" : "pending", ended_at: done ? now() : null, ended_by: call.choice === "deny" ? account.name : null },
      votes: [...card.votes.filter((vote) => !vote.mine), { name: account.name, subject: line(account.sub), choice: call.choice, at: now(), reason: call.reason === null ? null : line(call.reason), device: line("this device, key in the system keyring"), mine: true, stage: null, step_up: null }],
      ballot: { ballot: "locked", why: done ? "closed" : "voted", sentence: "You have voted." },
      take_back: call.choice === "approve",
    };
    scene.cards[call.txn] = voted;
    put({ ...state, inbox: state.inbox.filter((row) => row.txn !== call.txn), others: done ? state.others : [voted.row, ...state.others] });
    return { reply: "card", card: voted };
  }

  async function answer(call: Call): Promise<Reply> {
    switch (call.call) {
      case "state":
        return { reply: "state", state };
      case "look_up_server":
        if (!/^(https?:\/\/)?[\w.-]+\.[a-z]+(:\d+)?\/?$/.test(call.url)) return refuse("server_unreachable", "No server answers at that address. Check it with the people who run it.");
        return { reply: "server", server: { server: "https://approvals.example.com", providers: [{ issuer: "https://login.example.com", name: "Example Staff", step_up: true }, { issuer: "https://id.partner.example.net", name: "Partner Network", step_up: false }] } };
      case "sign_in":
        put({ ...state, sign_in: { state: "waiting_for_browser", provider_name: "Example Staff", url: `${call.issuer}/authorize?client_id=countersign-approver` } });
        return nothing;
      case "add_security_key":
        put({ ...state, sign_in: { state: "waiting_for_browser", provider_name: "Example Staff", url: `${account.issuer}/authorize?client_id=countersign-approver` } });
        return nothing;
      case "cancel_sign_in":
        put({ ...state, sign_in: { state: "idle" } });
        return nothing;
      case "sign_out":
        signOut(call.account ?? null);
        return nothing;
      case "card":
        return { reply: "card", card: scene.cards[call.txn] ?? pastCard(call.txn) ?? refuse("not_found", "There is no such request.") };
      case "vote":
        return castVote(call);
      case "cancel_step_up":
      case "retry_step_up": {
        const card = scene.cards[call.txn] ?? refuse("not_found", "There is no such request.");
        if (card.ballot.ballot !== "step_up") return nothing;
        const { asked } = card.ballot;
        if (call.call === "retry_step_up") phase(call.txn, asked, { phase: "waiting_for_browser", url: "https://login.example.com/authorize", since: now() });
        else scene.cards[call.txn] = { ...card, ballot: { ballot: "open", type_words: false, reason: "optional", step_up: asked } };
        return nothing;
      }
      case "history":
        return { reply: "history", page: scene.past === undefined ? page(call.query) : { rows: longPast(scene.past), next: null } };
      case "verify":
        return { reply: "verification", report: scene.report };
      case "export_evidence":
        return { reply: "exported", path: `~/Downloads/countersign-${call.txn}.json` };
      case "devices":
        return { reply: "devices", devices: bound };
      case "revoke_device":
        bound = bound.filter((device) => device.binding_id !== call.binding_id);
        return { reply: "devices", devices: bound };
      case "set_prefs":
        put({ ...state, prefs: call.prefs });
        return nothing;
      case "test_notification":
      case "window_state":
        return nothing;
    }
  }

  return {
    backend: {
      async call(call) {
        calls.push(structuredClone(call));
        if (scene.dead === true) throw new Error("no agent");
        return structuredClone(await answer(call));
      },
      async onEvent(listener) {
        hear = (event) => listener(structuredClone(event));
        if (scene.open !== undefined) queueMicrotask(() => emit({ event: "open", txn: scene.open ?? null }));
      },
    },
    readMillis,
    calls,
    emit,
    change(change) {
      const next = structuredClone(state);
      change(next);
      put(next);
    },
    changeCard(txn, change) {
      const card = scene.cards[txn];
      if (card === undefined) throw new Error(`no card ${txn}`);
      const next = structuredClone(card);
      change(next);
      scene.cards[txn] = next;
      emit({ event: "card_changed", txn });
    },
    signIn() {
      put({ ...state, account, accounts: [account], sign_in: { state: "idle" }, connection: "connected" });
    },
    advance(secs) {
      ahead += secs;
    },
  };
}

/** The scene that the address names; within reach of tests as `window.played`. */
export function recorded(): Played {
  const asked = new URLSearchParams(location.search);
  const wanted = decodeURIComponent(location.hash.slice(1));
  const make = scenes[wanted] ?? scenes["inbox"];
  if (make === undefined) throw new Error("no scene");
  const scene = make();
  const theme = asked.get("theme");
  if (theme === "light" || theme === "dark") scene.state.prefs.theme = theme;
  const language = asked.get("language");
  if (language === "en" || language === "de") scene.state.prefs.language = language;
  const played = play(scene, asked.has("live"));
  Object.assign(window, { played });
  addEventListener("hashchange", () => location.reload());
  return played;
}
