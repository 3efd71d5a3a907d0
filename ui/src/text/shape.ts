/** The shape that each language fills: the same keys, parameters and places. */
import type { en } from "./en";
import type { Slotted } from "./slots";

type Shape<T> = T extends string
  ? string
  : T extends Slotted<infer Names>
    ? Slotted<Names>
    : T extends (...p: infer P) => string
      ? (...p: P) => string
      : { [K in keyof T]: Shape<T[K]> };

export type Catalogue = Shape<typeof en>;
