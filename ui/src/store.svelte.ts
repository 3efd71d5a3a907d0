/**
 * The one store of truth. It is fed by the agent's events and holds what is on screen: the page, the open
 * card, the vote under way. It decides nothing about a request: that is the agent's and the footer's.
 */
import { ask, problemOf, type Backend } from "./backend/backend";
import type { Account, Card, Choice, Connection, Event, Prefs, Problem, Row, State } from "./generated/ipc";
import type { Clock } from "./clock.svelte";
import type { Casting } from "./card/footer";
import { renewed, type Storm } from "./inbox/storm";
import { held, NOTHING, type Held, type Open } from "./inbox/held";

export type Page = "inbox" | "history" | "settings";

/** A sheet with the card of one request. */
export type Sheet =
  | { readonly sheet: "none" }
  | { readonly sheet: "reading"; readonly txn: string }
  | { readonly sheet: "card"; readonly txn: string; readonly card: Card }
  | { readonly sheet: "failed"; readonly txn: string; readonly problem: Problem };

export class Store {
  /** Null until the agent has answered once. */
  state = $state.raw<State | null>(null);
  /** The agent is gone, or was never there. */
  lost = $state(false);
  /** Why, where it said so. */
  lostSentence = $state("");
  page = $state<Page>("inbox");
  /** The open card of the inbox, and that of the history. */
  inboxSheet = $state.raw<Sheet>({ sheet: "none" });
  historySheet = $state.raw<Sheet>({ sheet: "none" });
  casting = $state.raw<Casting>({ state: "idle" });
  /** When the connection was seen to break; null: it stands, or was broken before we looked. */
  offlineSince = $state<number | null>(null);
  /** Whether the last step of signing in is still on screen. */
  greeting = $state(false);
  /** Like requests that are shown together, in place of a card: see `inbox/storm.ts`. */
  storm = $state.raw<Storm | null>(null);
  /** Grows whenever something in the history came or changed. */
  history = $state(0);
  /** Another account is being added to those that there are. */
  adding = $state(false);
  /** A request was opened while somebody signs in: that goes on out of sight, until it needs the person. */
  aside = $state(false);
  /** The address in a link that was opened, until it is used or put away: it is only filled in. */
  linked = $state<string | null>(null);
  /** Rows on screen, see `inbox/held.ts`. */
  waiting = $state.raw<Held>(NOTHING);
  others = $state.raw<Held>(NOTHING);
  /** Grows whenever a card is opened by a person: then, and only then, the focus moves. */
  opened = $state(0);

  /** Somebody points at the list, or moves through it by keys. */
  #inList = { pointer: false, focus: false };
  #reads = 0;
  /** Cards are read again whenever something changes: what was asked first and answered last is not news. */
  #asked = 0;
  #shown = { inboxSheet: 0, historySheet: 0 };
  /** Preferences that are on their way to the agent. */
  #wanted: Prefs | null = null;

  constructor(
    readonly backend: Backend,
    readonly clock: Clock,
  ) {}

  /** Subscribes, reads the state, opens the most urgent request. */
  async start() {
    try {
      await this.backend.onEvent((event) => this.#hear(event));
      const { state } = await ask(this.backend, { call: "state" }, "state");
      this.#take(state);
      const first = state.inbox[0];
      // Unless a person has asked for one meanwhile, by a notification: that one is being read.
      if (first !== undefined && this.inboxSheet.sheet === "none" && this.#reads === 0) await this.#show(first.txn);
    } catch (thrown) {
      this.lost = true;
      this.lostSentence = problemOf(thrown).sentence;
    }
  }

  #hear(event: Event) {
    switch (event.event) {
      case "state":
        this.lost = false;
        this.#take(event.state);
        return;
      case "open":
        this.page = "inbox";
        if (event.txn === null) return;
        this.greeting = false;
        this.adding = false;
        this.aside = true;
        void this.open(event.txn);
        return;
      case "connect":
        this.linked = event.server;
        // A sign-in under way goes on; the address waits until it is over.
        if (this.state !== null && this.state.account !== null) this.adding = true;
        return;
      case "card_changed":
        void this.#readAgain(event.txn);
        return;
      case "history_changed":
        this.history += 1;
        return;
      case "goodbye":
        this.lost = true;
        return;
    }
  }

  #take(state: State) {
    const before = this.state;
    if (state.connection === "reconnecting") {
      if (before?.connection === "connected") this.offlineSince = this.clock.now;
    } else this.offlineSince = null;
    if (before === null && this.linked !== null && state.account !== null) this.adding = true;
    // What has to work for requests to arrive is tried out once on a device, not at each sign-in.
    if (before !== null && state.accounts.length > before.accounts.length) this.adding = false;
    if (before !== null && before.account === null && state.account !== null && !state.prefs.greeted) this.greeting = true;
    if (before !== null && state.sign_in.state !== before.sign_in.state && state.sign_in.state !== "binding") this.aside = false;
    if (state.account === null) {
      this.greeting = false;
      this.storm = null;
      this.inboxSheet = { sheet: "none" };
      this.historySheet = { sheet: "none" };
    }
    this.state = state;
    this.#settle();
    // Offline and back: what is on screen may have changed meanwhile, and what could not be read perhaps can.
    const open = this.inboxSheet;
    if (before !== null && before.connection !== state.connection && (open.sheet === "card" || open.sheet === "failed")) void this.#readAgain(open.txn);
  }

  #settle(hold = this.#inList.pointer || this.#inList.focus) {
    const state = this.state;
    if (state === null) return;
    if (this.storm !== null) this.storm = renewed(this.storm, state.inbox);
    const sheet = this.inboxSheet;
    const open: Open | null = sheet.sheet === "none" ? null : { txn: sheet.txn, row: sheet.sheet === "card" ? sheet.card.row : null };
    const others = new Set(state.others.map((row) => row.txn));
    const inbox = new Set(state.inbox.map((row) => row.txn));
    // A row that changed lists leaves the one for the other.
    const without = (shown: Held, gone: Set<string>): Held => ({ ...shown, rows: shown.rows.filter((row) => !gone.has(row.txn)) });
    this.waiting = held(without(this.waiting, hold ? new Set() : others), state.inbox, hold, open);
    // What is over waits for nobody else: there even the row of the open card goes.
    this.others = held(without(this.others, hold ? new Set() : inbox), state.others, hold, null);
  }

  /** The pointer or the focus came into the list, or left it. */
  inList(who: "pointer" | "focus", inside: boolean) {
    this.#inList[who] = inside;
    this.#settle();
  }

  /** Shows the rows that wait: asked for by the person. */
  showWaiting() {
    this.#settle(false);
  }

  /** Whose request this is. */
  accountOf(row: Row): Account | null {
    return this.state?.accounts.find((account) => account.id === row.account) ?? this.state?.account ?? null;
  }

  /** The connection that a vote on this request takes. Without the agent there is none. */
  connectionOf(row: Row): Connection {
    if (this.lost) return "reconnecting";
    const all = this.state?.connection ?? "connecting";
    // The whole is as well off as the worst of them: where there is one account, that is the answer.
    return (this.state?.accounts.length ?? 0) > 1 ? (this.accountOf(row)?.connection ?? all) : all;
  }

  /** Opens a request in the inbox. Only a person's act leads here, never an arrival. */
  async open(txn: string) {
    if (await this.#show(txn)) this.opened += 1;
  }

  /** Shows like requests together. */
  openStorm(storm: Storm) {
    this.storm = storm;
    this.inboxSheet = { sheet: "none" };
    this.#settle();
  }

  /** Whether a request still waits for this person. */
  waits(txn: string): boolean {
    return this.state?.inbox.some((row) => row.txn === txn) ?? false;
  }

  async #show(txn: string): Promise<boolean> {
    this.storm = null;
    this.casting = { state: "idle" };
    const shown = await this.#read(txn, (sheet) => (this.inboxSheet = sheet));
    if (shown) this.#settle();
    return shown;
  }

  /** Opens a request in the history. */
  async openPast(txn: string) {
    if (await this.#read(txn, (sheet) => (this.historySheet = sheet))) this.opened += 1;
  }

  /** Reads a card onto a sheet. False when another one was asked for meanwhile. */
  async #read(txn: string, put: (sheet: Sheet) => void): Promise<boolean> {
    const read = ++this.#reads;
    const slow = setTimeout(() => read === this.#reads && put({ sheet: "reading", txn }), 120);
    let sheet: Sheet;
    try {
      const { card } = await ask(this.backend, { call: "card", txn }, "card");
      sheet = { sheet: "card", txn, card };
    } catch (thrown) {
      sheet = { sheet: "failed", txn, problem: problemOf(thrown) };
    }
    clearTimeout(slow);
    if (read !== this.#reads) return false;
    put(sheet);
    return true;
  }

  /** Reads the open card again without taking it off the screen. */
  async #readAgain(txn: string) {
    try {
      for (const place of ["inboxSheet", "historySheet"] as const) {
        const open = this[place];
        if (open.sheet === "none" || open.txn !== txn) continue;
        const turn = ++this.#asked;
        const { card } = await ask(this.backend, { call: "card", txn }, "card");
        const still = this[place];
        if (still.sheet === "none" || still.txn !== txn || turn < this.#shown[place]) continue;
        this.#shown[place] = turn;
        this[place] = { sheet: "card", txn, card };
        this.#settle();
      }
    } catch {
      // What is on screen stays; its own clock closes it.
    }
  }

  /** Casts the vote on the open card: what is signed is what was shown. */
  async vote(choice: Choice, reason: string, words: readonly [string, string] | null) {
    const open = this.inboxSheet;
    if (open.sheet !== "card" || this.casting.state === "sending") return;
    this.casting = { state: "sending", choice };
    const { txn } = open;
    try {
      const { card } = await ask(
        this.backend,
        {
          call: "vote",
          txn,
          choice,
          reason: reason.trim() === "" ? null : reason.trim(),
          words: words === null ? null : words.map((word) => word.trim().toLowerCase()),
          display_digest: open.card.display_digest,
        },
        "card",
      );
      if (this.#shows(txn)) {
        this.#shown.inboxSheet = ++this.#asked;
        this.inboxSheet = { sheet: "card", txn, card };
        this.casting = { state: "idle" };
        this.#settle();
      }
    } catch (thrown) {
      const problem = problemOf(thrown);
      if (!this.#shows(txn)) return;
      if (problem.code === "closed") {
        this.casting = { state: "idle" };
        await this.#readAgain(txn);
        return;
      }
      this.casting = { state: "failed", choice, problem };
      if (problem.code === "not_genuine") await this.#readAgain(txn);
    }
  }

  #shows(txn: string) {
    return this.inboxSheet.sheet === "card" && this.inboxSheet.txn === txn;
  }

  /** The next request to decide on. */
  next(): string | null {
    const here = this.inboxSheet.sheet === "none" ? null : this.inboxSheet.txn;
    return this.state?.inbox.find((row) => row.txn !== here)?.txn ?? null;
  }

  /** Begins or leaves the page that adds an account. */
  add(adding: boolean) {
    this.adding = adding;
    this.linked = null;
  }

  /** Changes some preferences; the agent keeps them, and answers with a new state. */
  async prefer(change: Partial<Prefs>) {
    if (this.state === null) return;
    // A second change before the first has come back does not undo it.
    const prefs = { ...(this.#wanted ?? this.state.prefs), ...change };
    this.#wanted = prefs;
    try {
      await this.backend.call({ call: "set_prefs", prefs });
    } finally {
      if (this.#wanted === prefs) this.#wanted = null;
    }
  }

  /** The last step of signing in was seen: on this device it does not come again. */
  greeted() {
    this.greeting = false;
    // Not kept: it comes again at the next sign-in, and nothing is lost.
    void this.prefer({ greeted: true }).catch(() => undefined);
  }

  /** Stops a step-up, or begins it again: opens the same page, asks the key again, or sends again. */
  async stepUp(what: "cancel" | "retry") {
    const open = this.inboxSheet;
    if (open.sheet !== "card" || open.card.ballot.ballot !== "step_up") return;
    const { txn } = open;
    try {
      await this.backend.call(what === "cancel" ? { call: "cancel_step_up", txn } : { call: "retry_step_up", txn });
      // What is under way is on the card.
      await this.#readAgain(txn);
    } catch (thrown) {
      if (this.#shows(txn)) this.casting = { state: "failed", choice: "approve", problem: problemOf(thrown) };
    }
  }

  /** Tells the agent what is in front of the person. */
  tellWindowState(visible: boolean) {
    const open = this.page === "inbox" ? this.inboxSheet : this.historySheet;
    const showing = this.page === "settings" || open.sheet !== "card" ? null : open.txn;
    void this.backend.call({ call: "window_state", visible, showing }).catch(() => undefined);
  }
}
