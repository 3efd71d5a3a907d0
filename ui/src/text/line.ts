/** Small readings of a `Line`: what it says as one string, and the name to call a person by. */
import type { Field, Line } from "../generated/ipc";

/** All of it as one string: for labels that are read aloud, and for the clipboard. */
export const plain = (line: Line | null) => (line === null ? "" : line.spans.map((span) => span.text).join(""));

/** The same within a sentence of ours: it may run the other way. */
export const isolated = (line: Line) => `\u2068${plain(line)}\u2069`;

/** A line of our own that quotes data. */
export const data = (text: string): Line => ({ indent: 0, spans: [{ role: "data", text }] });

/**
 * The first name, for "Mara’s terminal": only where it is plainly one, letters alone, in a name without
 * anything made visible. Otherwise null, and we say "the requester".
 */
export function firstName(line: Line): string | null {
  const first = line.spans[0];
  if (first === undefined || line.spans.some((span) => span.role === "confusable")) return null;
  const [word, rest] = first.text.trim().split(/\s+/, 2);
  if (word === undefined || rest === undefined) return null;
  return /^\p{Lu}[\p{L}\p{M}]{1,15}$|^\p{Lo}[\p{L}\p{M}]{1,15}$/u.test(word) ? word : null;
}

/** Two letters for a face. */
export function initials(line: Line): string {
  const words = line.spans
    .filter((span) => span.role !== "chip")
    .map((span) => span.text)
    .join("")
    .split(/[\s@._-]+/)
    .filter((word) => /^\p{L}/u.test(word));
  const letters = [words[0], words.length > 1 ? words[words.length - 1] : undefined];
  return letters.map((word) => (word === undefined ? "" : (Array.from(word)[0] ?? "").toLocaleUpperCase())).join("");
}

/** The field with this label. */
export const fieldNamed = (fields: readonly Field[], ...labels: string[]) => fields.find((field) => labels.includes(field.label));

/** Places for `count` items in a sentence, and what stands between them: `0`, ", ", `1`, " and ", `2`. */
export const enumerate = (count: number, locale: string): (number | string)[] =>
  new Intl.ListFormat(locale, { type: "conjunction" })
    .formatToParts(Array.from({ length: count }, (_, n) => String(n)))
    .map((part) => (part.type === "element" ? Number(part.value) : part.value));

/** How wide the line's own number, or the mark that it goes on, is: what wraps hangs behind it. In characters. */
export function leader(line: Line): number {
  const first = line.spans[0];
  if (first?.role !== "punctuation") return 0;
  return /^ *\d+  $|^\u21aa $/.test(first.text) ? first.text.length : 0;
}

/** The direction of a sentence, by its first letter that has one. */
export function direction(line: Line): "ltr" | "rtl" {
  const letter = /\p{L}/u.exec(plain({ ...line, spans: line.spans.filter((span) => span.role !== "chip") }));
  return letter !== null && /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]|[\u{10800}-\u{10fff}]|[\u{1e800}-\u{1efff}]/u.test(letter[0]) ? "rtl" : "ltr";
}
