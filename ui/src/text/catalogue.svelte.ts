/** The catalogue in use, and how it changes while the window is open. */
import type { Language } from "../generated/ipc";
import { de } from "./de";
import { en } from "./en";
import type { Catalogue } from "./shape";

const languages: Record<Exclude<Language, "system">, Catalogue> = { en, de };

let current = $state.raw<Catalogue>(en);

/** Speaks a language from now on; `desktop` is a language tag such as `de-AT`, for those who want what the desktop has. */
export function speak(language: Language, desktop: string) {
  const wanted = language === "system" ? (desktop.split("-")[0] ?? "") : language;
  current = wanted === "de" || wanted === "en" ? languages[wanted] : en;
}

/** Every text, in the language in use. Read where it is drawn, never kept: it may change. */
export const t: Catalogue = new Proxy<Catalogue>(en, { get: (_, key) => Reflect.get(current, key) });
