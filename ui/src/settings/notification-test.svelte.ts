/** Sending a test and saying whether it was seen. What came of it is in the agent's state: it is the same on every page. */
import { problemOf } from "../backend/backend";
import type { Call } from "../generated/ipc";
import type { Store } from "../store.svelte";
import { inWords } from "../text/problem";

export class NotificationTest {
  /** Why the last thing did not work. */
  problem = $state<string | null>(null);
  busy = $state(false);

  constructor(readonly store: Store) {}

  send = () => this.#call({ call: "test_notification" });
  seen = (seen: boolean) => this.#call({ call: "test_seen", seen });

  async #call(call: Call) {
    if (this.busy) return;
    this.busy = true;
    this.problem = null;
    try {
      await this.store.backend.call(call);
    } catch (thrown) {
      const problem = problemOf(thrown);
      this.problem = inWords(problem);
    }
    this.busy = false;
  }
}
