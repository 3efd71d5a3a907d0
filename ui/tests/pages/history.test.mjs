// The history: search and filters, a list of any length, details and their proof, figures, files.
import assert from "node:assert/strict";
import { test } from "node:test";
import { calls, window } from "./harness.mjs";

const { scene } = window();
/** Opens the history, on narrow windows too, and waits until it has been read. */
const open = async (page) => {
  const list = page.locator(".only-narrow");
  if (await list.isVisible()) await list.click();
  await page.locator(".tab").nth(1).click();
  await page.locator(".counts .n", { hasText: /./ }).waitFor();
};
const rows = (page, count) => page.waitForFunction((wanted) => document.querySelectorAll(".hrow[data-txn]").length === wanted, count);
const asked = (page, wanted) =>
  page.waitForFunction((wanted) => {
    const query = globalThis.played.calls.filter((call) => call.call === "history").at(-1)?.query;
    return query !== undefined && Object.entries(wanted).every(([key, value]) => JSON.stringify(query[key]) === JSON.stringify(value));
  }, wanted);

test("search and filters narrow the list as they are set, and say what they leave", () =>
  scene("history", async (page) => {
    await open(page);
    await rows(page, 11);
    assert.deepEqual(await page.locator("h2.group").allInnerTexts(), ["Today", "Yesterday, 21 November", "20 November 2026"]);
    assert.equal(await page.locator(".counts .n").innerText(), "11");
    await page.locator("#filter-outcome").click();
    await page.getByRole("checkbox", { name: "Denied" }).check();
    await rows(page, 2);
    await page.getByText("2 of 11").waitFor();
    await page.getByRole("checkbox", { name: "Expired" }).check();
    await rows(page, 3);
    // What is chosen stands on the chip; Escape closes and gives the focus back.
    await page.keyboard.press("Escape");
    await page.locator("#filter-panel").waitFor({ state: "detached" });
    await page.waitForFunction(() => document.activeElement?.id === "filter-outcome");
    assert.match(await page.locator("#filter-outcome").innerText(), /Denied and Expired/);
    await page.getByLabel("Search").fill("audit");
    await rows(page, 1);
    await page.getByRole("button", { name: "Mine" }).click();
    await page.getByLabel("Search").fill("zebra");
    await page.getByText("Nothing matches").waitFor();
    await asked(page, { text: "zebra", outcomes: ["denied", "expired"], mine: true });
    await page.getByRole("button", { name: "Remove: Denied and Expired" }).click();
    await asked(page, { text: "zebra", outcomes: [], mine: true });
    await page.waitForFunction(() => document.activeElement?.id === "filter-outcome");
  }));

test("a person is found by name, a time is chosen or typed", () =>
  scene("history/long", async (page) => {
    await open(page);
    await page.locator("#filter-person").click();
    await page.getByLabel("Find a person").fill("ines");
    await page.waitForFunction(() => document.querySelectorAll(".person-choice").length === 1);
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await asked(page, { person: "Ines Okafor" });
    await page.locator("#filter-panel").waitFor({ state: "detached" });
    assert.match(await page.locator("#filter-person").innerText(), /Ines Okafor/);
    await page.locator("#filter-time").click();
    await page.getByRole("radio", { name: "Last 7 days" }).check();
    await asked(page, { from: Date.UTC(2026, 10, 15) / 1000, until: null });
    const from = page.getByLabel("From", { exact: true });
    await from.fill("2026-02-30");
    assert.equal(await from.getAttribute("aria-invalid"), "true");
    await from.fill("2026-10-01");
    await page.getByLabel("To", { exact: true }).fill("2026-09-01");
    await page.getByText("The last day is before the first.").waitFor();
    await page.getByLabel("To", { exact: true }).fill("31.10.2026");
    await asked(page, { from: Date.UTC(2026, 9, 1) / 1000, until: Date.UTC(2026, 10, 1) / 1000, person: "Ines Okafor" });
    // A click elsewhere closes, and changes nothing.
    await page.locator(".foot .state").click();
    await page.locator("#filter-panel").waitFor({ state: "detached" });
    await asked(page, { from: Date.UTC(2026, 9, 1) / 1000, person: "Ines Okafor" });
  }));

for (const [name, headline, failed, unproven] of [
  ["history/passed", "All 7 checks passed", 0, 0],
  ["history/failed", "This does not hold. Check 4 failed", 1, 0],
  ["history", "Nothing contradicts, but not all of it is proven here", 0, 2],
]) {
  test(`verify: ${headline}`, () =>
    scene(name, async (page) => {
      await open(page);
      await page.locator(".hrow[data-txn=past-2]").click();
      await page.getByRole("heading", { name: "Course" }).waitFor();
      await page.getByText("The gate ran it, once, as it says itself").waitFor();
      await page.getByRole("button", { name: "Verify now" }).click();
      await page.getByRole("heading", { name: headline }).waitFor();
      assert.equal(await page.locator(".steps li").count(), 8);
      assert.deepEqual([await page.locator(".steps .fail").count(), await page.locator(".steps .unproven").count()], [failed, unproven]);
      await page.getByRole("button", { name: "Export evidence" }).click();
      await page.getByText("~/Downloads/countersign-past-2.json").waitFor();
      await page.getByRole("button", { name: "Back to the request" }).click();
      await page.getByRole("heading", { name: "Course" }).waitFor();
    }));
}

test("a million past requests: few are drawn, no element is tall, the last is reached by bar, key and wheel", () =>
  scene("history/long", async (page) => {
    await open(page);
    await page.locator(".hrow[data-txn=old-0]").waitFor();
    const list = page.locator(".long-list");
    const few = async () => assert.ok((await page.locator(".hrow").count()) < 60, `${await page.locator(".hrow").count()} rows are drawn`);
    await few();
    assert.equal(await page.locator(".counts .n").innerText(), "1,000,000");
    const tallest = await page.evaluate(() => Math.max(...[...document.querySelectorAll("*")].map((element) => element.scrollHeight)));
    assert.ok(tallest <= 1_000_100, `${tallest} px`);
    // By the bar.
    await list.evaluate((element) => element.scrollTo(0, element.scrollHeight));
    const lastInside = () =>
      page.waitForFunction(() => {
        const row = document.querySelector(".hrow[data-txn=old-999999]")?.getBoundingClientRect();
        const list = document.querySelector(".long-list").getBoundingClientRect();
        return row !== undefined && row.top >= list.top - 1 && row.bottom <= list.bottom + 1;
      });
    await lastInside();
    await list.evaluate((element) => element.scrollTo(0, 0));
    await page.waitForFunction(() => document.querySelector(".hrow[data-txn=old-0]")?.getBoundingClientRect().top >= document.querySelector(".long-list").getBoundingClientRect().top);
    // By keys: from row to row, and to the end.
    const at = (txn) => page.waitForFunction((wanted) => document.activeElement?.getAttribute("data-txn") === wanted, txn);
    await page.locator(".hrow[data-txn=old-0]").focus();
    for (let n = 1; n <= 30; n++) {
      await page.keyboard.press("ArrowDown");
      await at(`old-${n}`);
    }
    await page.keyboard.press("End");
    await at("old-999999");
    await lastInside();
    await page.keyboard.press("PageUp");
    await page.waitForFunction(() => Number(document.activeElement?.getAttribute("data-txn")?.slice(4) ?? NaN) < 999_995);
    await few();
    // By the wheel: as far as it says, not as far as the bar would make of it.
    await page.keyboard.press("Home");
    await at("old-0");
    await list.hover();
    await page.mouse.wheel(0, 490);
    await page.waitForFunction(() => {
      const top = document.querySelector(".long-list").getBoundingClientRect().top;
      return [9, 10, 11].includes(Number([...document.querySelectorAll(".hrow[data-txn]")].find((row) => row.getBoundingClientRect().top >= top)?.dataset.txn.slice(4)));
    });
    await page.keyboard.press("End");
    await at("old-999999");
    await page.mouse.wheel(0, -49);
    await page.mouse.wheel(0, 500);
    await lastInside();
  }));

test("what is looked at stays where it is when more come in above, and the focus stays on its request", () =>
  scene("history/long", async (page) => {
    await open(page);
    const list = page.locator(".long-list");
    await list.evaluate((element) => element.scrollTo(0, element.scrollHeight / 2));
    // A row well within the list, once all that is on screen is read.
    const found = await page.waitForFunction(() => {
      const { top, bottom } = document.querySelector(".long-list").getBoundingClientRect();
      const row = [...document.querySelectorAll(".hrow[data-txn]")].find((row) => row.getBoundingClientRect().top > top + 100 && row.getBoundingClientRect().bottom < bottom - 50);
      if (row === undefined || document.querySelector(".hrow.unread") !== null || Number(row.dataset.txn.slice(4)) < 400_000) return null;
      row.focus();
      return row.dataset.txn;
    });
    const txn = await found.jsonValue();
    const place = () => page.evaluate((of) => Math.round(document.querySelector(`.hrow[data-txn="${of}"]`).getBoundingClientRect().top), txn);
    const before = await place();
    await page.evaluate(() => globalThis.played.morePast(5));
    await page.getByText("1,000,005").waitFor();
    assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("data-txn")), txn);
    assert.ok(Math.abs((await place()) - before) <= 1, `${before} → ${await place()}`);
    assert.equal(await page.locator(`.placed:has([data-txn="${txn}"])`).getAttribute("aria-posinset"), String(Number(txn.slice(4)) + 6));
    // At the very top, what is new shows.
    await page.evaluate(() => document.activeElement.blur());
    await page.mouse.move(900, 400);
    await list.evaluate((element) => element.scrollTo(0, 0));
    await page.locator('.hrow[data-txn="old--5"]').waitFor();
    await page.evaluate(() => globalThis.played.morePast(1));
    await page.locator('.hrow[data-txn="old--6"]').waitFor();
    assert.equal(await list.evaluate((element) => element.scrollTop), 0);
  }));

test("how much of it this device holds is said: filling, offline, not counted yet", async () => {
  await scene("history/filling", async (page) => {
    await open(page);
    await page.getByText("Filling from the server: 81 %").waitFor();
    await page.getByRole("button", { name: "Mine" }).click();
    await page.getByText(/^[\d,]+ of 1,048,212$/).waitFor();
  });
  await scene("history/offline", async (page) => {
    await open(page);
    await page.getByText("Offline: what this device holds").waitFor();
    await page.locator(".hrow[data-txn=old-0]").waitFor();
  });
  await scene("history/uncounted", async (page) => {
    await open(page);
    await page.locator(".hrow[data-txn=old-0]").waitFor();
    await page.locator(".counts .n", { hasText: /^250,000$/ }).waitFor();
  });
});

test("figures follow the filters; each plot has its numbers as a table", () =>
  scene("history/filling", async (page) => {
    await open(page);
    await page.locator("#figures").click();
    await page.waitForFunction(() => document.activeElement?.id === "figures-title");
    await page.getByText("For all of the history.").waitFor();
    await page.getByRole("img", { name: /^Bars of approved and denied votes over time/ }).waitFor();
    const all = await page.locator(".figures .lead b").first().innerText();
    await page.locator("#filter-time").click();
    await page.getByRole("radio", { name: "Last 30 days" }).check();
    await page.keyboard.press("Escape");
    await page.waitForFunction((before) => document.querySelector(".figures .lead b")?.textContent !== before, all);
    await page.locator(".page > p", { hasText: "For what the filters select: last 30 days." }).waitFor();
    for (const name of ["Votes a week", "Time to decide", "By kind"]) {
      await page.getByRole("button", { name: `As a table: ${name}` }).click();
      await page.getByRole("region", { name }).getByRole("table").waitFor();
    }
    // The numbers of the last table are all of those that were voted.
    const [sum, said] = await page.evaluate(() => {
      const number = (text) => Number(text.replaceAll(",", ""));
      const cells = [...document.querySelectorAll(".plot-table")].at(-1).querySelectorAll("td");
      return [[...cells].reduce((all, cell) => all + number(cell.textContent), 0), number(document.querySelector(".figures .lead b").textContent.split(" ")[0])];
    });
    assert.equal(sum, said);
    // A request in the list takes the place of the figures.
    await page.locator(".hrow[data-txn]").first().click();
    await page.locator("#verify").waitFor();
    assert.equal(await page.locator("#figures").getAttribute("aria-pressed"), "false");
  }));

test("what the filters select is written to a file, and it is said where", () =>
  scene("history/long", async (page) => {
    await open(page);
    await page.getByRole("button", { name: "Mine" }).click();
    await page.getByText(/^[\d,]+ of 1,000,000$/).waitFor();
    await page.locator("#export-history").click();
    await page.getByText(/^Writes 1\d\d,\d\d\d entries/).waitFor();
    await page.getByRole("button", { name: "Table (CSV)" }).click();
    await page.getByText("~/Downloads/countersign-history-2026-11-22.csv").waitFor();
    await page.getByRole("button", { name: "Evidence files" }).click();
    await page.getByText("~/Downloads/countersign-evidence-2026-11-22").waitFor();
    assert.deepEqual((await calls(page, "export_history")).map((call) => [call.what, call.query.mine]), [["csv", true], ["evidence", true]]);
    await page.keyboard.press("Escape");
    await page.waitForFunction(() => document.activeElement?.id === "export-history");
  }));

test("twice the text: the list keeps its room, and every filter can be reached", () =>
  scene("history/accounts", async (page) => {
    await open(page);
    await page.locator(".hrow[data-txn=old-0]").waitFor();
    assert.ok((await page.locator(".long-list").evaluate((list) => list.clientHeight)) > 90);
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 590);
    await page.locator("#filter-time").focus();
    await page.waitForFunction(() => {
      const chip = document.querySelector("#filter-time").getBoundingClientRect();
      return chip.left >= 0 && chip.right <= document.querySelector(".pane").getBoundingClientRect().right + 1;
    });
    await page.keyboard.press("Enter");
    await page.getByRole("radio", { name: "Last 7 days" }).check();
    await asked(page, { from: Date.UTC(2026, 10, 15) / 1000 });
  }, { viewport: { width: 590, height: 380 } }));
