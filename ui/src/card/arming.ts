/**
 * Approve arms only after the card was visible and focused for a while without a break, so that a click or
 * a key meant for something else cannot approve. Pure: time comes in milliseconds from a monotonic clock.
 */
export const ARM_MS = 700;

export type Arming =
  /** The window is hidden or in the background. */
  | { readonly state: "away" }
  /** Attentive since then. */
  | { readonly state: "arming"; readonly since: number }
  | { readonly state: "armed" };

export const AWAY: Arming = { state: "away" };

/** What follows from being attentive or not, now. */
export function arm(arming: Arming, attentive: boolean, now: number): Arming {
  if (!attentive) return AWAY;
  switch (arming.state) {
    case "away":
      return { state: "arming", since: now };
    case "arming":
      return now - arming.since >= ARM_MS ? { state: "armed" } : arming;
    case "armed":
      return arming;
  }
}

/** How long until it may be armed; 0 when it is; null while nobody looks. */
export function remaining(arming: Arming, now: number): number | null {
  switch (arming.state) {
    case "away":
      return null;
    case "arming":
      return Math.max(0, arming.since + ARM_MS - now);
    case "armed":
      return 0;
  }
}
