import { readFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { speak } from "../../src/text";
import { ours } from "../../src/text/ours";

/** All that a card says by itself, as `crates/display` writes it down in a test of its own. */
const said = readFileSync(new URL("../../../crates/display/tests/snapshots/cards__ours.snap", import.meta.url), "utf8")
  .split("\n---\n")[1]
  ?.split("\n")
  .filter((line) => line !== "")
  .map((line) => JSON.parse(line) as string);

/** These say the same in German, or are what a gate says. */
const SAME = [" ", " in ", " SHA-256 ", " text ", " int4 "];

afterEach(() => speak("en", ""));

describe("a card's own words", () => {
  test("stay as they were signed in English", () => {
    speak("en", "");
    for (const text of said ?? []) expect(ours(text)).toBe(text);
  });

  test("are all said in German", () => {
    expect(said?.length).toBeGreaterThan(50);
    speak("de", "");
    expect((said ?? []).filter((text) => ours(text) === text)).toEqual(SAME.filter((text) => said?.includes(text)));
  });

  test.each([
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
