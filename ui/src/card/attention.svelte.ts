/** Runs the arming of Approve against the real window: visible, focused, and for how long. */
import { arm, AWAY, remaining, type Arming } from "./arming";

export class Attention {
  #arming = $state.raw<Arming>(AWAY);
  #timer: ReturnType<typeof setTimeout> | undefined;

  get state(): Arming["state"] {
    return this.#arming.state;
  }

  /** Another card, other bytes: what was armed for the one before counts no more. */
  restart() {
    this.#arming = AWAY;
    this.#update();
  }

  /** Follows the window. Returns how to stop. */
  follow(): () => void {
    const update = () => this.#update();
    window.addEventListener("focus", update);
    window.addEventListener("blur", update);
    document.addEventListener("visibilitychange", update);
    this.restart();
    return () => {
      clearTimeout(this.#timer);
      window.removeEventListener("focus", update);
      window.removeEventListener("blur", update);
      document.removeEventListener("visibilitychange", update);
    };
  }

  #update() {
    clearTimeout(this.#timer);
    const now = performance.now();
    this.#arming = arm(this.#arming, document.visibilityState === "visible" && document.hasFocus(), now);
    const wait = remaining(this.#arming, now);
    if (wait !== null && wait > 0) this.#timer = setTimeout(() => this.#update(), wait + 1);
  }
}
