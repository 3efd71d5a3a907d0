import { expect, test } from "vitest";
import { many } from "../../src/backend/recorded/cards";
import type { Row } from "../../src/generated/ipc";
import { held, NOTHING, type Held } from "../../src/inbox/held";

const [a, b, c, d] = many() as [ReturnType<typeof many>[0], ReturnType<typeof many>[0], ReturnType<typeof many>[0], ReturnType<typeof many>[0]];
const open = (row: Row) => ({ txn: row.txn, row });
const order = (list: Held) => list.rows.map((row) => row.txn.replace("txn-many-", "")).join(" ");

test("follows the list while the pointer is elsewhere", () => {
  const shown = held(NOTHING, [a, b], false, null);
  expect(order(shown)).toBe("0 1");
  expect(order(held(shown, [c, b, d], false, null))).toBe("2 1 3");
});

test("nothing moves under the pointer: new rows wait", () => {
  const shown = held(held(NOTHING, [a, b], false, null), [c, a, d, b], true, null);
  expect(order(shown)).toBe("0 1");
  expect(shown.waiting).toBe(2);
  const left = held(shown, [c, a, d, b], false, null);
  expect(order(left)).toBe("2 0 3 1");
  expect(left.waiting).toBe(0);
});

test("a row that is over stays in its place under the pointer", () => {
  const shown = held(held(NOTHING, [a, b, c], false, null), [a, c], true, null);
  expect(order(shown)).toBe("0 1 2");
  expect([...shown.gone]).toEqual([b.txn]);
  expect(order(held(shown, [a, c], false, null))).toBe("0 2");
});

test("the row of the open card stays until another is opened", () => {
  const shown = held(held(NOTHING, [a, b, c], false, null), [d, a, c], false, open(b));
  expect(order(shown)).toBe("3 0 1 2");
  expect(shown.gone.has(b.txn)).toBe(true);
  expect(order(held(shown, [d, a, c], false, open(d)))).toBe("3 0 2");
});

test("a row that left the list says what its open card says", () => {
  const shown = held(NOTHING, [a, b], false, open(b));
  const closed: Row = { ...b, approvals: 2, outcome: "redeemed" };
  expect(held(shown, [a], false, open(closed)).rows[1]).toEqual(closed);
  // What is in the list is newer than a card that was read before.
  expect(held(shown, [a, { ...b, approvals: 7 }], false, open(closed)).rows[1]?.approvals).toBe(7);
  // A card that is still being read says nothing.
  expect(held(shown, [a], false, { txn: b.txn, row: null }).rows[1]).toEqual(b);
});

test("rows are updated in place", () => {
  const shown = held(held(NOTHING, [a, b], false, null), [{ ...a, approvals: 9 }, b], true, null);
  expect(shown.rows[0]?.approvals).toBe(9);
});
