// Screenshots of every state, in light and dark: `npm run shots -- [filter]`. Written to shots/, never committed; the
// few that are reviewed and compared stand in tests/pictures (`npm run test:pages`).
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { browser } from "./browser.mjs";
import { recorded, serve } from "./serve.mjs";
import { script, states } from "./states.mjs";

const out = fileURLToPath(new URL("../shots", import.meta.url));
const filter = process.argv[2] ?? "";
const { origin, close } = await serve(recorded);
const { context, close: quit } = await browser();
await mkdir(out, { recursive: true });

const sizes = [
  ["", { width: 1180, height: 760 }, ["light", "dark"], "en"],
  ["narrow-", { width: 800, height: 600 }, ["light"], "en"],
  ["text-200-", { width: 590, height: 380 }, ["light"], "en"],
  ["wide-", { width: 1920, height: 1080 }, ["dark"], "en"],
  ["de-", { width: 1180, height: 760 }, ["light"], "de"],
  ["de-narrow-", { width: 800, height: 600 }, ["dark"], "de"],
];
const noted = new Set();
const note = (text) => noted.has(text) || (noted.add(text), console.error(text));
for (const [prefix, viewport, themes, language] of sizes) {
  for (const [name, scene, act] of states) {
    if (!`${prefix}${name}`.includes(filter)) continue;
    for (const theme of themes) {
      const page = await context.newPage();
      page.on("console", (message) => ["error", "warning"].includes(message.type()) && note(`${name} ${message.text()}`));
      page.on("pageerror", (error) => console.error(name, error.message));
      let failed = "";
      try {
        await page.setViewportSize(viewport);
        await page.goto(`${origin}/?theme=${theme}&language=${language}#${scene}`);
        await page.bringToFront();
        await page.evaluate(script(act));
        await page.waitForTimeout(250);
      } catch (error) {
        failed = "FAILED-";
        console.error(`${prefix}${name}-${theme}: ${error.message.split("\n")[0]}`);
      }
      await page.screenshot({ path: `${out}/${failed}${prefix}${name}-${theme}.png` });
      await page.close();
    }
  }
}
await quit();
await close();
