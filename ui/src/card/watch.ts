/**
 * Measures what of a card is on screen, and tells {@link Seen}. A unit is an element with `data-unit`; one
 * inside an element with `data-scroller` is clipped by that too, and one with `data-blank` is never seen. The head and the vote cover what they cover.
 */
import type { Seen } from "./seen";

/** Rounding of layout boxes, in pixels. */
const SLACK_PX = 2;
/** What is left above the place that is shown. */
const MARGIN_PX = 8;

type Band = readonly [top: number, bottom: number];

const clip = (a: Band, b: Band): Band => [Math.max(a[0], b[0]), Math.min(a[1], b[1])];
const bandOf = (element: Element): Band => {
  const box = element.getBoundingClientRect();
  return [box.top, box.bottom];
};

/** The part of the window in which a unit of the card can be seen: not below the vote, and within what scrolls it. */
function visibleBand(sheet: HTMLElement, unit: HTMLElement): Band {
  let band = clip([0, window.innerHeight], bandOf(sheet));
  const vote = sheet.querySelector(".vote");
  if (vote !== null) band = clip(band, [-Infinity, vote.getBoundingClientRect().top]);
  const body = unit.closest(".card-body");
  if (body !== null && scrolls(body)) band = clip(band, bandOf(body));
  const scroller = unit.parentElement?.closest("[data-scroller]");
  return scroller ? clip(band, bandOf(scroller)) : band;
}

/** On a low window the whole sheet scrolls, else the body of the card. */
const scrolls = (body: Element) => getComputedStyle(body).overflowY !== "visible";

/** Looks once. Returns whether anything new was seen. */
export function look(sheet: HTMLElement, seen: Seen): boolean {
  if (document.visibilityState !== "visible") return false;
  const present = new Set<string>();
  let news = false;
  for (const element of sheet.querySelectorAll<HTMLElement>("[data-unit]")) {
    const unit = element.dataset["unit"] ?? "";
    present.add(unit);
    seen.expect(unit);
    const band = visibleBand(sheet, element);
    const box = element.getBoundingClientRect();
    // A blank is a place where text will be: it is not the text.
    if (box.height <= 0 || element.dataset["blank"] !== undefined) continue;
    const from = (Math.max(box.top, band[0]) - box.top) / box.height;
    const to = (Math.min(box.bottom, band[1]) - box.top) / box.height;
    if (to > from && seen.add(unit, from, to, SLACK_PX / box.height)) news = true;
  }
  seen.keep(present);
  return news;
}

/** Scrolls to the first thing that was not seen, in reading order. */
export function goToUnseen(sheet: HTMLElement, seen: Seen) {
  // Asked before the first frame, or right after a jump: what is on screen counts as seen.
  look(sheet, seen);
  for (const element of sheet.querySelectorAll<HTMLElement>("[data-unit]")) {
    const gap = seen.firstGap(element.dataset["unit"] ?? "");
    if (gap === null) continue;
    const around = element.parentElement?.closest<HTMLElement>("[data-scroller]");
    // At full height the text does not scroll by itself.
    const scroller = around && around.scrollHeight > around.clientHeight + SLACK_PX ? around : null;
    if (scroller) scroller.scrollTop += element.getBoundingClientRect().top + element.offsetHeight * gap - scroller.getBoundingClientRect().top - MARGIN_PX;
    const body = sheet.querySelector(".card-body");
    const moving = body !== null && scrolls(body) ? body : sheet;
    const box = (scroller ?? element).getBoundingClientRect();
    const frame = moving.getBoundingClientRect();
    moving.scrollTop += box.top + (scroller ? 0 : box.height * gap) - frame.top - MARGIN_PX;
    return;
  }
}

/** Looks whenever something moved. Returns how to stop. */
export function watch(sheet: HTMLElement, seen: Seen, changed: () => void): () => void {
  let frame = 0;
  const soon = () => {
    if (frame !== 0) return;
    frame = requestAnimationFrame(() => {
      frame = 0;
      look(sheet, seen);
      changed();
    });
  };
  const sizes = new ResizeObserver(soon);
  sizes.observe(sheet);
  const body = sheet.querySelector(".card-body");
  if (body !== null) for (const child of [body, ...body.children]) sizes.observe(child);
  // A block that is drawn takes the place of its blank, often at the same height.
  const blocks = new MutationObserver(soon);
  blocks.observe(sheet, { subtree: true, attributes: true, attributeFilter: ["data-blank"] });
  sheet.addEventListener("scroll", soon, { capture: true, passive: true });
  document.addEventListener("visibilitychange", soon);
  soon();
  return () => {
    cancelAnimationFrame(frame);
    sizes.disconnect();
    blocks.disconnect();
    sheet.removeEventListener("scroll", soon, { capture: true });
    document.removeEventListener("visibilitychange", soon);
  };
}
