// Reviewed pictures: what each page and state looked like when somebody looked at it, compared as a person would
// (scripts/compare.mjs). After a change that is meant: `UPDATE_PICTURES=1 npm run test:pictures`, then look at each
// picture that changed before it is committed. What differs is written to shots/pictures.
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { browser } from "../../scripts/browser.mjs";
import { differences, marked } from "../../scripts/compare.mjs";
import { decode, encode } from "../../scripts/png.mjs";
import { recorded, serve } from "../../scripts/serve.mjs";
import { script, states } from "../../scripts/states.mjs";
import { pictures } from "../pictures/pictures.mjs";

const folder = fileURLToPath(new URL("../pictures", import.meta.url));
const out = fileURLToPath(new URL("../../shots/pictures", import.meta.url));
const UPDATE = process.env["UPDATE_PICTURES"] !== undefined;
const ONLY = new RegExp(process.env["PICTURES"] ?? "");
/** A single block that other edges of letters make; an element that is lost or moved is several. */
const STRAY = 1;
/** The same letters on each machine: these come with the packages that `cargo xtask` installs. */
const FONT = '"Noto Sans", "Noto Sans Arabic", "Noto Sans Hebrew", "Droid Sans Fallback"';
const MONO = `"DejaVu Sans Mono", ${FONT}`;
const SAMPLES = { "Noto Sans": "Gamma", "Noto Sans Arabic": "ليلى", "Noto Sans Hebrew": "שלום", "Droid Sans Fallback": "漢字", "DejaVu Sans Mono": "Gamma" };
/** The same edges, as far as that can be had. */
const ARGS = ["--font-render-hinting=none", "--disable-lcd-text", "--force-color-profile=srgb"];
const SIZES = { usual: { width: 1180, height: 760 }, narrow: { width: 800, height: 600 }, wide: { width: 1920, height: 1080 }, "text-200": { width: 590, height: 380 } };

let server;
let running;
before(async () => {
  server = await serve(recorded);
  running = await browser({ args: ARGS });
});
after(async () => {
  await running?.close();
  await server?.close();
});

/** Opens a state and takes its picture once nothing on it changes any more. `expected`: what its foot says by then. */
async function take([name, size, theme, language], expected, { then = async () => undefined, context = running.context } = {}) {
  const [, scene, act] = states.find(([of]) => of === name) ?? assert.fail(`no state is called ${name}`);
  const page = await context.newPage();
  try {
    await page.setViewportSize(SIZES[size]);
    await page.emulateMedia({ reducedMotion: "reduce", colorScheme: "light" });
    await page.goto(`${server.origin}/?theme=${theme}&language=${language}#${scene}`);
    await page.evaluate(([font, mono]) => {
      document.documentElement.style.setProperty("--font", font);
      document.documentElement.style.setProperty("--font-mono", mono);
    }, [FONT, MONO]);
    await page.bringToFront();
    await page.evaluate(script(act));
    await then(page);
    const say = () => page.evaluate(() => document.querySelector("#say")?.innerText ?? "");
    if (expected !== undefined) {
      await page.waitForFunction((wanted) => (document.querySelector("#say")?.innerText ?? "") === wanted, expected).catch(async () => assert.equal(await say(), expected, "its foot says something else"));
    }
    // A new picture: whatever comes by itself has come.
    else await page.waitForTimeout(1500);
    await page.evaluate(() => globalThis.toTheEnd?.());
    const shot = () => page.screenshot({ animations: "disabled", caret: "hide" });
    for (let [last, tries] = [await shot(), 0]; tries < 40; tries++) {
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      const next = await shot();
      if (next.equals(last)) return { picture: decode(next), say: await say() };
      last = next;
    }
    return assert.fail("the page never came to rest");
  } finally {
    await page.close();
  }
}
const fileOf = ([name, size, theme, language]) => `${folder}/${[name, size, theme, language].filter((part) => part !== "usual" && part !== "en").join("-")}.png`;
const said = JSON.parse(await readFile(`${folder}/said.json`, "utf8").catch(() => "{}"));

test("the fonts that the pictures name are installed", async () => {
  const page = await running.context.newPage();
  const missing = await page.evaluate((samples) => {
    const pen = document.createElement("canvas").getContext("2d");
    const wide = (font, text) => ((pen.font = `64px ${font}`), pen.measureText(text).width);
    // A font that is there makes the fallback behind it irrelevant.
    return Object.entries(samples).filter(([font, text]) => wide(`"${font}", serif`, `${text} 1`) === wide("serif", `${text} 1`) && wide(`"${font}", cursive`, `${text} 1`) === wide("cursive", `${text} 1`)).map(([font]) => font);
  }, SAMPLES);
  await page.close();
  assert.deepEqual(missing, [], "install what xtask/src/system.rs lists (fonts-noto-core, fonts-dejavu-core, fonts-droid-fallback)");
});

describe("pictures", () => {
  for (const of of pictures) {
    const file = fileOf(of);
    const name = file.slice(folder.length + 1, -4);
    if (!ONLY.test(name)) continue;
    test(name, async () => {
      const { picture, say } = await take(of, UPDATE ? undefined : (said[name] ?? assert.fail("it has not been taken yet: UPDATE_PICTURES=1")));
      if (UPDATE) {
        const made = encode(picture);
        const before = await readFile(file).catch(() => null);
        // One that shows the same stays what it is, byte for byte.
        if (before === null || differs(decode(before), picture)) await writeFile(file, made);
        said[name] = say;
        await writeFile(`${folder}/said.json`, `${JSON.stringify(Object.fromEntries(Object.entries(said).sort(([a], [b]) => (a < b ? -1 : 1))), null, 1)}\n`);
        return;
      }
      const { size, blocks } = differences(decode(await readFile(file)), picture);
      assert.equal(size, null);
      if (blocks.length <= STRAY) return;
      await mkdir(out, { recursive: true });
      await writeFile(`${out}/${name}-is.png`, encode(picture));
      await writeFile(`${out}/${name}-differs.png`, encode(marked(picture, blocks)));
      const [xs, ys] = [blocks.map(({ x }) => x), blocks.map(({ y }) => y)];
      assert.fail(`${blocks.length} blocks differ, from ${Math.min(...xs)},${Math.min(...ys)} to ${Math.max(...xs) + 8},${Math.max(...ys) + 8}. See shots/pictures/${name}-differs.png, and if it is meant: UPDATE_PICTURES=1`);
    });
  }
});
const differs = (was, is) => {
  const { size, blocks } = differences(was, is);
  return size !== null || blocks.length > STRAY;
};

describe("what is compared is what a person sees", () => {
  const card = ["inbox-sql-locked", "usual", "light", "en"];
  const plots = ["history-figures", "usual", "dark", "en"];
  const hostile = ["inbox-hostile", "narrow", "dark", "en"];
  const taken = new Map();
  const asIs = async (of) => {
    if (!taken.has(of)) taken.set(of, (await take(of)).picture);
    return taken.get(of);
  };

  for (const [of, what, change] of [
    [card, "the title stands 4 pixels lower", () => (document.querySelector(".title").style.transform = "translateY(4px)")],
    [card, "a button stands 4 pixels to the left", () => (document.querySelector("#deny").style.transform = "translateX(-4px)")],
    [card, "an icon is gone", () => (document.querySelector(".vote .say .i").style.visibility = "hidden")],
    [card, "what cannot be undone is not said", () => document.querySelector(".stamp").remove()],
    [card, "the hairlines between sections are gone", () => document.querySelectorAll(".sec").forEach((section) => (section.style.borderColor = "transparent"))],
    [card, "the list has the ground of the sheet", () => (document.querySelector(".pane").style.background = "var(--ground-sheet)")],
    [card, "an edge is not dashed", () => (document.querySelector("#approve").style.borderStyle = "none")],
    [card, "red is not red", () => (document.querySelector("#deny").style.color = "var(--text)")],
    [plots, "one bar is not striped", () => document.querySelectorAll(".plot .striped")[3].setAttribute("fill", "var(--ground-sheet)")],
    [plots, "the line of the median is gone", () => document.querySelector(".mark-line").remove()],
  ]) {
    test(`it differs: ${what}`, async () => {
      const { picture } = await take(of, undefined, { then: (page) => page.evaluate(change) });
      assert.ok(differs(await asIs(of), picture), `${differences(await asIs(of), picture).blocks.length} blocks`);
    });
  }

  for (const args of [["--font-render-hinting=full"], ["--font-render-hinting=slight", "--enable-lcd-text"], ["--font-render-hinting=medium", "--disable-font-subpixel-positioning"]]) {
    test(`it is the same: other edges, by ${args.join(" ")}`, async () => {
      const other = await browser({ args });
      try {
        for (const of of [card, hostile]) {
          const { picture } = await take(of, undefined, { context: other.context });
          assert.ok(!picture.pixels.equals((await asIs(of)).pixels), "other edges are other pixels");
          assert.ok(!differs(await asIs(of), picture), `${of[0]}: ${differences(await asIs(of), picture).blocks.length} blocks`);
        }
      } finally {
        await other.close();
      }
    });
  }

  test("it is the same: kept in few colors", async () => {
    for (const of of [card, plots, hostile]) assert.deepEqual(differences(await asIs(of), decode(encode(await asIs(of)))), { size: null, blocks: [] });
  });
});
