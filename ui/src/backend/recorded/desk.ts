/** What the agent does for the desktop, as played: checks, preferences, mutes, a pause, being away. */
import type { Call, Card, Check, Colleague, Prefs, Reply, State } from "../../generated/ipc";
import { NOW } from "./cards";
import { line, name } from "./lines";

export const prefs = (): Prefs => ({
  theme: "system",
  language: "en",
  text_size: 100,
  greeted: false,
  autostart: true,
  keep_in_tray: true,
  reminder: 120,
  quiet: { on: false, from: 20 * 60, to: 7 * 60 },
  sound: false,
  proxy: { way: "system" },
  log: "info",
  known_devices: [],
});

/** What has to work, of a state. */
export function checks(state: State): Check[] {
  const connected = state.connection === "connected";
  const host = (state.account?.server ?? "").replace(/^https?:\/\//, "");
  const daemon = state.notifications;
  return [
    { what: "connection", state: connected ? "good" : "bad", sentence: connected ? `${host} answers.` : `${host} does not answer. Countersign keeps trying.`, millis: connected ? 12 : null },
    { what: "key", state: "good", sentence: "In the system keyring: programs that run as you could use it.", millis: null },
    { what: "clock", state: "good", sentence: "Right to within a second.", millis: null },
    { what: "autostart", state: state.prefs.autostart ? "good" : "care", sentence: state.prefs.autostart ? "On." : "Off: nothing reaches you until you open the app.", millis: null },
    { what: "notifications", state: daemon.state === "working" ? "good" : "bad", sentence: daemon.state === "working" ? `${daemon.daemon} ${daemon.version} answers.` : daemon.why, millis: null },
    { what: "sandbox", state: state.sandbox.state === "on" ? "good" : "care", sentence: state.sandbox.state === "on" ? "On: no network, none of your files." : state.sandbox.why, millis: null },
  ];
}

export const DIAGNOSTICS = `Countersign 0.1.0, vocabulary 1
desktop: GNOME 43, Wayland; notifications: gnome-shell 43 (text, buttons, urgency)
keyring: Secret Service, unlocked; sandbox: on (bubblewrap 0.8)
settings: theme system, language en, text 100 %, autostart on, tray on, proxy as the system, log info
connection: connected since 08:02:11, 1 account, last sleep 07:58:40
2026-11-22T14:03:51Z INFO request shown
2026-11-22T14:03:58Z INFO window opened`;

export const jonas: Colleague = { id: "jonas", name: line("Jonas Petersen"), issuer: line("login.example.com"), initials: "JP", resources: [line("orders-prod"), line("ledger-prod")] };
const colleagues: Colleague[] = [
  { id: "aino", name: line("Aino Korhonen"), issuer: line("login.example.com"), initials: "AK", resources: [line("orders-prod"), line("ledger-prod"), line("vault-prod")] },
  { id: "ines", name: line("Ines Okafor"), issuer: line("login.example.com"), initials: "IO", resources: [line("vault-prod")] },
  jonas,
  { id: "layla", name: line("ليلى حداد"), issuer: line("id.partner.example.net"), initials: "لح", resources: [line("orders-prod")] },
];

/** Answers what is the desk's; null: it is somebody else's. `put` says the new state. */
export function deskAnswer(call: Call, state: State, card: (txn: string) => Card | null, now: number, put: (state: State) => void): Reply | null {
  const nothing: Reply = { reply: "nothing" };
  switch (call.call) {
    case "checks":
      return { reply: "checks", checks: checks(state) };
    case "diagnostics":
      return { reply: "diagnostics", text: DIAGNOSTICS };
    case "set_prefs":
      put({ ...state, prefs: call.prefs });
      return nothing;
    case "test_notification":
    case "test_seen": {
      if (state.notifications.state === "missing") return nothing;
      const test = call.call === "test_notification" ? { at: now, millis: 2, seen: null } : state.notifications.test === null ? null : { ...state.notifications.test, seen: call.seen };
      put({ ...state, notifications: { ...state.notifications, test } });
      return nothing;
    }
    case "mute": {
      const of = card(call.txn);
      if (of !== null) put({ ...state, mutes: [...state.mutes, { id: `mute-${call.txn}`, name: of.row.requester, until: now + call.secs, silent: 0, txns: [call.txn] }] });
      return nothing;
    }
    case "unmute":
      put({ ...state, mutes: state.mutes.filter((mute) => mute.id !== call.id) });
      return nothing;
    case "pause":
      put({ ...state, paused: { until: call.secs === null ? null : now + call.secs } });
      return nothing;
    case "resume":
      put({ ...state, paused: null });
      return nothing;
    case "absence":
    case "set_absence":
    case "end_absence": {
      const id = call.account ?? state.account?.id;
      if (call.call !== "absence") {
        const away = call.call === "set_absence" ? { from: call.from, until: call.until, stand_in: call.stand_in } : null;
        const accounts = state.accounts.map((account) => (account.id === id ? { ...account, away } : account));
        put({ ...state, accounts, account: accounts[0] ?? null });
        return absence(away, away?.stand_in ?? null);
      }
      return absence(state.accounts.find((account) => account.id === id)?.away ?? null, "jonas");
    }
    default:
      return null;
  }
}

function absence(away: { from: number; until: number } | null, standIn: string | null): Reply {
  return {
    reply: "absence",
    absence: away === null ? null : { from: away.from, until: away.until, stand_in: colleagues.find((each) => each.id === standIn) ?? null, stand_in_eligible: true },
    colleagues,
    resources: [line("orders-prod"), line("ledger-prod"), line("vault-prod")],
    requesters_read: away === null ? "" : `Elin Varga is away until Fri 27 Nov 18:00.${standIn === "jonas" ? " Jonas Petersen can vote instead." : ""}`,
  };
}

/** Monday to Friday of the week after. */
export const away = () => ({ from: NOW - 6 * 3600, until: NOW + 5 * 86_400 + 3 * 3600 + 56 * 60 + 3 });
export const mutes = () => [{ id: "mute-1", name: line(name("schema-migrator")), until: NOW + 56 * 60 + 3, silent: 12, txns: [] }];
