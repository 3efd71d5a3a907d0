import { expect, test } from "vitest";
import { scenes } from "../../src/backend/recorded/scenes";
import { play, type Played } from "../../src/backend/web";
import { Clock } from "../../src/clock.svelte";
import { Store } from "../../src/store.svelte";

async function started(scene: string): Promise<{ store: Store; played: Played }> {
  const make = scenes[scene];
  if (make === undefined) throw new Error(scene);
  const played = play(make(), false);
  const store = new Store(played.backend, new Clock(played.readMillis));
  await store.start();
  await settled();
  return { store, played };
}
/** Lets every answer that is already there arrive. */
const settled = async () => {
  for (let n = 0; n < 20; n++) await Promise.resolve();
};
const shown = (store: Store) => (store.inboxSheet.sheet === "none" ? null : store.inboxSheet.txn);

test("opens the most urgent request at the start, and moves no focus for it", async () => {
  const { store } = await started("inbox");
  expect(shown(store)).toBe("txn-tool");
  expect(store.opened).toBe(0);
});

test("what a notification was clicked for while the state was on its way is not replaced by the most urgent", async () => {
  const make = scenes["inbox"];
  if (make === undefined) throw new Error("inbox");
  const played = play(make(), false);
  const { call } = played.backend;
  let answer: () => void = () => undefined;
  // The card takes longer than the state.
  played.backend.call = async (asked) => {
    if (asked.call === "card" && asked.txn === "txn-http") await new Promise<void>((done) => (answer = done));
    return call(asked);
  };
  const store = new Store(played.backend, new Clock(played.readMillis));
  const starting = store.start();
  played.emit({ event: "open", txn: "txn-http" });
  await starting;
  answer();
  await settled();
  expect(shown(store)).toBe("txn-http");
});

test("an answer that was overtaken by a newer one, or by a vote, does not take its place", async () => {
  const { store, played } = await started("inbox/sql");
  const { call } = played.backend;
  const held: (() => void)[] = [];
  // Answered as it was when it was asked, and told when the test says so.
  played.backend.call = async (asked) => {
    const reply = await call(asked);
    if (asked.call === "card") await new Promise<void>((done) => held.push(done));
    return reply;
  };
  const needed = () => (store.inboxSheet.sheet === "card" ? store.inboxSheet.card.row.needed : null);
  played.changeCard("txn-sql", (card) => (card.row.needed = 3));
  await settled();
  played.changeCard("txn-sql", (card) => (card.row.needed = 4));
  await settled();
  held[1]?.();
  await settled();
  expect(needed()).toBe(4);
  held[0]?.();
  await settled();
  expect(needed()).toBe(4);
  played.changeCard("txn-sql", () => undefined);
  await settled();
  await store.vote("deny", "", null);
  held[2]?.();
  await settled();
  expect(store.inboxSheet).toMatchObject({ card: { ballot: { ballot: "locked" } } });
});

test("a card that could not be read is read when the connection is back", async () => {
  const make = scenes["inbox/sql"];
  if (make === undefined) throw new Error("inbox/sql");
  const played = play(make(), false);
  const { call } = played.backend;
  let down = true;
  played.backend.call = async (asked) => {
    if (asked.call === "card" && down) throw new Error("no server");
    return call(asked);
  };
  const store = new Store(played.backend, new Clock(played.readMillis));
  await store.start();
  await settled();
  expect(store.inboxSheet).toMatchObject({ sheet: "failed", txn: "txn-sql" });
  down = false;
  played.change((state) => (state.connection = "reconnecting"));
  await settled();
  expect(store.inboxSheet).toMatchObject({ sheet: "card", txn: "txn-sql" });
});

test("a new request never replaces the card", async () => {
  const { store, played } = await started("inbox/sql");
  const opened = store.opened;
  played.change((state) => state.inbox.unshift({ ...state.inbox[0]!, txn: "txn-new", expires_at: 1 }));
  await settled();
  expect(shown(store)).toBe("txn-sql");
  expect(store.opened).toBe(opened);
  expect(store.waiting.rows[0]?.txn).toBe("txn-new");
});

test("while the pointer is in the list new rows wait", async () => {
  const { store, played } = await started("inbox/sql");
  store.inList("pointer", true);
  played.change((state) => state.inbox.unshift({ ...state.inbox[0]!, txn: "txn-new" }));
  expect(store.waiting.waiting).toBe(1);
  expect(store.waiting.rows.map((row) => row.txn)).not.toContain("txn-new");
  store.showWaiting();
  expect(store.waiting.rows[0]?.txn).toBe("txn-new");
});

test("nor do rows move under the keys, and the list comes up to date when both are gone", async () => {
  const { store, played } = await started("inbox/sql");
  store.inList("focus", true);
  store.inList("pointer", true);
  played.change((state) => state.inbox.unshift({ ...state.inbox[0]!, txn: "txn-new" }));
  store.inList("pointer", false);
  expect(store.waiting.waiting).toBe(1);
  store.inList("focus", false);
  expect(store.waiting.rows[0]?.txn).toBe("txn-new");
});

test("a clicked notification opens that request, from any page", async () => {
  const { store, played } = await started("inbox");
  store.page = "settings";
  played.emit({ event: "open", txn: "txn-http" } as never);
  await settled();
  expect(store.page).toBe("inbox");
  expect(shown(store)).toBe("txn-http");
  expect(store.opened).toBe(1);
});

test("the last one asked for wins", async () => {
  const { store } = await started("inbox");
  const first = store.open("txn-http");
  const second = store.open("txn-sql");
  await Promise.all([first, second]);
  expect(shown(store)).toBe("txn-sql");
});

test("what is signed is what was shown", async () => {
  const { store, played } = await started("inbox/sql");
  await store.vote("approve", "  Checked. ", null);
  expect(played.calls.find((call) => call.call === "vote")).toEqual({
    call: "vote", txn: "txn-sql", choice: "approve", reason: "Checked.", words: null, display_digest: "d-sql",
  });
  expect(store.casting.state).toBe("idle");
  expect(store.inboxSheet.sheet === "card" && store.inboxSheet.card.row.outcome).toBe("approved");
});

test("words go as they are shown: trimmed, in small letters", async () => {
  const { store, played } = await started("inbox/tool");
  await store.vote("approve", "", [" Amber ", "FALCON"]);
  expect(played.calls.find((call) => call.call === "vote")).toMatchObject({ words: ["amber", "falcon"], reason: null });
});

test("one vote at a time", async () => {
  const { store, played } = await started("inbox/sending");
  void store.vote("approve", "", null);
  void store.vote("deny", "", null);
  await settled();
  expect(played.calls.filter((call) => call.call === "vote")).toHaveLength(1);
  expect(store.casting).toMatchObject({ state: "sending", choice: "approve" });
});

test("a vote that was not counted stays on the card with its problem", async () => {
  const { store } = await started("inbox/failed");
  await store.vote("approve", "", null);
  expect(store.casting).toMatchObject({ state: "failed", choice: "approve", problem: { code: "server_unreachable" } });
});

test("a request that closes meanwhile is read again", async () => {
  const { store, played } = await started("inbox/sql");
  played.changeCard("txn-sql", (card) => {
    card.row.outcome = "withdrawn";
  });
  await settled();
  expect(store.inboxSheet.sheet === "card" && store.inboxSheet.card.row.outcome).toBe("withdrawn");
});

test("the row of a closed request stays as long as its card is open", async () => {
  const { store, played } = await started("inbox/sql");
  played.change((state) => (state.inbox = state.inbox.filter((row) => row.txn !== "txn-sql")));
  expect(store.waiting.gone.has("txn-sql")).toBe(true);
  await store.open("txn-http");
  expect(store.waiting.rows.map((row) => row.txn)).not.toContain("txn-sql");
});

test("what is over waits for nobody else: its row leaves the others, and its card stays", async () => {
  const { store, played } = await started("inbox/voted");
  expect(store.others.rows.map((row) => row.txn)).toContain("txn-sql");
  played.changeCard("txn-sql", (card) => Object.assign(card.row, { outcome: "approved", approvals: 3 }));
  played.change((state) => (state.others = state.others.filter((row) => row.txn !== "txn-sql")));
  await settled();
  expect(store.others.rows.map((row) => row.txn)).not.toContain("txn-sql");
  expect(store.inboxSheet).toMatchObject({ card: { row: { txn: "txn-sql", outcome: "approved" } } });
});

test("tells since when it is offline, and reads again when it is back", async () => {
  const { store, played } = await started("inbox/sql");
  played.change((state) => (state.connection = "reconnecting"));
  expect(store.offlineSince).toBe(store.clock.now);
  const before = played.calls.length;
  played.change((state) => (state.connection = "connected"));
  await settled();
  expect(store.offlineSince).toBeNull();
  expect(played.calls.slice(before).some((call) => call.call === "card")).toBe(true);
});

test("signing out takes every card off the screen", async () => {
  const { store, played } = await started("inbox/sql");
  await played.backend.call({ call: "sign_out" });
  expect(store.inboxSheet.sheet).toBe("none");
  expect(store.state?.account).toBeNull();
});

test("a missing agent is told, never guessed around", async () => {
  const { store } = await started("inbox/no-agent");
  expect(store.lost).toBe(true);
  expect(store.state).toBeNull();
});

test("the next request is another one", async () => {
  const { store } = await started("inbox");
  expect(store.next()).toBe("txn-sql");
});

test("what has to work is tried out once on a device, not at each sign-in", async () => {
  const { store, played } = await started("first");
  played.signIn();
  expect(store.greeting).toBe(true);
  store.greeted();
  await settled();
  expect(store.state?.prefs.greeted).toBe(true);
  await played.backend.call({ call: "sign_out" });
  played.signIn();
  expect(store.greeting).toBe(false);
});

test("changing one preference keeps the others", async () => {
  const { store, played } = await started("inbox");
  await store.prefer({ text_size: 150 });
  await store.prefer({ theme: "dark" });
  expect(played.calls.filter((call) => call.call === "set_prefs").at(-1)).toMatchObject({ prefs: { theme: "dark", text_size: 150, greeted: false } });
});

test("the row of a request that ended says how its card ended", async () => {
  const { store, played } = await started("inbox/sql");
  played.changeCard("txn-sql", (card) => Object.assign(card.row, { outcome: "approved", approvals: 2 }));
  played.change((state) => (state.inbox = state.inbox.filter((row) => row.txn !== "txn-sql")));
  await settled();
  expect(store.waiting.rows.find((row) => row.txn === "txn-sql")).toMatchObject({ approvals: 2, outcome: "approved" });
});

test("a vote that takes a sign-in stays on the card until it says that it counts", async () => {
  const { store, played } = await started("inbox/step-up");
  await store.vote("approve", "", null);
  expect(store.inboxSheet).toMatchObject({ card: { ballot: { ballot: "step_up", phase: { phase: "waiting_for_browser" } }, row: { approvals: 1 } } });
  expect(store.casting.state).toBe("idle");
  await store.stepUp("retry");
  await store.stepUp("cancel");
  expect(played.calls.filter((call) => call.call === "cancel_step_up" || call.call === "retry_step_up")).toEqual([{ call: "retry_step_up", txn: "txn-sql" }, { call: "cancel_step_up", txn: "txn-sql" }]);
  expect(store.inboxSheet).toMatchObject({ card: { ballot: { ballot: "open" } } });
  // Where nothing is under way there is nothing to stop.
  await store.stepUp("cancel");
  expect(played.calls.filter((call) => call.call === "cancel_step_up")).toHaveLength(1);
});

test("with several accounts each vote takes the connection of its own", async () => {
  const { store, played } = await started("inbox/account-out");
  const [mine, theirs] = ["txn-sql", "txn-http"].map((txn) => store.state?.inbox.find((row) => row.txn === txn));
  if (mine === undefined || theirs === undefined) throw new Error("no rows");
  expect([store.connectionOf(mine), store.connectionOf(theirs)]).toEqual(["connected", "signed_out"]);
  expect(store.accountOf(theirs)?.id).toBe("elin-2");
  played.emit({ event: "goodbye" });
  expect(store.connectionOf(mine)).toBe("reconnecting");
});
