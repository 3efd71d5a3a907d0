/**
 * The transport over recorded data: an agent that is played, in a plain browser. Chosen by the hash:
 * `#inbox/http`, with `?theme=dark` and `?live` (time runs). Never part of the app.
 */
import type { Card, Event, HistoryPage, Problem, Reply, Call, State, StepUpAsked, StepUpPhase } from "../generated/ipc";
import { Refused, type Backend } from "./backend";
import { NOW } from "./recorded/cards";
import { deskAnswer } from "./recorded/desk";
import { line } from "./recorded/lines";
import { Entries } from "./recorded/entries";
import { devices, page, pastCard } from "./recorded/past";
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
  /** So many more requests are over. */
  morePast(count: number): void;
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

  const entries = new Entries(scene.past ?? 1284);
  let counted = scene.uncounted !== true;
  function pastPage({ query, at, limit }: Extract<Call, { call: "history" }>): HistoryPage {
    const { rows, total } = scene.past === undefined ? page(query, at, limit) : entries.page(query, at, limit);
    const [done, of] = scene.filling ?? [0, 0];
    const wasCounted = counted;
    counted = true;
    return { rows, at, total: wasCounted ? total : null, all: scene.past !== undefined ? scene.past + entries.newer : page({ ...query, text: "", outcomes: [], kinds: [], mine: false, person: null, from: null, until: null }, 0, 0).total, filling: of === 0 ? null : { done, of }, trouble: null };
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
      return { reply: "card", card: phase(call.txn, asked, asked.means === "oidc" ? { phase: "waiting_for_browser", url: "https://login.example.com/authorize", since: now() } : { phase: "waiting_for_key", since: now(), waits: { for: "touch" } }) };
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
      case "remove_security_key":
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
        else scene.cards[call.txn] = { ...card, ballot: { ballot: "open", type_words: false, hold: false, reason: "optional", step_up: asked } };
        return nothing;
      }
      case "history":
        return { reply: "history", page: pastPage(call) };
      case "history_people":
        return { reply: "people", people: entries.people(call.text) };
      case "figures":
        return { reply: "figures", figures: entries.figures(call.query) };
      case "export_history":
        return { reply: "exported", path: call.what === "csv" ? "~/Downloads/countersign-history-2026-11-22.csv" : "~/Downloads/countersign-evidence-2026-11-22" };
      case "verify":
        return { reply: "verification", report: scene.report };
      case "export_evidence":
        return { reply: "exported", path: `~/Downloads/countersign-${call.txn}.json` };
      case "devices":
        return { reply: "devices", devices: bound };
      case "revoke_device":
        bound = bound.filter((device) => device.binding_id !== call.binding_id);
        return { reply: "devices", devices: bound };
      case "security_key_pin": {
        if (call.txn !== undefined && call.txn !== null) {
          const card = scene.cards[call.txn];
          if (card?.ballot.ballot === "step_up") phase(call.txn, card.ballot.asked, call.pin === "2580" ? { phase: "waiting_for_key", since: now(), waits: { for: "touch" } } : { phase: "waiting_for_key", since: now(), waits: { for: "pin", wrong: true, tries_left: 7 } });
          emit({ event: "card_changed", txn: call.txn });
        } else if (state.sign_in.state === "waiting_for_key") put({ ...state, sign_in: { state: "waiting_for_key", waits: call.pin === "2580" ? { for: "touch" } : { for: "pin", wrong: true, tries_left: 7 } } });
        return nothing;
      }
      case "window_state":
        return nothing;
      default:
        return deskAnswer(call, state, (txn) => scene.cards[txn] ?? null, now(), put) ?? nothing;
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
    morePast(count) {
      entries.newer += count;
      emit({ event: "history_changed" });
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
