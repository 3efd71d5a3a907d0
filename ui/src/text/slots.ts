/**
 * Sentences with places for marked-up parts: `slotted("Vouched for by {issuer}")`. A translator may move a
 * place anywhere in the sentence; the type knows which places there are.
 */
export type Slotted<Names extends string> = { readonly parts: readonly (string | { readonly slot: Names })[] };

type NamesIn<T extends string> = T extends `${string}{${infer Name}}${infer Rest}` ? Name | NamesIn<Rest> : never;

export function slotted<const T extends string>(template: T): Slotted<NamesIn<T>> {
  const parts = template.split(/(\{\w+\})/).filter((part) => part !== "");
  return {
    parts: parts.map((part) => (/^\{\w+\}$/.test(part) ? { slot: part.slice(1, -1) as NamesIn<T> } : part)),
  };
}
