import { en } from "./en";
import type { Catalogue } from "./shape";
export const de: Catalogue = en;
