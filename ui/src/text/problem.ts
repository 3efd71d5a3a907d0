/** A problem as a person reads it. */
import type { Problem } from "../generated/ipc";
import { t } from "./catalogue.svelte";

/** What the agent says of it is English and knows the most; another language says first what it can say itself. */
export const inWords = ({ code, sentence }: Problem): string =>
  sentence === "" ? t.problem[code] : t.problemIn({ words: code === "other" ? "" : t.problem[code], sentence });
