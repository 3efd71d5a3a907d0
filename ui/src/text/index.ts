/** The typed catalogue: every text on screen that is not data comes from here. */
export { speak, t } from "./catalogue.svelte";
export type { Catalogue } from "./shape";
