import { describe, expect, test } from "vitest";
import { chip, line, name, ours, punct, twin } from "../../src/backend/recorded/lines";
import { announcement, isUrgent } from "../../src/card/urgency";
import { speak, t, type Catalogue } from "../../src/text";
import { de } from "../../src/text/de";
import { en } from "../../src/text/en";
import { direction, firstName, initials, leader, plain } from "../../src/text/line";
import { slotted } from "../../src/text/slots";
import { clock, countdown, dayHeading, exact, moment } from "../../src/text/time";

const collect = (path: string, value: unknown): [string, unknown][] =>
  typeof value === "object" && value !== null && !("parts" in value) ? Object.entries(value).flatMap(([key, inner]) => collect(`${path}.${key}`, inner)) : [[path, value]];
const said = (value: unknown): string => {
  if (typeof value === "string") return value;
  if (typeof value === "function") return String((value as (p: object) => string)(new Proxy({}, { get: (_, key) => (["name", "time", "date", "sections", "bound", "ends", "version", "from", "to"].includes(String(key)) ? "x" : 2) })));
  return (value as { parts: (string | { slot: string })[] }).parts.map((part) => (typeof part === "string" ? part : "x")).join("");
};
const places = (value: unknown) => (typeof value === "object" && value !== null && "parts" in value ? (value as { parts: (string | { slot: string })[] }).parts.flatMap((part) => (typeof part === "string" ? [] : [part.slot])).sort() : []);

describe.each([["en", en], ["de", de]] as [string, Catalogue][])("the catalogue: %s", (name, catalogue) => {
  const texts = collect(name, catalogue);
  test("has every text", () => {
    expect(texts.length).toBeGreaterThan(150);
    for (const [path, value] of texts) expect(said(value), path).not.toMatch(/^\s*$|undefined|NaN|\{|\}/);
  });
  test("speaks the house's voice", () => {
    for (const [path, value] of texts) expect(said(value), path).not.toMatch(/!|\b(please|oops|successfully|cancel(l?ed)?|sorry|bitte|leider|erfolgreich)\b|\.\.\.|…$/i);
  });
});

describe("German", () => {
  const [ours, theirs] = [new Map(collect("", en)), new Map(collect("", de))];
  test("has each text of English, with the same places", () => {
    for (const [path, value] of ours) expect([path, typeof theirs.get(path), places(theirs.get(path))]).toEqual([path, typeof value, places(value)]);
  });
  test("is German: hardly a text is the same", () => {
    const same = [...ours].filter(([path, value]) => said(value) === said(theirs.get(path))).map(([path]) => path);
    expect(same.length, same.join(" ")).toBeLessThan(40);
    for (const path of same) expect(said(ours.get(path)).split(/\s+/).length, path).toBeLessThan(4);
  });
  test("counts one and many", () => {
    expect(de.arrived({ count: 1 })).toBe("1 Anfrage wartet auf Sie");
    expect(de.arrived({ count: 1284 })).toBe("1.284 Anfragen warten auf Sie");
  });
});

describe("the language in use", () => {
  test("is what the person wants, else the desktop's, else English", () => {
    const cases: [Parameters<typeof speak>, string][] = [[["de", "en-GB"], "de"], [["en", "de-DE"], "en"], [["system", "de-AT"], "de"], [["system", "fi"], "en"]];
    for (const [wanted, spoken] of cases) {
      speak(...wanted);
      expect(t.language).toBe(spoken);
    }
    speak("de", "");
    expect(exact(Date.UTC(2026, 10, 22, 14, 3, 51) / 1000, 0)).toBe("22. November 2026, 14:03:51");
    speak("en", "");
  });
  test("counts one and many", () => {
    expect(en.arrived({ count: 1 })).toBe("1 request waits for you");
    expect(en.arrived({ count: 1284 })).toBe("1,284 requests wait for you");
    expect(en.madeVisible({ count: 1 })).toBe("1 character hides or looks alike");
  });
});

test("places in a sentence may stand anywhere", () => {
  expect(slotted("{who} denied this at {time}.").parts).toEqual([{ slot: "who" }, " denied this at ", { slot: "time" }, "."]);
});

describe("a person is called by name only where it is plainly one", () => {
  test.each([
    ["Mara Lindqvist", "Mara"],
    ["ليلى حداد", "ليلى"],
    ["Zoë Ångström", "Zoë"],
    ["mara", null],
    ["release pipeline", null],
    ["Your Administrator’s colleague", "Your"],
    ["A1 Services", null],
    ["<b>Mara</b> L", null],
    ["", null],
  ])("%s → %s", (given, expected) => {
    expect(firstName(line(given))).toBe(expected);
  });
  test("not where a letter poses as another", () => {
    expect(firstName(line("M", twin("а"), "ra Lindqvist"))).toBeNull();
    expect(firstName(line("Mara", chip("U+200B ZWSP"), " Lindqvist"))).toBeNull();
  });
});

test("faces take two letters, and none from a chip", () => {
  expect(initials(line("Pelle Anders", chip("U+202E RLO"), "nossel"))).toBe("PA");
  expect(initials(line("Jonas Petersen"))).toBe("JP");
  expect(initials(line("elin.varga@example.com"))).toBe("EC");
});

test("lines as one string keep everything", () => {
  expect(plain(line(name("Mara"), ours(" asks"), chip("U+202E RLO")))).toBe("Mara asksU+202E RLO");
});

test("what wraps hangs behind its number", () => {
  expect(leader(line(punct("   7  "), "text"))).toBe(6);
  expect(leader(line(punct("\u21aa "), "text"))).toBe(2);
  expect(leader(line(punct("{")))).toBe(0);
  expect(leader(line("   7  "))).toBe(0);
});

test("a sentence runs as its first letter does", () => {
  expect(direction(line("(A-17) تم"))).toBe("ltr");
  expect(direction(line("«تم» (A-17)"))).toBe("rtl");
  expect(direction(line(chip("U+202E RLO"), "12 מחסן"))).toBe("rtl");
  expect(direction(line("12"))).toBe("ltr");
});

describe("times", () => {
  const at = Date.UTC(2026, 10, 22, 14, 3, 51) / 1000;
  const DAY = 86_400;
  test.each([[462, "7:42"], [59, "0:59"], [0, "0:00"], [-5, "0:00"], [3760, "1:02:40"]])("%i s → %s", (secs, expected) => {
    expect(countdown(secs)).toBe(expected);
  });
  test("evidence has dates, never only how long ago", () => {
    expect(exact(at, at + 60)).toBe(clock(at));
    expect(exact(at, at + 2 * DAY)).toMatch(/^22 November 2026, \d\d:\d\d:51$/);
    expect(moment(at, at + 2 * DAY)).toMatch(/^22 November, \d\d:\d\d$/);
    expect(moment(at, at + 400 * DAY)).toMatch(/^22 November 2026, /);
  });
  test("days have headings", () => {
    expect(dayHeading(at, at)).toBe("Today");
    expect(dayHeading(at - DAY, at)).toBe("Yesterday, 21 November");
    expect(dayHeading(at - 3 * DAY, at)).toBe("19 November 2026");
  });
  test("short time is urgent, and read aloud at steps only", () => {
    expect(isUrgent(120)).toBe(false);
    expect(isUrgent(119)).toBe(true);
    const said = new Set(Array.from({ length: 200 }, (_, left) => announcement(left)));
    expect(said.size).toBe(5);
    expect(announcement(119)).toBe("2 minutes left, then denied.");
    expect(announcement(9)).toBe("10 seconds left, then denied.");
  });
});
