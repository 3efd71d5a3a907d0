import { expect, test } from "vitest";
import { ask, problemOf, Refused, replyOf, type Backend } from "../../src/backend/backend";
import { play } from "../../src/backend/web";
import { scenes } from "../../src/backend/recorded/scenes";
import type { Call } from "../../src/generated/ipc";

const problem = { code: "closed", sentence: "It is over." } as const;

test("a refusal is thrown with its problem", () => {
  expect(() => replyOf({ result: "refused", problem })).toThrow(Refused);
  expect(problemOf(new Refused(problem))).toEqual(problem);
  expect(problemOf(new Error("no agent"))).toEqual({ code: "other", sentence: "" });
});

test("a reply of another kind is a fault, not a value", async () => {
  const backend: Backend = { call: async () => ({ reply: "nothing" }), onEvent: async () => undefined };
  await expect(ask(backend, { call: "state" }, "state")).rejects.toMatchObject({ problem: { code: "version" } });
});

test.each(Object.keys(scenes))("scene %s answers every call like an agent", async (name) => {
  const scene = scenes[name]?.();
  if (scene === undefined || scene.dead === true) return;
  const { backend } = play(scene, false);
  const { state } = await ask(backend, { call: "state" }, "state");
  for (const row of state.inbox) {
    const { card } = await ask(backend, { call: "card", txn: row.txn }, "card");
    expect(card.row.txn).toBe(row.txn);
  }
  const calls: Call[] = [{ call: "history", query: { text: "", outcomes: [], kinds: [], mine: false, person: null, from: null, until: null, account: null }, at: 0, limit: 100 }, { call: "devices" }, { call: "verify", txn: "past-2" }];
  for (const call of calls) await backend.call(call);
});
