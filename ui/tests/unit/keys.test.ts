import { expect, test } from "vitest";
import { actOf } from "../../src/keys";

const key = (key: string, more: object = {}) => actOf({ key, code: "", ctrlKey: false, altKey: false, shiftKey: false, metaKey: false, ...more });

test("no single character does anything", () => {
  for (let code = 32; code < 127; code++) expect(key(String.fromCharCode(code))).toBeNull();
  for (const name of ["Enter", "Escape", " ", "Tab", "Delete", "Backspace"]) expect(key(name)).toBeNull();
});

test("nothing decides", () => {
  const acts = [..."abcdefghijklmnopqrstuvwxyz0123456789+-="].flatMap((letter) =>
    [{ ctrlKey: true }, { altKey: true }, { ctrlKey: true, altKey: true }, { metaKey: true }, { ctrlKey: true, shiftKey: true }].map((more) => key(letter, { ...more, code: `Key${letter.toUpperCase()}` })?.act),
  );
  expect([...new Set(acts.filter((act) => act !== undefined))].sort()).toEqual(["next", "page", "search", "size", "unseen"]);
});

test("pages, parts, sizes", () => {
  expect(key("2", { ctrlKey: true })).toEqual({ act: "page", page: "history" });
  expect(key("F6", { shiftKey: true })).toEqual({ act: "part", step: -1 });
  expect(key("=", { ctrlKey: true })).toEqual({ act: "size", step: 1 });
  expect(key("˜", { altKey: true, code: "KeyN" })).toEqual({ act: "next" });
  expect(key("1", { ctrlKey: true, metaKey: true })).toBeNull();
});
