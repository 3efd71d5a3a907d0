import { expect, test } from "vitest";
import { play } from "../../src/backend/web";
import { mara, storm as alike } from "../../src/backend/recorded/cards";
import { scenes } from "../../src/backend/recorded/scenes";
import { Denier } from "../../src/inbox/deny-all.svelte";
import { entries, renewed, STORM_AT } from "../../src/inbox/storm";

const rows = alike();
const shape = (list: ReturnType<typeof entries>) => list.map((each) => (each.entry === "row" ? each.row.txn : each.storm.rows.length));

test("a few alike are rows, many are one", () => {
  expect(shape(entries(rows.slice(0, STORM_AT - 1)))).toHaveLength(STORM_AT - 1);
  expect(shape(entries([...rows.slice(0, 2), mara().row, ...rows.slice(2, STORM_AT)]))).toEqual([STORM_AT, "txn-sql"]);
});

test("another person, resource, kind, account or deed is not alike, and nothing that does not verify", () => {
  const [a, b, c, d] = rows as [(typeof rows)[0], (typeof rows)[0], (typeof rows)[0], (typeof rows)[0]];
  // Who asks is told by the subject: a name can be chosen.
  const { requester_id: _, ...nobody } = d;
  for (const other of [{ ...d, requester_id: "https://id.example.org other" }, nobody, { ...d, irreversible: true }, { ...d, summary: mara().row.summary }, { ...d, resource: mara().row.resource }, { ...d, kind: "tool" as const }, { ...d, account: "other" }]) {
    expect(entries([a, b, c, other])).toHaveLength(4);
  }
});

test("what is over stays on the sheet, what comes is added", () => {
  const [entry] = entries(rows.slice(0, 5));
  if (entry?.entry !== "storm") throw new Error("no storm");
  const now = renewed(entry.storm, [...rows.slice(2, 7), mara().row]);
  expect(now.rows.map((row) => row.txn)).toEqual(rows.slice(0, 7).map((row) => row.txn));
});

test("each is denied by a vote of its own, over its own bytes, and what is over is left alone", async () => {
  const scene = scenes["inbox/storm"]?.();
  if (scene === undefined) throw new Error("no scene");
  const played = play(scene, false);
  played.changeCard("txn-storm-1", (card) => (card.row.outcome = "withdrawn"));
  const denier = new Denier(played.backend);
  await denier.run(["txn-storm-0", "txn-storm-1", "txn-storm-2", "txn-none"], " Not now. ");
  const votes = played.calls.filter((call) => call.call === "vote");
  expect(votes).toEqual(["txn-storm-0", "txn-storm-2"].map((txn) => ({ call: "vote", txn, choice: "deny", reason: "Not now.", words: null, display_digest: txn })));
  expect(denier.now).toMatchObject({ state: "done", denied: 2, failed: 1, problem: { code: "not_found" } });
});
