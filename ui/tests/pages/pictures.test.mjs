// Reviewed pictures: what each page and state looked like when somebody looked at it, compared as a person would
// (scripts/compare.mjs). After a change that is meant: `UPDATE_PICTURES=1 npm run test:pictures`, then look at each
// picture that changed before it is committed. What differs is written to shots/pictures.
//
// Pictures are compared with those of the same program only: `drawn-with.json` says by which Chromium and with which fonts
// they were drawn. Where one of them is another, what needs it is skipped, and says so.
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { browser } from "../../scripts/browser.mjs";
import { differences, marked } from "../../scripts/compare.mjs";
import { decode, encode } from "../../scripts/png.mjs";
import { recorded, serve } from "../../scripts/serve.mjs";
import { script, states } from "../../scripts/states.mjs";
import { nameOf, pictures } from "../pictures/pictures.mjs";
import { settled } from "./harness.mjs";

const folder = fileURLToPath(new URL("../pictures", import.meta.url));
const out = fileURLToPath(new URL("../../shots/pictures", import.meta.url));
const UPDATE = process.env["UPDATE_PICTURES"] !== undefined;
const ONLY = new RegExp(process.env["PICTURES"] ?? "");
/** A single block that other edges of letters make; an element that is lost or moved is several. */
const STRAY = 1;
/** A page that looks the same so many times in a row has come to rest: counted, so that a slow machine has the time it takes. */
const REST = 20;
/** Only for what does not come at all. In milliseconds. */
const NEVER = 180_000;
/** Browsers that draw at the same time. */
const HANDS = Math.min(2, availableParallelism());
/** The same edges, as far as that can be had. */
const ARGS = ["--font-render-hinting=none", "--disable-lcd-text", "--force-color-profile=srgb"];
const SIZES = { usual: { width: 1180, height: 760 }, narrow: { width: 800, height: 600 }, wide: { width: 1920, height: 1080 }, "text-200": { width: 590, height: 380 } };
/** The same letters on each machine, by the packages that `cargo xtask` installs: a sample of each, and where it is needed. */
const FONTS = {
  "Noto Sans": { sample: "Gamma", needed: /./ },
  "DejaVu Sans Mono": { sample: "Gamma", needed: /./ },
  "Noto Sans Arabic": { sample: "ليلى", needed: /\p{Script=Arabic}/u },
  "Noto Sans Hebrew": { sample: "שלום", needed: /\p{Script=Hebrew}/u },
  "Droid Sans Fallback": { sample: "漢字", needed: /\p{Script=Han}/u },
};
const TEXT = Object.keys(FONTS).filter((font) => font !== "DejaVu Sans Mono").map((font) => `"${font}"`).join(", ");

const json = async (file, otherwise) => JSON.parse(await readFile(`${folder}/${file}`, "utf8").catch(() => otherwise));
const write = (file, value) => writeFile(`${folder}/${file}`, `${JSON.stringify(value, null, 1)}\n`);
const said = await json("said.json", "{}");
const drawnWith = await json("drawn-with.json", "{}");
const here = { chromium: "", fonts: {} };

let server;
const idle = [];
const started = [];
async function start(args) {
  const one = await browser({ args, timeout: NEVER });
  one.context.setDefaultTimeout(NEVER);
  return one;
}
before(async () => {
  server = await serve(recorded);
  for (let n = 0; n < HANDS; n++) {
    started.push(await start(ARGS));
    idle.push(started[n].context);
  }
  const [context] = idle;
  Object.assign(here, await measured(context));
});
after(async () => {
  for (const one of started) await one.close();
  await server?.close();
});

/** Which Chromium this is, and how wide a sample of each font, regular and bold; null where it is not installed. */
async function measured(context) {
  const page = await context.newPage();
  const found = await page.evaluate((samples) => {
    const pen = document.createElement("canvas").getContext("2d");
    const wide = (font, text) => ((pen.font = font), Math.round(pen.measureText(`${text} 1`).width * 10) / 10);
    // Behind a font that is there, the fallback does not matter.
    const missing = (font, text) => ["serif", "cursive"].every((behind) => wide(`64px "${font}", ${behind}`, text) === wide(`64px ${behind}`, text));
    const fonts = Object.fromEntries(samples.map(([font, text]) => [font, missing(font, text) ? null : [400, 600].map((weight) => wide(`${weight} 64px "${font}"`, text))]));
    // Another year's Chromium may round and shape differently; one of the same number does not.
    return { chromium: /Chrome\/(\d+)/.exec(navigator.userAgent)?.[1] ?? "", fonts };
  }, Object.entries(FONTS).map(([font, { sample }]) => [font, sample]));
  await page.close();
  return found;
}

/** Why a page with this text cannot be compared here; null where it can. */
function other(text) {
  if (here.chromium !== drawnWith.chromium) return `drawn by Chromium ${drawnWith.chromium}, this is ${here.chromium}`;
  for (const [font, { needed }] of Object.entries(FONTS)) {
    if (!needed.test(text)) continue;
    if (here.fonts[font] === null) return `${font} is not installed (xtask/src/system.rs lists the packages)`;
    if (JSON.stringify(here.fonts[font]) !== JSON.stringify(drawnWith.fonts?.[font])) return `drawn with another ${font}`;
  }
  return null;
}

/** Opens a state and does on it what is to be done once it is there. */
async function open(context, { state, size, language }, theme, run) {
  const [, scene, act] = states.find(([of]) => of === state) ?? assert.fail(`no state is called ${state}`);
  const page = await context.newPage();
  try {
    await page.setViewportSize(SIZES[size]);
    await page.emulateMedia({ reducedMotion: "reduce", colorScheme: "light" });
    await page.goto(`${server.origin}/?theme=${theme}&language=${language}#${scene}`);
    await page.evaluate(([text, mono]) => {
      document.documentElement.style.setProperty("--font", text);
      document.documentElement.style.setProperty("--font-mono", mono);
    }, [TEXT, `"DejaVu Sans Mono", ${TEXT}`]);
    await page.bringToFront();
    await page.evaluate(script(act));
    await settled(page);
    return await run(page);
  } finally {
    await page.close();
  }
}

const SHOT = { animations: "disabled", caret: "hide" };
const foot = () => document.querySelector("#say")?.innerText ?? "";

/** Until the foot of the card says what it said. */
const footSays = (page, expected) =>
  page.waitForFunction((wanted) => (document.querySelector("#say")?.innerText ?? "") === wanted, expected).catch(async () => assert.equal(await page.evaluate(foot), expected, "its foot says something else"));

/** The page as it is now, once what was changed has been drawn. */
async function shot(page) {
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  return decode(await page.screenshot(SHOT));
}

/** The page as it is once it looks like `kept`, or once it has come to rest and does not. */
async function drawn(page, kept = null) {
  let last;
  for (let [same, shots] = [0, 0]; same < (kept === null ? 4 : REST); shots++) {
    assert.ok(shots < 20 * REST, "the page never comes to rest");
    await page.evaluate(() => {
      globalThis.toTheEnd?.();
      return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    });
    const next = await page.screenshot(SHOT);
    same = last?.equals(next) ? same + 1 : 0;
    // What was no match does not become one by itself.
    if (kept !== null && same === 0 && !differs(kept, decode(next))) return decode(next);
    last = next;
  }
  return decode(last);
}

function differs(was, is) {
  const { size, blocks } = differences(was, is);
  return size !== null || blocks.length > STRAY;
}

/** Compares the page with the picture of this name, or draws that anew. */
async function compare(page, name) {
  const file = `${folder}/${name}.png`;
  const kept = await readFile(file).then(decode, () => null);
  if (UPDATE) {
    // Whatever comes by itself has come by then, or is seen by whoever looks at the picture.
    await page.waitForTimeout(1500);
    const is = await drawn(page);
    // One that shows the same stays what it is, byte for byte.
    const made = encode(is);
    assert.ok(!differs(decode(made), is), "it cannot be kept in so few colors");
    if (kept === null || differs(kept, is)) await writeFile(file, made);
    said[name] = await page.evaluate(foot);
    return;
  }
  assert.ok(kept !== null, "it has not been drawn yet: UPDATE_PICTURES=1");
  await footSays(page, said[name]);
  const is = await drawn(page, kept);
  const { size, blocks } = differences(kept, is);
  assert.equal(size, null);
  if (blocks.length <= STRAY) return;
  await mkdir(out, { recursive: true });
  await writeFile(`${out}/${name}-is.png`, encode(is));
  await writeFile(`${out}/${name}-differs.png`, encode(marked(is, blocks)));
  const [xs, ys] = [blocks.map(({ x }) => x), blocks.map(({ y }) => y)];
  assert.fail(`${blocks.length} blocks differ, from ${Math.min(...xs)},${Math.min(...ys)} to ${Math.max(...xs) + 8},${Math.max(...ys) + 8}. See shots/pictures/${name}-differs.png, and if it is meant: UPDATE_PICTURES=1`);
}

describe("pictures", { concurrency: HANDS }, () => {
  for (const of of pictures) {
    const themes = of.themes.filter((theme) => ONLY.test(nameOf(of, theme)));
    if (themes.length === 0) continue;
    test(themes.map((theme) => nameOf(of, theme)).join(", "), async (t) => {
      const context = idle.pop();
      try {
        await open(context, of, themes[0], async (page) => {
          const why = UPDATE ? null : other(await page.evaluate(() => document.body.innerText));
          if (why !== null) return t.skip(why);
          for (const theme of themes) {
            await page.evaluate((theme) => (document.documentElement.dataset.theme = theme), theme);
            await compare(page, nameOf(of, theme));
          }
        });
      } finally {
        idle.push(context);
      }
    });
  }
  after(async () => {
    if (!UPDATE) return;
    const names = pictures.flatMap((of) => of.themes.map((theme) => nameOf(of, theme)));
    await write("said.json", Object.fromEntries(Object.entries(said).filter(([name]) => names.includes(name)).sort(([a], [b]) => (a < b ? -1 : 1))));
    // Those that nobody asked for anew were drawn by what is named already.
    if (process.env["PICTURES"] === undefined) await write("drawn-with.json", here);
  });
});

describe("what is compared is what a person sees", () => {
  const card = { state: "inbox-sql-locked", size: "usual", language: "en" };
  const plots = { state: "history-figures", size: "usual", language: "en" };
  const hostile = { state: "inbox-hostile", size: "narrow", language: "en" };

  // [page, theme, [what, selector, which of them, property, value]]
  for (const [of, theme, changes] of [
    [card, "light", [
      ["the title stands 4 pixels lower", ".title", 0, "transform", "translateY(4px)"],
      ["a button stands 4 pixels to the left", "#deny", 0, "transform", "translateX(-4px)"],
      ["an icon is gone", ".vote .say .i", 0, "visibility", "hidden"],
      ["what cannot be undone is not said", ".stamp", 0, "display", "none"],
      ["a hairline between sections is gone", ".sec", 2, "border-color", "transparent"],
      ["the list has the ground of the sheet", ".pane", 0, "background", "var(--ground-sheet)"],
      ["an edge is not dashed", "#approve", 0, "border-style", "none"],
      ["red is not red", "#deny", 0, "color", "var(--text)"],
    ]],
    [plots, "dark", [
      ["one bar is not striped", ".plot .striped", 3, "fill", "var(--ground-sheet)"],
      ["the line of the median is gone", ".mark-line", 0, "display", "none"],
    ]],
  ]) {
    test(`it differs where something is lost, moved or of another color: ${of.state}`, async () => {
      await open(idle[0], of, theme, async (page) => {
        const asIs = await drawn(page);
        for (const [what, selector, n, property, value] of changes) {
          const set = ([selector, n, property, value]) => document.querySelectorAll(selector)[n].style.setProperty(property, value);
          await page.evaluate(set, [selector, n, property, value]);
          assert.ok(differs(asIs, await shot(page)), what);
          await page.evaluate(set, [selector, n, property, ""]);
        }
        assert.ok(!differs(asIs, await shot(page)), "as it was");
        assert.deepEqual(differences(asIs, decode(encode(asIs))), { size: null, blocks: [] }, "kept in few colors it is the same");
      });
    });
  }

  for (const args of [["--font-render-hinting=full"], ["--font-render-hinting=slight", "--enable-lcd-text"], ["--font-render-hinting=medium", "--disable-font-subpixel-positioning"]]) {
    test(`it is the same where only edges differ: ${args.join(" ")}`, async (t) => {
      const why = other("Gamma שלום");
      if (why !== null) return t.skip(why);
      const otherwise = await start(args);
      try {
        for (const of of [card, hostile]) {
          const take = (context) => open(context, of, "dark", (page) => drawn(page));
          const [one, two] = [await take(idle[0]), await take(otherwise.context)];
          assert.ok(!one.pixels.equals(two.pixels), "other edges are other pixels");
          assert.ok(!differs(one, two), `${of.state}: ${differences(one, two).blocks.length} blocks`);
        }
      } finally {
        await otherwise.close();
      }
    });
  }
});
