/**
 * What the window needs from the agent: one question, one answer, and events. Two transports speak it:
 * `tauri.ts` in the app, `web.ts` over recorded data in a plain browser. Nothing else knows which one it is.
 */
import type { Answer, Call, Event, Problem, Reply } from "../generated/ipc";

export interface Backend {
  /** Asks. Throws {@link Refused} when it was not done; then nothing changed. */
  call(call: Call): Promise<Reply>;
  /** Hears everything that the agent says by itself, from the moment the promise resolves. */
  onEvent(hear: (event: Event) => void): Promise<void>;
}

/** A call was not done: a code for the program, a sentence for the person. */
export class Refused extends Error {
  constructor(readonly problem: Problem) {
    super(problem.sentence);
    this.name = "Refused";
  }
}

/** Unwraps an answer. */
export function replyOf(answer: Answer): Reply {
  switch (answer.result) {
    case "done":
      return answer.reply;
    case "refused":
      throw new Refused(answer.problem);
  }
}

/** The problem behind anything that was thrown. */
export function problemOf(thrown: unknown): Problem {
  if (thrown instanceof Refused) return thrown.problem;
  return { code: "other", sentence: "" };
}

type Of<R extends Reply["reply"]> = Extract<Reply, { reply: R }>;

/** Asks and insists on one kind of reply: another kind is a fault of the agent. */
export async function ask<R extends Reply["reply"]>(backend: Backend, call: Call, reply: R): Promise<Of<R>> {
  const got = await backend.call(call);
  if (got.reply !== reply) throw new Refused({ code: "version", sentence: "" });
  return got as Of<R>;
}
