/**
 * The keys of the whole window. None of them decides anything, and none is a single character, so that nothing
 * happens to who types or dictates. What a control does with a key stands with the control.
 */
export type Act =
  | { readonly act: "page"; readonly page: "inbox" | "history" | "settings" }
  | { readonly act: "search" | "next" | "unseen" | "keys" }
  | { readonly act: "part"; readonly step: 1 | -1 }
  | { readonly act: "size"; readonly step: 1 | -1 | 0 };

type Key = Pick<KeyboardEvent, "key" | "code" | "ctrlKey" | "altKey" | "shiftKey" | "metaKey">;

/** What a key asks the window for; null: nothing. */
export function actOf({ key, code, ctrlKey, altKey, shiftKey, metaKey }: Key): Act | null {
  if (metaKey) return null;
  if (!ctrlKey && !altKey) {
    if (key === "F1") return { act: "keys" };
    if (key === "F6") return { act: "part", step: shiftKey ? -1 : 1 };
    return null;
  }
  if (altKey && !ctrlKey && !shiftKey) {
    // By the place of the key: Alt makes another character of it on some keyboards.
    if (code === "KeyN") return { act: "next" };
    if (code === "KeyU") return { act: "unseen" };
    return null;
  }
  if (!ctrlKey || altKey) return null;
  switch (key) {
    case "1":
      return { act: "page", page: "inbox" };
    case "2":
      return { act: "page", page: "history" };
    case "3":
      return { act: "page", page: "settings" };
    case "f":
      return { act: "search" };
    case "+":
    case "=":
      return { act: "size", step: 1 };
    case "-":
      return { act: "size", step: -1 };
    case "0":
      return { act: "size", step: 0 };
    default:
      return null;
  }
}

/** The parts of the window that F6 goes round, in order. */
const PARTS = ["[aria-current=page]", ".pane [data-row][tabindex='0'], .nav [aria-current]", ".card-body, .main .scroll", ".vote input:not(:disabled), .vote button"];

/** Moves the focus to the next part that there is. */
export function toPart(step: 1 | -1) {
  const parts = PARTS.map((selector) => document.querySelector<HTMLElement>(selector)).filter((part) => part !== null);
  if (parts.length === 0) return;
  const within = (part: HTMLElement) => (part.closest(".tabs, .nav, .scroll, .card-body, .vote") ?? part).contains(document.activeElement);
  const here = parts.findIndex(within);
  const at = here < 0 ? (step === 1 ? 0 : parts.length - 1) : (here + step + parts.length) % parts.length;
  parts[at]?.focus();
}
