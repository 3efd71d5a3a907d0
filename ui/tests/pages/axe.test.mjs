// Accessibility of every page, light and dark.
import { test } from "node:test";
import { accessible, readAll, window } from "./harness.mjs";

const { scene } = window();
const tab = (page, name) => page.getByRole("navigation", { name: "Pages" }).getByRole("button", { name }).click();
const settings = (name) => async (page) => {
  await tab(page, "Settings");
  await page.getByRole("navigation", { name: "Settings" }).getByRole("button", { name }).click();
};
const past = async (page) => {
  await tab(page, "History");
  await page.locator(".hrow[data-txn=past-2]").click();
  await page.locator("#verify").waitFor();
};
const verify = async (page) => {
  await past(page);
  await page.locator("#verify").click();
  await page.locator(".steps").waitFor();
};
const panel = (button, opened = "#filter-panel") => async (page) => {
  await tab(page, "History");
  await page.locator(".hrow[data-txn]").first().waitFor();
  await page.locator(button).click();
  await page.locator(opened).waitFor();
  await page.waitForFunction((within) => document.querySelector(within)?.contains(document.activeElement), opened);
};
const figures = async (page) => {
  await tab(page, "History");
  await page.locator("#figures").click();
  await page.locator(".plots").waitFor();
};
const tables = async (page) => {
  await figures(page);
  for (let n = 0; n < 3; n++) await page.getByRole("button", { name: /^As a table/ }).first().click();
  await page.waitForFunction(() => document.querySelectorAll(".plot-table").length === 3);
};
const pages = [
  ["first"], ["first", async (page) => {
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByRole("heading", { name: "Where do you sign in?" }).waitFor();
  }], ["first/waiting"], ["first/binding"], ["first/failed"], ["first/keyring"],
  ["inbox/sql"], ["inbox/sql", readAll], ["inbox/http"], ["inbox/tool", readAll], ["inbox/hostile"], ["inbox/rtl"], ["inbox/han"], ["inbox/query"], ["inbox/long"], ["inbox/voted"], ["inbox/own"],
  ["inbox/step-up", readAll], ["inbox/step-up-key", readAll], ["inbox/step-up-waiting"], ["inbox/step-up-touch"], ["inbox/step-up-sending"], ["inbox/step-up-down"], ["inbox/step-up-over"], ["inbox/stages", readAll], ["inbox/confirm-own", readAll], ["inbox/chain", readAll], ["inbox/approved-unused"],
  ["inbox/approved"], ["inbox/denied"], ["inbox/elsewhere"], ["inbox/expired"], ["inbox/many"], ["inbox/storm", async (page) => {
    await page.locator(".row[data-storm]").click();
    await page.locator(".alike").waitFor();
  }], ["inbox/accounts"], ["inbox/account-out"],
  ["inbox/sql", async (page) => {
    await page.keyboard.press("F1");
    await page.locator("dialog").waitFor();
  }], ["inbox/empty"], ["inbox/offline"], ["inbox/no-notifications"],
  ["inbox/signed-out"], ["inbox/no-agent"], ["history", past], ["history/long", (page) => tab(page, "History")],
  ["history/filling", figures], ["history/filling", tables], ["history/accounts", panel("#filter-account")], ["history/long", panel("#filter-outcome")], ["history/long", panel("#filter-person")], ["history/long", panel("#filter-time")],
  ["history/long", async (page) => {
    await panel("#export-history", "#export-panel")(page);
    await page.getByRole("button", { name: "Table (CSV)" }).click();
    await page.locator(".wrote").waitFor();
  }],
  ["history/passed", verify], ["history/failed", verify], ["history", verify],
  ["settings", settings("General")], ["settings", settings("Notifications")], ["settings/trouble", settings("Notifications")],
  ["settings", settings("Accounts and servers")], ["inbox/account-out", settings("Accounts and servers")], ["settings", settings("Devices and keys")], ["settings/trouble", settings("About and diagnostics")], ["settings/keys", settings("Devices and keys")], ["settings/keys", async (page) => {
    await settings("Devices and keys")(page);
    await page.locator("[data-act=remove-key]").first().click();
    await page.getByRole("button", { name: "Sign in and remove" }).waitFor();
  }],
  ["settings/full", settings("General")], ["settings/full", settings("Notifications")], ["settings/held", settings("Notifications")], ["settings/full", settings("About and diagnostics")],
  ["settings/full", settings("Out of office")], ["settings", async (page) => {
    await settings("Out of office")(page);
    await page.getByRole("switch").click();
    await page.locator("[data-act=set-absence]").waitFor();
  }],
  ["settings/add-key"], ["inbox/step-up-pin"], ["inbox/step-up-plug"], ["inbox/hold", readAll], ["inbox/away", readAll], ["inbox/muted", readAll], ["inbox/paused"], ["inbox/quiet"], ["inbox/i-am-away"],
  ["first/waiting", async (page) => {
    await page.evaluate(() => globalThis.played.signIn());
    await page.getByText("Right to within a second.").waitFor();
  }],
];
for (const theme of ["light", "dark"]) {
  pages.forEach(([name, act], n) =>
    test(`${theme} ${n + 1}: ${name}`, () =>
      scene(name, async (page) => {
        if (act !== undefined) await act(page);
        await accessible(page, `${name} in ${theme}`);
      }, { theme })),
  );
}
