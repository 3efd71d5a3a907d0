/**
 * Our own words on a card and of a proof, in the language in use. What is signed is their English: it comes with the card, part for part,
 * and this only says it again. What the catalogue does not know stays as it came.
 */
import { t } from "./catalogue.svelte";
import { en } from "./en";
import type { Slotted } from "./slots";

type Key = keyof typeof en.ours;
const keys = Object.keys(en.ours) as Key[];
const parts = (text: Slotted<string>) => text.parts;

/** These stand for words of ours again; any other place holds what a policy names. */
const NUMBER = "n";
const AGAIN = ["duration", "people", "ended"];

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
const pattern = (key: Key) =>
  new RegExp(`^${parts(en.ours[key]).map((part) => (typeof part === "string" ? escaped(part) : part.slot === NUMBER ? "(\\d+)" : "(.+)")).join("")}$`, "su");

const whole = new Map<string, Key>();
const withPlaces: { key: Key; pattern: RegExp; slots: string[] }[] = [];
for (const key of keys) {
  const slots = parts(en.ours[key]).flatMap((part) => (typeof part === "string" ? [] : [part.slot]));
  if (slots.length === 0) whole.set(parts(en.ours[key]).join(""), key);
  else withPlaces.push({ key, pattern: pattern(key), slots });
}

/** One part of a line that is ours, as a whole. */
export function ours(text: string): string {
  if (t.language === "en") return text;
  const known = whole.get(text);
  if (known !== undefined) return parts(t.ours[known]).join("");
  for (const { key, pattern, slots } of withPlaces) {
    const found = pattern.exec(text);
    if (found === null) continue;
    const held = new Map(slots.map((slot, at) => [slot, found[at + 1] ?? ""]));
    const filled = (slot: string) => (AGAIN.includes(slot) ? ours(held.get(slot) ?? "") : (held.get(slot) ?? ""));
    return parts(t.ours[key]).map((part) => (typeof part === "string" ? part : filled(part.slot))).join("");
  }
  return text;
}
