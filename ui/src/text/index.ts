/** The typed catalogue: every text on screen that is not data comes from here. */
import { en } from "./en";
import type { Slotted } from "./slots";

/** The shape that each language fills: the same keys, parameters and places. */
type Shape<T> = T extends string
  ? string
  : T extends Slotted<infer Names>
    ? Slotted<Names>
    : T extends (...p: infer P) => string
      ? (...p: P) => string
      : { [K in keyof T]: Shape<T[K]> };

export type Catalogue = Shape<typeof en>;

/** The language in use. */
export const t: Catalogue = en;
