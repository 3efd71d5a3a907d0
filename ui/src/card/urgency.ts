/** When time is short, and what is read aloud about it. Seconds left. */
import { t } from "../text";

/** From here on time stands in amber, with a clock. */
export const URGENT_SECS = 120;

export const isUrgent = (left: number) => left < URGENT_SECS;

/** Read aloud as it changes: at two minutes, at one, at half a minute and at ten seconds. */
export function announcement(left: number): string {
  if (left >= URGENT_SECS || left <= 0) return "";
  if (left > 60) return t.timeWarning({ minutes: 2 });
  if (left > 30) return t.timeWarning({ minutes: 1 });
  return t.timeWarningSeconds({ seconds: left > 10 ? 30 : 10 });
}
