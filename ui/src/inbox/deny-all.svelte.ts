/** Denies like requests one after another: each gets a vote of its own, over its own bytes. */
import { ask, problemOf, type Backend } from "../backend/backend";
import type { Problem } from "../generated/ipc";

export type DenyAll =
  | { readonly state: "idle" }
  | { readonly state: "asking"; readonly count: number }
  | { readonly state: "under_way"; readonly done: number; readonly count: number }
  | { readonly state: "done"; readonly denied: number; readonly failed: number; readonly problem: Problem | null };

export class Denier {
  now = $state.raw<DenyAll>({ state: "idle" });

  constructor(readonly backend: Backend) {}

  async run(txns: readonly string[], reason: string) {
    if (this.now.state === "under_way") return;
    let denied = 0;
    let failed = 0;
    let problem: Problem | null = null;
    for (const [done, txn] of txns.entries()) {
      this.now = { state: "under_way", done, count: txns.length };
      try {
        const { card } = await ask(this.backend, { call: "card", txn }, "card");
        // Decided elsewhere meanwhile: nothing is left to deny.
        if (card.row.outcome !== "pending") continue;
        await this.backend.call({ call: "vote", txn, choice: "deny", reason: reason.trim() === "" ? null : reason.trim(), words: null, display_digest: card.display_digest });
        denied += 1;
      } catch (thrown) {
        failed += 1;
        problem ??= problemOf(thrown);
      }
    }
    this.now = { state: "done", denied, failed, problem };
  }
}
