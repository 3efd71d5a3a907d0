import { mount, unmount } from "svelte";
import { afterEach, expect, test } from "vitest";
import { chip, line, name, ours, twin, value } from "../../src/backend/recorded/lines";
import type { Line } from "../../src/generated/ipc";
import LineText from "../../src/parts/LineText.svelte";

let drawn: ReturnType<typeof mount> | undefined;
const draw = (text: Line, short = false): HTMLElement => {
  const target = document.createElement("p");
  drawn = mount(LineText, { target, props: { line: text, short } });
  return target;
};
afterEach(() => {
  if (drawn !== undefined) void unmount(drawn);
});

test("each part from outside is isolated, ours is not", () => {
  const p = draw(line(name("ليلى"), ours(" asks to "), value("7")));
  expect([...p.children].map((child) => `${child.tagName} ${child.className}`)).toEqual(["BDI r-name", "SPAN r-ours", "BDI r-value"]);
});

test("markup is text", () => {
  const p = draw(line('<img src=x onerror="alert(1)"><b>verified</b>'));
  expect(p.querySelector("img, b")).toBeNull();
  expect(p.textContent).toBe('<img src=x onerror="alert(1)"><b>verified</b>');
});

test("a chip is whole on the card and short in a list", () => {
  expect(draw(line("a", chip("U+202E RLO"))).querySelector(".chip")?.textContent).toBe("U+202E RLO");
  expect(draw(line("a", chip("U+202E RLO")), true).querySelector(".chip")?.textContent).toBe("RLO");
  expect(draw(line(chip("U+E000")), true).querySelector(".chip")?.textContent).toBe("U+E000");
});

test("text that looks like a chip is not one", () => {
  const p = draw(line("U+202E RLO", twin("а")));
  expect(p.querySelector(".chip")).toBeNull();
  expect(p.querySelector(".r-confusable")?.textContent).toBe("а");
});

test("what looks like others stands in place, and the name of its script apart from the sentence", () => {
  const p = draw(line("ask the ", twin("Cyrillic \u0430"), "dmin"));
  expect([...p.children].map((child) => [child.className, child.textContent])).toEqual([["r-data", "ask the "], ["r-confusable", "\u0430"], ["chip", "Cyrillic \u0430"], ["r-data", "dmin"]]);
  expect(draw(line(twin("U+1D41A \u{1D41A}"), "dmin")).querySelector(".r-confusable")?.textContent).toBe("\u{1D41A}");
});
