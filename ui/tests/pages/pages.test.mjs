// First run, history, settings, what is told when something is not in order, and the keyboard.
import assert from "node:assert/strict";
import { test } from "node:test";
import { calls, window } from "./harness.mjs";

const { scene } = window();
const tab = (page, name) => page.getByRole("navigation", { name: "Pages" }).getByRole("button", { name }).click();

test("first run: server, provider, browser, ready", () =>
  scene("first", async (page) => {
    const address = page.getByLabel("Server address");
    assert.equal(await address.inputValue(), "https://approvals.example.com");
    await address.fill("nowhere");
    await address.press("Enter");
    await page.getByText("No server answers at that address").waitFor();
    await address.fill("https://approvals.example.com");
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByRole("heading", { name: "Where do you sign in?" }).waitFor();
    await page.getByRole("button", { name: /Example Staff/ }).click();
    await page.getByRole("heading", { name: "Go on in your browser" }).waitFor();
    assert.match(await page.getByLabel(/Open this address by hand/).inputValue(), /^https:\/\/login\.example\.com\/authorize/);
    assert.deepEqual(await calls(page, "sign_in"), [{ call: "sign_in", server: "https://approvals.example.com", issuer: "https://login.example.com" }]);
    await page.evaluate(() => globalThis.played.change((state) => (state.sign_in = { state: "binding" })));
    await page.getByRole("heading", { name: "One moment" }).waitFor();
    await page.evaluate(() => globalThis.played.signIn());
    await page.getByRole("heading", { name: "Ready" }).waitFor();
    await page.getByRole("button", { name: "Send a test" }).click();
    await page.getByRole("button", { name: "I saw it" }).click();
    await page.getByText("You saw the test").waitFor();
    assert.equal((await calls(page, "test_notification")).length, 1);
    await page.getByRole("button", { name: "Go to the inbox" }).click();
    await page.getByRole("navigation", { name: "Pages" }).waitFor();
    assert.equal((await calls(page, "set_prefs")).at(-1).prefs.greeted, true);
    // Signed out and in again: what has to work was tried out on this device.
    await page.evaluate(async () => {
      await globalThis.played.backend.call({ call: "sign_out" });
      globalThis.played.signIn();
    });
    await page.getByRole("navigation", { name: "Pages" }).waitFor();
  }));

test("a sign-in can be stopped, and a failed one tried again", () =>
  scene("first/failed", async (page) => {
    await page.getByText("did not answer within 30 seconds").waitFor();
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("heading", { name: "Which server do you approve for?" }).waitFor();
    assert.equal((await calls(page, "cancel_sign_in")).length, 1);
  }));

test("history: search, outcome, mine, older ones", () =>
  scene("history", async (page) => {
    await tab(page, "History");
    await page.locator(".hrow").nth(7).waitFor();
    await page.locator(".hrow").nth(10).waitFor();
    assert.deepEqual(await page.locator("h2.group").allInnerTexts(), ["Today", "Yesterday, 21 November", "20 November 2026"]);
    await page.locator(".filter", { hasText: "Denied" }).click();
    await page.waitForFunction(() => document.querySelectorAll(".hrow").length === 2);
    await page.getByLabel("Search").fill("audit");
    await page.waitForFunction(() => document.querySelectorAll(".hrow").length === 1);
    await page.locator(".filter", { hasText: "Mine" }).click();
    await page.getByLabel("Search").fill("zebra");
    await page.getByText("Nothing matches").waitFor();
    const last = (await calls(page, "history")).at(-1);
    assert.deepEqual(last.query, { text: "zebra", outcomes: ["denied"], mine: true, cursor: null });
  }));

for (const [name, headline, failed, unproven] of [
  ["history/passed", "All 8 checks passed", 0, 0],
  ["history/failed", "This does not hold. Check 4 failed", 1, 0],
  ["history", "Nothing contradicts, but not all of it is proven here", 0, 2],
]) {
  test(`verify: ${headline}`, () =>
    scene(name, async (page) => {
      await tab(page, "History");
      await page.locator(".hrow[data-txn=past-2]").click();
      await page.getByRole("heading", { name: "Course" }).waitFor();
      await page.getByRole("button", { name: "Verify now" }).click();
      await page.getByRole("heading", { name: headline }).waitFor();
      assert.equal(await page.locator(".steps li").count(), 9);
      assert.deepEqual([await page.locator(".steps .fail").count(), await page.locator(".steps .unproven").count()], [failed, unproven]);
      await page.getByRole("button", { name: "Export evidence" }).click();
      await page.getByText("~/Downloads/countersign-past-2.json").waitFor();
      await page.getByRole("button", { name: "Back to the request" }).click();
      await page.getByRole("heading", { name: "Course" }).waitFor();
    }));
}

test("settings: theme, notifications, account, devices", () =>
  scene("settings", async (page) => {
    await tab(page, "Settings");
    await page.getByRole("radio", { name: "Dark" }).check();
    await page.waitForFunction(() => document.documentElement.dataset.theme === "dark");
    await page.getByRole("radiogroup", { name: "Appearance" }).getByRole("radio", { name: "As the system" }).check();
    await page.waitForFunction(() => document.documentElement.dataset.theme === undefined);
    const part = (name) => page.getByRole("navigation", { name: "Settings" }).getByRole("button", { name }).click();
    await part("Notifications");
    await page.getByRole("button", { name: "Send a test" }).click();
    await page.getByRole("button", { name: "No", exact: true }).click();
    await page.getByText("You did not see the test").waitFor();
    await part("Devices and keys");
    const laptop = page.locator(".set.wide", { hasText: "travel-laptop" });
    const spot = await laptop.getByRole("button", { name: "Revoke" }).boundingBox();
    await laptop.getByRole("button", { name: "Revoke" }).dblclick();
    // A second click at the same place undoes, it does not revoke.
    assert.deepEqual(await calls(page, "revoke_device"), []);
    assert.ok(spot !== null);
    await laptop.getByRole("button", { name: "Revoke" }).click();
    await laptop.getByRole("button", { name: "Revoke now" }).click();
    await laptop.waitFor({ state: "detached" });
    await part("Account and server");
    await page.locator("[data-act=sign-out]").click();
    await page.locator("[data-act=sign-out-now]").click();
    await page.getByRole("heading", { name: "Which server do you approve for?" }).waitFor();
  }));

test("what is not in order stands on top, one at a time, as long as it is true", () =>
  scene("inbox/no-notifications", async (page) => {
    const strip = page.getByRole("alert");
    assert.match(await strip.innerText(), /Notifications do not work/);
    await page.evaluate(() => globalThis.played.change((state) => (state.connection = "reconnecting")));
    await page.getByText("New requests cannot reach you").waitFor();
    assert.equal(await strip.count(), 1);
    assert.match(await strip.innerText(), /Offline since 14:03\./);
    await page.evaluate(() => globalThis.played.change((state) => Object.assign(state, { connection: "connected", notifications: { state: "working", daemon: "dunst" } })));
    await strip.waitFor({ state: "detached" });
  }));

test("the agent is told what is in front of the person", () =>
  scene("inbox/sql", async (page) => {
    await page.waitForFunction(() => globalThis.played.calls.some((call) => call.call === "window_state" && call.visible && call.showing === "txn-sql"));
    await tab(page, "Settings");
    await page.waitForFunction(() => globalThis.played.calls.filter((call) => call.call === "window_state").at(-1)?.showing === null);
  }));

test("the keyboard reaches everything, and opening is a choice", () =>
  scene("inbox/sql", async (page) => {
    await page.locator(".row[data-txn=txn-sql]").focus();
    await page.keyboard.press("ArrowDown");
    assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("data-txn")), "txn-hostile");
    assert.equal(await page.locator(".sheet").getAttribute("data-txn"), "txn-sql");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.locator(".sheet[data-txn=txn-http]").waitFor();
    await page.waitForFunction(() => document.activeElement?.classList.contains("card-body"));
    await page.keyboard.press("End");
    await page.waitForFunction(() => (document.querySelector(".card-body")?.scrollTop ?? 0) > 100);
    const reached = [];
    for (let n = 0; n < 8; n++) {
      await page.keyboard.press("Tab");
      reached.push(await page.evaluate(() => document.activeElement?.id || document.activeElement?.textContent?.trim()));
    }
    for (const id of ["Raw bytes", "reason", "deny", "approve"]) assert.ok(reached.includes(id), `${id} in ${reached}`);
    const ring = await page.locator("#deny").evaluate((button) => {
      button.focus();
      return getComputedStyle(button).boxShadow;
    });
    assert.notEqual(ring, "none");
  }));

test("narrow: the list folds to faces and opens whole", () =>
  scene("inbox/sql", async (page) => {
    assert.equal((await page.locator(".pane").boundingBox())?.width, 60);
    await page.getByRole("button", { name: "Show the list" }).click();
    assert.equal((await page.locator(".pane").boundingBox())?.width, 272);
    await page.locator(".row[data-txn=txn-http]").click();
    await page.locator(".sheet[data-txn=txn-http]").waitFor();
    assert.equal((await page.locator(".pane").boundingBox())?.width, 60);
  }, { viewport: { width: 800, height: 600 } }));

test("twice the text: the sheet scrolls as one, the vote stays, everything can be read", () =>
  scene("inbox/sql", async (page) => {
    const { readAll, armed } = await import("./harness.mjs");
    await readAll(page);
    await armed(page);
    const vote = await page.locator(".vote").boundingBox();
    assert.ok(vote !== null && vote.y + vote.height <= 380.5);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= 590);
  }, { viewport: { width: 590, height: 380 } }));

test("reduced motion: nothing moves", () =>
  scene("inbox/sending", async (page) => {
    const { readAll, armed } = await import("./harness.mjs");
    await readAll(page);
    await armed(page);
    await page.locator("#approve").click();
    assert.equal(await page.locator(".busy").evaluate((busy) => getComputedStyle(busy).animationName), "none");
  }, { reducedMotion: "reduce" }));

test("a long queue and a long text stay quick", () =>
  scene("inbox/hostile", async (page) => {
    const took = await page.evaluate(async () => {
      const began = performance.now();
      document.querySelector(".row[data-txn=txn-sql]").click();
      while (document.querySelector(".sheet[data-txn=txn-sql]") === null) await new Promise(requestAnimationFrame);
      document.querySelector(".row[data-txn=txn-hostile]").click();
      while (document.querySelector(".sheet[data-txn=txn-hostile] .long") === null) await new Promise(requestAnimationFrame);
      return performance.now() - began;
    });
    console.log(`two cards, one of 1,118 lines: ${Math.round(took)} ms`);
    // Blocks that nobody came near are not there.
    assert.ok((await page.locator(".xl").count()) <= 600);
  }));

test("sixty thousand lines open as fast as sixty, and a blank is never taken for read", () =>
  scene("inbox/sql", async (page) => {
    await page.evaluate(() =>
      globalThis.played.changeCard("txn-sql", (card) => {
        card.display_digest = "long";
        card.exhibit.lines = Array.from({ length: 60_000 }, (_, n) => ({ indent: 0, spans: [{ role: "punctuation", text: `${n + 1}  ` }, { role: "data", text: "x" }] }));
      }),
    );
    // The beginning counts from the frame in which it was on screen.
    await page.waitForFunction(() => document.querySelectorAll(".long .seen i").length === 1);
    assert.ok((await page.locator(".xl").count()) <= 600);
    await page.locator("[data-scroller]").evaluate((text) => text.scrollTo(0, text.scrollHeight));
    await page.locator(".xl", { hasText: "60000" }).waitFor();
    await page.waitForFunction(() => document.querySelectorAll(".long .seen i").length === 2);
    assert.match(await page.locator("#say").innerText(), /\d\d % of the operation has not been on screen yet/);
    assert.match(await page.locator(".long-bar").innerText(), /60,000 lines\. Nothing is left out\. You have seen 0 %/);
  }));

test("a storm is one row and one sheet; all are denied together, each is opened on its own", () =>
  scene("inbox/storm", async (page) => {
    assert.equal(await page.locator(".row[data-storm]").count(), 1);
    assert.match(await page.locator(".row[data-storm]").innerText(), /37 like requests/);
    await page.locator(".row[data-storm]").click();
    assert.equal(await page.locator(".alike tbody tr").count(), 37);
    assert.equal(await page.locator("#approve").count(), 0);
    await page.locator(".alike .link").nth(3).click();
    await page.locator(".sheet[data-txn=txn-storm-3]").waitFor();
    await page.locator(".row[data-storm]").click();
    await page.locator("#reason").fill("Not during the freeze.");
    // A second click at the same place undoes, it does not deny.
    await page.locator("#deny-all").dblclick();
    assert.deepEqual(await calls(page, "vote"), []);
    await page.locator("#deny-all").click();
    await page.locator("#deny-all-now").click();
    await page.getByText("You denied 37 requests. Nothing ran.").waitFor();
    const votes = await calls(page, "vote");
    assert.equal(votes.length, 37);
    assert.ok(votes.every((vote) => vote.choice === "deny" && vote.reason === "Not during the freeze." && vote.display_digest === vote.txn));
  }));

test("several accounts in one inbox: each row says whose it is, each leaves by itself", () =>
  scene("inbox/accounts", async (page) => {
    assert.deepEqual(await page.locator(".row[data-txn=txn-http] .whose").allInnerTexts(), ["approvals.partner.example.net"]);
    await tab(page, "History");
    await page.getByRole("button", { name: "approvals.partner.example.net" }).click();
    await page.waitForFunction(() => globalThis.played.calls.filter((call) => call.call === "history").at(-1).account === "elin-2");
    await tab(page, "Settings");
    await page.getByRole("navigation", { name: "Settings" }).getByRole("button", { name: "Account and server" }).click();
    await page.locator("[data-act=sign-out]").nth(1).click();
    await page.locator("[data-act=sign-out-now]").click();
    await page.waitForFunction(() => document.querySelectorAll("[data-act=sign-out]").length === 1);
    assert.deepEqual(await calls(page, "sign_out"), [{ call: "sign_out", account: "elin-2" }]);
    await page.locator("#add-account").click();
    await page.getByRole("heading", { name: "Another account" }).waitFor();
    await page.getByRole("button", { name: "Back to the inbox" }).click();
    await tab(page, "Inbox");
    assert.equal(await page.locator(".row[data-txn=txn-http] .whose").count(), 0);
  }));

test("one session that has ended is told, and the others go on", () =>
  scene("inbox/account-out", async (page) => {
    assert.match(await page.getByRole("alert").innerText(), /The session of Elin Varga has ended \(approvals\.partner\.example\.net\)/);
    assert.match(await page.locator("#say").innerText(), /Your session has ended/);
    await page.locator(".row[data-txn=txn-sql]").click();
    await page.locator("#say", { hasText: "Read to the end first" }).waitFor();
  }));

test("keys: pages, parts, the next request, text size, and a sheet that tells them", () =>
  scene("inbox/sql", async (page) => {
    await page.keyboard.press("F1");
    await page.getByRole("heading", { name: "Keyboard" }).waitFor();
    await page.keyboard.press("Alt+n");
    await page.keyboard.press("Escape");
    await page.locator("dialog").waitFor({ state: "detached" });
    assert.equal(await page.locator(".sheet").getAttribute("data-txn"), "txn-sql");
    await page.keyboard.press("Alt+n");
    await page.locator(".sheet[data-txn=txn-tool]").waitFor();
    await page.keyboard.press("Alt+u");
    await page.waitForFunction(() => document.querySelector(".card-body").scrollTop > 0);
    await page.keyboard.press("F6");
    await page.waitForFunction(() => document.activeElement.closest(".vote") !== null);
    await page.keyboard.press("Shift+F6");
    await page.keyboard.press("Shift+F6");
    await page.waitForFunction(() => document.activeElement.matches("[data-row]"));
    await page.keyboard.press("Control+3");
    await page.getByRole("heading", { name: "General" }).waitFor();
    await page.keyboard.press("Control+=");
    await page.waitForFunction(() => globalThis.played.calls.filter((call) => call.call === "set_prefs").at(-1)?.prefs.text_size === 125);
    await page.getByRole("radio", { name: "125 %" }).and(page.locator(":checked")).waitFor();
    await page.keyboard.press("Control+f");
    await page.waitForFunction(() => document.activeElement.matches(".search input"));
    assert.deepEqual(await calls(page, "vote"), []);
  }));

test("the language changes while the window is open, everywhere at once", () =>
  scene("settings", async (page) => {
    await tab(page, "Settings");
    await page.getByRole("radio", { name: "Deutsch" }).check();
    await page.getByRole("heading", { name: "Allgemein" }).waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.lang), "de");
    assert.deepEqual(await page.locator(".tab span:first-child").allInnerTexts(), ["Eingang", "Verlauf", "Einstellungen"]);
    await page.getByRole("button", { name: "Eingang" }).click();
    await page.getByText("Erst zu Ende lesen.").waitFor();
    await page.getByRole("button", { name: "Verlauf" }).click();
    assert.equal(await page.locator("h2.group").first().innerText(), "Heute");
    await page.getByRole("button", { name: "Einstellungen" }).click();
    await page.getByRole("radio", { name: "English" }).check();
    await page.getByRole("heading", { name: "General" }).waitFor();
  }));

test("a hundred thousand past requests: few are drawn, no element is tall, the last is reached by bar, key and wheel", () =>
  scene("history/long", async (page) => {
    await tab(page, "History");
    await page.locator(".hrow").first().waitFor();
    const last = page.locator(".hrow", { hasText: "Entry 99999" });
    const list = page.locator(".long-list");
    const few = async () => assert.ok((await page.locator(".hrow").count()) < 60, `${await page.locator(".hrow").count()} rows are drawn`);
    await few();
    const tallest = await page.evaluate(() => Math.max(...[...document.querySelectorAll("*")].map((element) => element.scrollHeight)));
    assert.ok(tallest <= 1_000_100, `${tallest} px`);
    // By the bar.
    await list.evaluate((element) => element.scrollTo(0, element.scrollHeight));
    await last.waitFor();
    const inside = () => page.evaluate(() => {
      const [list, row] = [document.querySelector(".long-list").getBoundingClientRect(), [...document.querySelectorAll(".hrow")].find((each) => each.innerText.includes("Entry 99999")).getBoundingClientRect()];
      return row.top >= list.top - 1 && row.bottom <= list.bottom + 1;
    });
    assert.equal(await inside(), true);
    await list.evaluate((element) => element.scrollTo(0, 0));
    await page.locator(".hrow", { hasText: /Entry 0$|Entry 0\s/ }).first().waitFor();
    // By keys: from row to row, and to the end.
    await page.locator(".hrow").first().focus();
    for (let n = 0; n < 30; n++) await page.keyboard.press("ArrowDown");
    await page.waitForFunction(() => document.activeElement.getAttribute("data-txn") === "old-30");
    await page.keyboard.press("End");
    await page.waitForFunction(() => document.activeElement.getAttribute("data-txn") === "old-99999");
    assert.equal(await inside(), true);
    await page.keyboard.press("PageUp");
    await page.waitForFunction(() => Number(document.activeElement.getAttribute("data-txn").slice(4)) < 99_995);
    await few();
    // By the wheel: as far as it says, not as far as the bar would make of it.
    await page.keyboard.press("Home");
    await page.waitForFunction(() => document.activeElement.getAttribute("data-txn") === "old-0");
    await list.hover();
    await page.mouse.wheel(0, 490);
    await page.waitForFunction(() => [...document.querySelectorAll(".hrow")].filter((row) => row.getBoundingClientRect().top >= document.querySelector(".long-list").getBoundingClientRect().top).at(0).innerText.match(/Entry (9|10|11)\b/));
    await page.keyboard.press("End");
    await page.mouse.wheel(0, -49);
    await page.mouse.wheel(0, 500);
    await page.waitForFunction(() => [...document.querySelectorAll(".hrow")].some((row) => row.innerText.includes("Entry 99999")));
    assert.equal(await inside(), true);
  }));

test("security keys are listed where there is a way to one, and added by a sign-in", () =>
  scene("settings/keys", async (page) => {
    await tab(page, "Settings");
    await page.getByRole("navigation", { name: "Settings" }).getByRole("button", { name: "Devices and keys" }).click();
    await page.getByText("Blue key on the ring").waitFor();
    await page.locator("[data-act=add-key]").click();
    await page.getByRole("heading", { name: "Go on in your browser" }).waitFor();
    assert.deepEqual(await calls(page, "add_security_key"), [{ call: "add_security_key", account: "elin" }]);
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("heading", { name: "Devices and keys" }).waitFor();
  }));
