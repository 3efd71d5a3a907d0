/** What a security key waits for, in one sentence. */
import type { KeyWaits } from "../generated/ipc";
import { t } from "../text";

export function keySentence(waits: KeyWaits): string {
  switch (waits.for) {
    case "key":
      return t.keyPlugIn;
    case "choice":
      return t.keyChoice({ count: waits.keys });
    case "pin":
      return `${waits.wrong ? t.keyPinWrong : t.keyPinSo}${waits.tries_left === null ? "" : ` ${t.keyPinLeft({ count: waits.tries_left })}`}`;
    case "finger":
      return waits.wrong ? t.keyFingerWrong : t.keyFinger;
    case "touch":
      return t.waitingForTouch;
  }
}
