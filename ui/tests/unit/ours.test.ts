/// <reference types="node" />
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { speak } from "../../src/text";
import { ours } from "../../src/text/ours";

const read = (path: string) => readFileSync(join(import.meta.dirname, "../../../crates", path), "utf8");

/** All that a card says by itself, as `crates/display` writes it down in a test of its own. */
const said = read("display/tests/snapshots/cards__ours.snap")
  .split("\n---\n")[1]
  ?.split("\n")
  .filter((line) => line !== "")
  .map((line) => JSON.parse(line) as string);

/** The titles of a proof's steps, as the verification has them. The last two are a gate's own. */
const titles = () => {
  const source = read("evidence/src/verify/report.rs");
  const from = source.indexOf("pub fn title(");
  return [...source.slice(from, source.indexOf("/// How a step went", from)).matchAll(/"([A-Z][^"]+)"/g)].map((found) => found[1] ?? "").slice(0, 8);
};

/** These say the same in German, or are what a gate says. */
const SAME = [" ", " SHA-256 ", " in ", " int4 ", " text ", ", "];

afterEach(() => speak("en", ""));

describe("a card's own words", () => {
  test("stay as they were signed in English", () => {
    speak("en", "");
    for (const text of said ?? []) expect(ours(text)).toBe(text);
  });

  test("are all said in German", () => {
    expect(said?.length).toBeGreaterThan(50);
    speak("de", "");
    expect((said ?? []).filter((text) => ours(text) === text)).toEqual(SAME);
  });

  test("and the titles of a proof", () => {
    expect(titles().length).toBe(8);
    speak("de", "");
    expect(titles().filter((title) => ours(title) === title)).toEqual([]);
  });

  test.each([
    ["It has been denied. So there is no grant to prove; the request itself is genuine.", "Sie wurde abgelehnt. Deshalb gibt es keine Freigabe zu beweisen; die Anfrage selbst ist echt."],
    [" asks to ", " fragt an: "],
    ["Voting ends after 10 minutes", "Abgestimmt wird 10 Minuten lang"],
    ["It may start for 1 hour after the last approval", "Nach der letzten Genehmigung bleiben 1 Stunde bis zum Start"],
    ["Stage 2, one person: 3 people", "Stufe 2, one person: 3 Personen"],
    [" 5 members", " 5 Felder"],
  ])("%s → %s", (english, german) => {
    speak("de", "");
    expect(ours(english)).toBe(german);
  });

  test("what is not known stays as it came, and nothing is replaced within", () => {
    speak("de", "");
    for (const text of ["asks to", " asks to  ", " timestamptz ", "x members", "He asks to go", ""]) expect(ours(text)).toBe(text);
  });
});
