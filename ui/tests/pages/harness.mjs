// The window over recorded data, in the real browser, under the app's content security policy.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { after, before } from "node:test";
import { browser } from "../../scripts/browser.mjs";
import { serve } from "../../scripts/serve.mjs";

/** Another build, where two are tested at once: `RECORDED=/path`. */
const dist = process.env["RECORDED"] ?? fileURLToPath(new URL("../../dist-recorded", import.meta.url));
const axeSource = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Starts server and browser for a file of tests; returns how to open a scene. */
export function window() {
  let server;
  let running;
  before(async () => {
    server = await serve(dist);
    // On a machine that does much else a browser takes its time: what it must do at once, each test says.
    running = await browser({ timeout: 180_000 });
    running.context.setDefaultTimeout(180_000);
  });
  after(async () => {
    await running?.close();
    await server?.close();
  });
  return {
    /** Opens a scene, runs a test on it, and fails on anything that the page complained about. */
    async scene(name, run, { theme = "light", live = false, viewport = { width: 1180, height: 760 }, reducedMotion = "no-preference" } = {}) {
      const page = await running.context.newPage();
      const complaints = [];
      page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
      page.on("pageerror", (error) => complaints.push(error.message));
      page.on("request", (request) => request.url().startsWith(server.origin) || complaints.push(`asked for ${request.url()}`));
      try {
        await page.setViewportSize(viewport);
        await page.emulateMedia({ reducedMotion, colorScheme: "light" });
        await page.goto(`${server.origin}/?theme=${theme}${live ? "&live" : ""}#${name}`);
        await page.bringToFront();
        await page.waitForFunction(ready);
        await settled(page);
        await run(page);
        assert.deepEqual(complaints, [], "the page complained");
      } finally {
        await page.close();
      }
    },
  };
}

/** Whether the window shows what the scene opens with: in the inbox, the card. */
function ready() {
  const app = document.querySelector("#app > *");
  if (app === null || app.getAttribute("aria-busy") === "true" || document.querySelector(".sheet[aria-busy]") !== null) return false;
  return document.querySelector("article[data-txn]") !== null || document.querySelector(".row[data-row]") === null;
}

/**
 * Until nothing is being read, what is on screen was looked at (the card notes it in a frame of its own), and nothing moves
 * that comes to an end.
 */
export async function settled(page) {
  await page.waitForFunction(() => document.querySelector("[aria-busy=true], .reading") === null);
  await page.evaluate(async () => {
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    for (let n = 0; n < 3; n++) await frame();
    const ends = (animation) => Number.isFinite(animation.effect?.getComputedTiming().endTime ?? Infinity);
    // One that is taken away while it runs ends too, by being refused.
    await Promise.allSettled(document.getAnimations().filter(ends).map((animation) => animation.finished));
  });
}

/** Every rule of WCAG 2.2 AA that a program can check, and the best practices. */
export async function accessible(page, where) {
  // Half a fade is no contrast.
  await settled(page);
  // Through the debugger, not a script tag: the policy stays as it is.
  await page.evaluate(axeSource);
  const result = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target.join(" ")} ${node.any.map((check) => check.message).join(" ")}`).join(" | ")}`);
  });
  assert.deepEqual(result, [], where);
}

/** Reads a card to its end, as a person does: screen by screen. */
export async function readAll(page) {
  await page.locator("#say").waitFor();
  await settled(page);
  const link = page.locator("#say .link");
  for (let step = 0; step < 400; step++) {
    if ((await link.count()) === 0) return;
    await page.evaluate(async () => {
      const frame = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      document.querySelector("#say .link")?.click();
      await frame();
    });
  }
  assert.fail("the card never came to its end");
}

/** Until Approve is available. */
export const armed = async (page) => {
  await page.locator('#approve[aria-disabled="false"]').waitFor();
};
export const disabled = (page, id) => page.locator(id).getAttribute("aria-disabled").then((value) => value === "true");
export const say = (page) => page.locator("#say").innerText();
export const calls = (page, call) => page.evaluate((wanted) => globalThis.played.calls.filter((each) => each.call === wanted), call);
export const change = (page, what) => page.evaluate(what);
