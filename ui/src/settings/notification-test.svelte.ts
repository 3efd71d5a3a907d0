/** A notification sent to see whether notifications reach this person, and their answer. */
import { problemOf } from "../backend/backend";
import type { Store } from "../store.svelte";
import { t } from "../text";

export class NotificationTest {
  /** Unix seconds; null: not sent. */
  sentAt = $state<number | null>(null);
  /** What the person says; null: not yet. */
  seen = $state<boolean | null>(null);
  /** Why it could not be sent. */
  problem = $state<string | null>(null);

  constructor(readonly store: Store) {}

  async send() {
    this.problem = null;
    this.seen = null;
    try {
      await this.store.backend.call({ call: "test_notification" });
      this.sentAt = this.store.clock.now;
    } catch (thrown) {
      const problem = problemOf(thrown);
      this.problem = problem.sentence || t.problem[problem.code];
    }
  }
}
