// The reviewed pictures. Every page and state (scripts/states.mjs) at the usual size, and each page at the sizes, in the
// language, in the writing and with the amounts that have broken it or could; each opened once, and drawn in its themes.
import { states } from "../../scripts/states.mjs";

const BOTH = ["light", "dark"];
const at = (size, themes, names, language = "en") => names.map((state) => ({ state, size, themes, language }));

export const pictures = [
  ...at("usual", BOTH, states.map(([name]) => name)),
  ...at("narrow", ["light"], [
    "first-ready", "inbox-many", "inbox-storm", "inbox-sql-ready", "inbox-hold", "inbox-rtl", "inbox-han", "inbox-long", "inbox-chain", "history-detail",
    "history-verify-fail", "history-time", "settings-notifications", "settings-devices", "keys",
  ]),
  ...at("narrow", ["dark"], ["inbox-empty", "inbox-hostile", "inbox-query"]),
  ...at("wide", ["dark"], ["first-provider", "inbox-empty", "inbox-many", "inbox-sql-ready", "inbox-query", "inbox-rtl", "history-detail", "settings-absence"]),
  ...at("wide", ["light"], ["inbox-long", "inbox-han", "history-figures"]),
  ...at("text-200", ["light"], ["inbox-sql-locked", "inbox-tool-words", "history-filling", "settings-notifications"]),
  ...at("usual", ["light"], ["first-server", "inbox-sql-locked", "inbox-storm", "inbox-orders", "history-detail", "settings-notifications", "settings-devices", "keys"], "de"),
  ...at("narrow", ["dark"], ["inbox-tool-words", "history-figures", "settings-general"], "de"),
  ...at("narrow", ["light"], ["settings-absence"], "de"),
];

/** What a picture is called. */
export const nameOf = ({ state, size, language }, theme) => [state, size, theme, language].filter((part) => part !== "usual" && part !== "en").join("-");
