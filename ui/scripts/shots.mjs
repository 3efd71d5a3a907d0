// Screenshots of every state, in light and dark: `npm run shots -- [filter]`. Written to shots/, never committed.
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { browser } from "./browser.mjs";
import { serve } from "./serve.mjs";

const out = fileURLToPath(new URL("../shots", import.meta.url));
const filter = process.argv[2] ?? "";
const { origin, close } = await serve(fileURLToPath(new URL("../dist-recorded", import.meta.url)));
const { context, close: quit } = await browser();
await mkdir(out, { recursive: true });

const end = async (page) => {
  await page.locator(".card-body").evaluate((body) => body.scrollTo(0, 0));
  for (let n = 0; n < 60 && (await page.locator("#say .link").count()) > 0; n++) await page.evaluate(() => document.querySelector("#say .link")?.click()).then(() => page.waitForTimeout(60));
};
const armed = async (page) => {
  await end(page);
  await page.locator(`#approve[aria-disabled="false"]`).waitFor();
};
const shots = [
  ["first-server", "first"],
  ["first-provider", "first", (page) => page.getByRole("button", { name: "Go on" }).click()],
  ["first-wrong", "first", async (page) => {
    await page.locator("#server").fill("nowhere");
    await page.getByRole("button", { name: "Go on" }).click();
  }],
  ["first-waiting", "first/waiting"],
  ["first-binding", "first/binding"],
  ["first-failed", "first/failed"],
  ["first-ready", "first/waiting", async (page) => {
    await page.evaluate(() => window.played.signIn());
    await page.getByRole("button", { name: "Send a test" }).click();
  }],
  ["inbox-sql-locked", "inbox/sql"],
  ["inbox-sql-ready", "inbox/sql", armed],
  ["inbox-http", "inbox/http"],
  ["inbox-http-reason", "inbox/http", end],
  ["inbox-orders", "inbox/orders"],
  ["inbox-orders-end", "inbox/orders", armed],
  ["inbox-tool-words", "inbox/tool", end],
  ["inbox-wrong-words", "inbox/wrong-words", async (page) => {
    await end(page);
    await page.locator("#word-1").fill("amber north");
    await page.locator("#approve:not([aria-disabled=true])").click();
    await page.locator("#say b").waitFor();
  }],
  ["inbox-hostile", "inbox/hostile"],
  ["inbox-rtl", "inbox/rtl"],
  ["inbox-rtl-end", "inbox/rtl", end],
  ["inbox-ci", "inbox/ci"],
  ["inbox-han", "inbox/han"],
  ["inbox-query", "inbox/query"],
  ["inbox-long", "inbox/long"],
  ["inbox-short", "inbox/short"],
  ["inbox-on-deny", "inbox/on-deny", (page) => page.locator("#deny").click()],
  ["inbox-voted", "inbox/voted", end],
  ["inbox-take-back", "inbox/voted", (page) => page.locator("#take-back").click()],
  ["inbox-own", "inbox/own", end],
  ["inbox-not-eligible", "inbox/not-eligible"],
  ["inbox-not-supported", "inbox/not-supported"],
  ["inbox-approved", "inbox/approved", (page) => page.locator(".card-body").evaluate((b) => b.scrollTo(0, 1e6))],
  ["inbox-denied", "inbox/denied", (page) => page.locator(".card-body").evaluate((b) => b.scrollTo(0, 1e6))],
  ["inbox-elsewhere", "inbox/sql", async (page) => {
    await page.locator(".card-body").evaluate((b) => b.scrollTo(0, 1e6));
    await page.evaluate(() => {
      window.played.changeCard("txn-sql", (card) => {
        card.row.outcome = "denied";
        card.row.ended_at = card.row.asked_at + 5;
        card.row.ended_by = { indent: 0, spans: [{ role: "data", text: "Aino Korhonen" }] };
        card.votes.push({ ...card.votes[0], name: card.row.ended_by, choice: "deny", reason: { indent: 0, spans: [{ role: "data", text: "Two of these accounts are on legal hold." }] } });
        card.ballot = { ballot: "locked", why: "closed", sentence: "" };
      });
      window.played.change((s) => (s.inbox = s.inbox.filter((r) => r.txn !== "txn-sql")));
    });
    await page.locator(".result").waitFor();
  }],
  ["inbox-expired", "inbox/expired"],
  ["inbox-withdrawn", "inbox/withdrawn"],
  ["inbox-voided", "inbox/voided"],
  ["inbox-failed", "inbox/failed", async (page) => {
    await armed(page);
    await page.locator("#reason").fill("Checked the list with billing.");
    await page.locator("#approve:not([aria-disabled=true])").click();
    await page.locator("#say b").waitFor();
  }],
  ["step-up-ready", "inbox/step-up", armed],
  ["step-up-key", "inbox/step-up-key", armed],
  ["step-up-waiting", "inbox/step-up-waiting"],
  ["step-up-touch", "inbox/step-up-touch"],
  ["step-up-sending", "inbox/step-up-sending"],
  ["step-up-declined", "inbox/step-up-declined"],
  ["step-up-down", "inbox/step-up-down"],
  ["step-up-over", "inbox/step-up-over"],
  ["inbox-stages", "inbox/stages", end],
  ["inbox-confirm-own", "inbox/confirm-own", armed],
  ["inbox-chain", "inbox/chain"],
  ["inbox-chain-end", "inbox/chain", end],
  ["inbox-approved-unused", "inbox/approved-unused", (page) => page.locator(".card-body").evaluate((b) => b.scrollTo(0, 1e6))],
  ["inbox-sending", "inbox/sending", async (page) => {
    await armed(page);
    await page.locator("#approve:not([aria-disabled=true])").click();
  }],
  ["inbox-many", "inbox/many"],
  ["inbox-storm", "inbox/storm", (page) => page.locator(".row[data-storm]").click()],
  ["inbox-accounts", "inbox/accounts"],
  ["inbox-account-out", "inbox/account-out"],
  ["keys", "inbox/sql", (page) => page.keyboard.press("F1")],
  ["settings-accounts", "inbox/accounts", (page) => settings(page, "Accounts and servers")],
  ["inbox-new", "inbox/sql", async (page) => {
    await page.locator(".pane .row").nth(1).hover();
    await page.evaluate(() => window.played.change((s) => {
      s.inbox = [{ ...s.inbox[0], txn: "n1" }, { ...s.inbox[1], txn: "n2" }, ...s.inbox.filter((r) => r.txn !== "txn-http")];
    }));
    await page.locator(".arrived").waitFor();
  }],
  ["inbox-empty", "inbox/empty"],
  ["inbox-offline", "inbox/sql", (page) => page.evaluate(() => window.played.change((s) => (s.connection = "reconnecting")))],
  ["inbox-no-notifications", "inbox/no-notifications"],
  ["inbox-trouble", "inbox/trouble"],
  ["inbox-signed-out", "inbox/signed-out"],
  ["inbox-no-agent", "inbox/no-agent"],
  ["history", "history", async (page) => {
    await page.getByRole("button", { name: "History" }).click();
    await page.locator(".hrow").first().waitFor();
  }],
  ["history-detail", "history", (page) => past(page)],
  ["history-search", "history", async (page) => {
    await past(page);
    await page.locator(".filter", { hasText: "Denied" }).click();
    await page.locator(".search input").fill("zebra");
    await page.locator(".aside-note").waitFor();
  }],
  ["history-verify", "history/passed", (page) => verify(page)],
  ["history-verify-fail", "history/failed", (page) => verify(page)],
  ["history-verify-unproven", "history", (page) => verify(page)],
  ["history-export", "history", async (page) => {
    await past(page);
    await page.locator("#export").click();
  }],
  ["settings-general", "settings", (page) => settings(page, "General")],
  ["settings-notifications", "settings", async (page) => {
    await settings(page, "Notifications");
    await page.locator("#test-notification").click();
  }],
  ["settings-notifications-missing", "settings/trouble", (page) => settings(page, "Notifications")],
  ["settings-account", "settings", async (page) => {
    await settings(page, "Accounts and servers");
    await page.locator("[data-act=sign-out]").click();
  }],
  ["settings-devices", "settings", async (page) => {
    await settings(page, "Devices and keys");
    await page.locator(".set.wide").nth(2).getByRole("button").click();
  }],
  ["settings-about", "settings/trouble", (page) => settings(page, "About and diagnostics")],
];
/** On a narrow window the pages are behind the list. */
async function unfold(page) {
  const list = page.locator(".only-narrow");
  if (await list.isVisible()) await list.click();
}
async function past(page) {
  await unfold(page);
  await page.getByRole("button", { name: "History" }).click();
  await page.locator(".hrow[data-txn=past-2]").click();
  await page.locator("#verify").waitFor();
}
async function verify(page) {
  await past(page);
  await page.locator("#verify").click();
  await page.locator(".steps").waitFor();
}
async function settings(page, name) {
  await unfold(page);
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("navigation", { name: "Settings" }).getByRole("button", { name }).click();
}
const narrow = ["inbox-sql-ready", "inbox-hostile", "inbox-rtl", "inbox-long", "inbox-tool-words", "history-detail", "settings-notifications", "history-verify-unproven", "inbox-approved", "first-waiting", "step-up-waiting", "inbox-chain", "inbox-stages", "inbox-storm"];
const german = ["first-server", "inbox-sql-locked", "inbox-tool-words", "step-up-ready", "step-up-waiting", "step-up-down", "inbox-stages", "inbox-chain", "inbox-approved", "inbox-storm", "keys", "inbox-empty"];
const tiny = ["inbox-sql-locked", "inbox-tool-words", "history-detail", "settings-devices", "first-waiting", "inbox-approved", "step-up-waiting", "inbox-stages"];
const sizes = [
  ["", { width: 1180, height: 760 }, ["light", "dark"], null, 1],
  ["narrow-", { width: 800, height: 600 }, ["light"], narrow, 1],
  ["text-200-", { width: 590, height: 380 }, ["light"], tiny, 2],
  ["wide-", { width: 1920, height: 1080 }, ["dark"], ["inbox-sql-ready", "history-detail", "inbox-chain", "inbox-storm", "inbox-many"], 1],
  ["de-", { width: 1180, height: 760 }, ["light"], german, 1],
  ["de-narrow-", { width: 800, height: 600 }, ["dark"], german, 1],
];
const noted = new Set();
const note = (text) => noted.has(text) || (noted.add(text), console.error(text));
for (const [prefix, viewport, themes, only] of sizes) {
  for (const [name, scene, act] of shots) {
    if ((only !== null && !only.includes(name)) || !`${prefix}${name}`.includes(filter)) continue;
    for (const theme of themes) {
      const page = await context.newPage();
      page.setDefaultTimeout(20_000);
      page.on("console", (message) => ["error", "warning"].includes(message.type()) && note(`${name} ${message.text()}`));
      page.on("pageerror", (error) => console.error(name, error.message));
      try {
        await page.setViewportSize(viewport);
        await page.goto(`${origin}/?theme=${theme}${prefix.startsWith("de-") ? "&language=de" : ""}#${scene}`);
        await page.locator("#app > *").first().waitFor();
        if (act !== undefined) await act(page);
        await page.waitForTimeout(250);
        await page.screenshot({ path: `${out}/${prefix}${name}-${theme}.png` });
      } catch (error) {
        console.error(`${prefix}${name}-${theme}: ${error.message.split("\n")[0]}`);
        await page.screenshot({ path: `${out}/FAILED-${prefix}${name}-${theme}.png` });
      }
      await page.close();
    }
  }
}
await quit();
await close();
