// Scrolling a history of a million rows beside one of a thousand, in the same browser and the same run:
// `npm run bench:scroll`, or as a part of `cargo xtask bench history`. Prints one line of JSON:
// { "unit": "% of frames late", "rounds": n, "frames": n, "thousand": [%, ...], "million": [%, ...],
//   "more": { "median": points, "range": [points, points] }, "longest_ms": {...}, "read": n }
// A frame is late when it comes more than one and a half frame times after the one before; `more` is how many points more
// of them a round of the million had than the round of the thousand beside it. Each round begins in the middle of its list,
// where the scroll bar was dragged, and turns the wheel as a person does. It judges nothing.
import { browser } from "./browser.mjs";
import { recorded, serve } from "./serve.mjs";

const ROUNDS = Number(process.env["ROUNDS"] ?? 8);
const WHEELS = 150;
const STEP = 120;

const { origin, close } = await serve(recorded);
const { context, close: quit } = await browser();

async function open(scene) {
  const page = await context.newPage();
  await page.goto(`${origin}/#${scene}`);
  await page.locator(".tab").nth(1).click();
  await page.locator(".hrow[data-txn]").first().waitFor();
  return page;
}

const firstRow = (page) => page.evaluate(() => Number(document.querySelector(".placed:not(:first-child)")?.getAttribute("data-at")));

/** One round: from the middle, so many turns of the wheel, as real input. Counts frames and which of them came late. */
async function round(page) {
  await page.bringToFront();
  await page.locator(".long-list").evaluate((list) => list.scrollTo(0, 0));
  await page.locator(".long-list").evaluate((list) => list.scrollTo(0, (list.scrollHeight - list.clientHeight) / 2));
  await page.waitForFunction(() => Number(document.querySelector(".placed:not(:first-child)")?.getAttribute("data-at")) > 300 && document.querySelector(".unread") === null);
  const from = await firstRow(page);
  const box = await page.locator(".long-list").boundingBox();
  await page.mouse.move(box.x + 80, box.y + 200);
  await page.evaluate(() => {
    const frames = (globalThis.frames_ = []);
    const note = (at) => {
      frames.push(at);
      if (globalThis.frames_ === frames) requestAnimationFrame(note);
    };
    requestAnimationFrame(note);
  });
  for (let n = 0; n < WHEELS; n++) await page.mouse.wheel(0, n % 50 === 49 ? -STEP : STEP);
  const frames = await page.evaluate(() => {
    const done = globalThis.frames_;
    globalThis.frames_ = null;
    return done;
  });
  const to = await firstRow(page);
  if (!(to > from + 100)) throw new Error(`the list did not move: from row ${from} to ${to}`);
  const gaps = frames.slice(1).map((at, n) => at - frames[n]);
  const usual = [...gaps].sort((a, b) => a - b)[Math.floor(gaps.length / 4)] ?? 16.7;
  return { gaps, late: gaps.filter((gap) => gap > 1.5 * Math.max(16.7, usual)).length };
}

const pages = { thousand: await open("history/thousand"), million: await open("history/long") };
const rounds = { thousand: [], million: [] };
for (let n = -1; n < ROUNDS; n++) {
  for (const [name, page] of Object.entries(pages)) {
    const made = await round(page);
    // The first warms up.
    if (n >= 0) rounds[name].push(made);
  }
}
const share = ({ gaps, late }) => Math.round((late / gaps.length) * 1000) / 10;
const more = rounds.million.map((made, n) => share(made) - share(rounds.thousand[n])).sort((a, b) => a - b).map((points) => Math.round(points * 10) / 10);
const longest = (of) => Math.round(Math.max(...of.flatMap(({ gaps }) => gaps)));
const read = await pages.million.evaluate(() => globalThis.played.calls.filter((call) => call.call === "history").length);
console.log(
  JSON.stringify({
    unit: "% of frames late",
    rounds: ROUNDS,
    frames: rounds.million.reduce((all, { gaps }) => all + gaps.length, 0),
    thousand: rounds.thousand.map(share),
    million: rounds.million.map(share),
    more: { median: more[Math.floor(more.length / 2)], range: [more[0], more.at(-1)] },
    longest_ms: { thousand: longest(rounds.thousand), million: longest(rounds.million) },
    read,
  }),
);
await quit();
await close();
