// The browser for page tests and screenshots: the system's own, quiet, with a profile that is thrown away.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-default-apps", "--metrics-recording-only"];

/** @param args more switches for the browser */
export async function browser({ args = [], ...options } = {}) {
  const profile = await mkdtemp(join(tmpdir(), "countersign-ui-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
    headless: true,
    args: [...ARGS, ...args],
    ignoreDefaultArgs: ["--hide-scrollbars"], // the card’s scroll bar is part of what is tested
    viewport: { width: 1180, height: 760 },
    timezoneId: "UTC",
    locale: "en-GB",
    ...options,
  });
  return {
    context,
    async close() {
      await context.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}
