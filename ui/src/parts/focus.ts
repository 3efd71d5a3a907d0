/** Moves the focus for a person who did not ask to see where it is: the ring comes with the first Tab. */
export function focusQuietly(element: HTMLElement) {
  element.dataset["quiet"] = "";
  element.addEventListener("blur", () => delete element.dataset["quiet"], { once: true });
  element.focus({ preventScroll: true });
}
