/** The pages of the settings. */
import type { IconName } from "../parts/icons";
import { t } from "../text";

/** In percent; the agent knows the same (`Prefs::TEXT_SIZES`). */
export const TEXT_SIZES: readonly number[] = [80, 100, 125, 150, 175, 200];

export type SettingsPart = "general" | "notifications" | "absence" | "account" | "devices" | "about";

/** In the language in use. */
export const settings = (): readonly { part: SettingsPart; icon: IconName; name: string }[] => [
  { part: "general", icon: "gear", name: t.general },
  { part: "notifications", icon: "bell", name: t.notifications },
  { part: "absence", icon: "away", name: t.absence },
  { part: "account", icon: "user", name: t.account },
  { part: "devices", icon: "key", name: t.devices },
  { part: "about", icon: "info", name: t.about },
];

/** In seconds before the end; the agent knows the same (`Prefs::REMINDERS`). */
export const REMINDERS: readonly number[] = [60, 120, 300, 600];

/** For how long notifications may be paused, in seconds. */
export const PAUSES: readonly number[] = [1800, 3600, 4 * 3600, 8 * 3600];
