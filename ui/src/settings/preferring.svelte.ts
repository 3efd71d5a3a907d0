/** Changes preferences, and remembers which change did not work and why. */
import { problemOf } from "../backend/backend";
import type { Prefs } from "../generated/ipc";
import type { Store } from "../store.svelte";
import { inWords } from "../text/problem";

export class Preferring {
  /** By preference. */
  problems = $state<Partial<Record<keyof Prefs, string>>>({});

  constructor(readonly store: Store) {}

  async set<K extends keyof Prefs>(of: K, value: Prefs[K]) {
    delete this.problems[of];
    try {
      const change: Partial<Prefs> = {};
      change[of] = value;
      await this.store.prefer(change);
    } catch (thrown) {
      const problem = problemOf(thrown);
      this.problems[of] = inWords(problem);
    }
  }
}
