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
const pages = [
  ["first"], ["first", (page) => page.getByRole("button", { name: "Go on" }).click()], ["first/waiting"], ["first/binding"], ["first/failed"],
  ["inbox/sql"], ["inbox/sql", readAll], ["inbox/http"], ["inbox/tool", readAll], ["inbox/hostile"], ["inbox/rtl"], ["inbox/han"], ["inbox/query"], ["inbox/long"], ["inbox/voted"], ["inbox/own"],
  ["inbox/step-up", readAll], ["inbox/step-up-key", readAll], ["inbox/step-up-waiting"], ["inbox/step-up-touch"], ["inbox/step-up-sending"], ["inbox/step-up-down"], ["inbox/step-up-over"], ["inbox/stages", readAll], ["inbox/confirm-own", readAll], ["inbox/chain", readAll], ["inbox/approved-unused"],
  ["inbox/approved"], ["inbox/denied"], ["inbox/elsewhere"], ["inbox/expired"], ["inbox/many"], ["inbox/storm", (page) => page.locator(".row[data-storm]").click()], ["inbox/accounts"], ["inbox/account-out"],
  ["inbox/sql", (page) => page.keyboard.press("F1")], ["inbox/empty"], ["inbox/offline"], ["inbox/no-notifications"],
  ["inbox/signed-out"], ["inbox/no-agent"], ["history", past], ["history/long", (page) => tab(page, "History")], ["history/passed", verify], ["history/failed", verify], ["history", verify],
  ["settings", settings("General")], ["settings", settings("Notifications")], ["settings/trouble", settings("Notifications")],
  ["settings", settings("Account and server")], ["settings", settings("Devices and keys")], ["settings/trouble", settings("About")], ["settings/keys", settings("Devices and keys")],
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
