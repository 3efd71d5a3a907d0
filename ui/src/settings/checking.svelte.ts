/** What has to work for requests to arrive, tried out by the agent: asked again when something of it may have changed. */
import { ask, problemOf } from "../backend/backend";
import type { Check, CheckOf, Problem, State } from "../generated/ipc";
import type { Store } from "../store.svelte";

export class Checking {
  /** Null until the agent has answered once. */
  checks = $state.raw<readonly Check[] | null>(null);
  problem = $state.raw<Problem | null>(null);
  busy = $state(false);
  #again = false;

  constructor(readonly store: Store) {}

  /** What the checks depend on, as one string. */
  static of(state: State): string {
    return JSON.stringify([state.connection, state.notifications, state.prefs.autostart, state.sandbox, state.accounts.map((account) => account.id), state.troubles.map((trouble) => trouble.code)]);
  }

  async read() {
    // Asked for while it is under way: once more afterwards, so that the last word is the newest.
    if (this.busy) {
      this.#again = true;
      return;
    }
    this.busy = true;
    do {
      this.#again = false;
      try {
        this.checks = (await ask(this.store.backend, { call: "checks" }, "checks")).checks;
        this.problem = null;
      } catch (thrown) {
        this.problem = problemOf(thrown);
      }
    } while (this.#again);
    this.busy = false;
  }

  find(what: CheckOf): Check | null {
    return this.checks?.find((check) => check.what === what) ?? null;
  }
}
