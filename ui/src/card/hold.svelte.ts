/**
 * Approve held down, where the policy wants that and not a click: how long is left, and when it is enough. What cannot hold,
 * such as a screen reader's own press, presses twice instead, as far apart as it would hold, and is told each time.
 */

/** As `--hold` in `tokens.css`, by which the button fills. In milliseconds. */
export const HOLD_MS = 1200;
/** How often the time left is told. */
const STEP_MS = 100;
/** How long a first press waits for the second: what follows from it has to be heard. */
export const AGAIN_MS = 30_000;

export type Holding =
  | { readonly holding: "rest" }
  | { readonly holding: "held"; readonly leftMs: number }
  /** The person let go before it was enough. */
  | { readonly holding: "let_go" }
  /** Pressed by what cannot hold: too early for the second press. */
  | { readonly holding: "pressed" }
  /** A second press is enough. */
  | { readonly holding: "press_again" };

const REST: Holding = { holding: "rest" };

export class Hold {
  now = $state.raw<Holding>(REST);
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param enough it was held to the end */
  constructor(readonly enough: () => void) {}

  /** Pressed. A key that repeats itself begins nothing anew. */
  begin() {
    if (this.now.holding === "held") return;
    clearTimeout(this.#timer);
    this.#hold(HOLD_MS, performance.now());
  }

  #hold(leftMs: number, at: number) {
    this.now = { holding: "held", leftMs };
    this.#timer = setTimeout(() => {
      const now = performance.now();
      // Time in which the window stood still is not held: that the person let go may not have been heard yet.
      const left = leftMs - Math.min(now - at, 2 * STEP_MS);
      if (left > 0) return this.#hold(left, now);
      this.stop();
      this.enough();
    }, Math.min(leftMs, STEP_MS));
  }

  /** Pressed by what cannot hold. One press is never enough, and a second one that comes too early begins anew. */
  press() {
    switch (this.now.holding) {
      case "held":
        return;
      case "press_again":
        this.stop();
        return this.enough();
      case "rest":
      case "let_go":
      case "pressed":
        clearTimeout(this.#timer);
        this.now = { holding: "pressed" };
        this.#timer = setTimeout(() => {
          this.now = { holding: "press_again" };
          this.#timer = setTimeout(() => this.stop(), AGAIN_MS);
        }, HOLD_MS);
    }
  }

  letGo() {
    if (this.now.holding !== "held") return;
    clearTimeout(this.#timer);
    this.now = { holding: "let_go" };
  }

  /** Approve is not available any more: what was held counts for nothing. */
  stop() {
    clearTimeout(this.#timer);
    this.now = REST;
  }
}
