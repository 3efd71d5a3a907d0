/** The pages of the settings. */
import type { IconName } from "../parts/icons";
import { t } from "../text";

/** In percent; the agent knows the same (`Prefs::TEXT_SIZES`). */
export const TEXT_SIZES: readonly number[] = [80, 100, 125, 150, 175, 200];

export type SettingsPart = "general" | "notifications" | "account" | "devices" | "about";

/** In the language in use. */
export const settings = (): readonly { part: SettingsPart; icon: IconName; name: string }[] => [
  { part: "general", icon: "gear", name: t.general },
  { part: "notifications", icon: "bell", name: t.notifications },
  { part: "account", icon: "user", name: t.account },
  { part: "devices", icon: "key", name: t.devices },
  { part: "about", icon: "info", name: t.about },
];
