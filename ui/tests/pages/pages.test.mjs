// First run, settings, what is told when something is not in order, and the keyboard.
import assert from "node:assert/strict";
import { test } from "node:test";
import { calls, settled, window } from "./harness.mjs";

const { scene } = window();
const part = (page, name) => page.getByRole("navigation", { name: "Settings" }).getByRole("button", { name }).click();
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
    await page.getByRole("heading", { name: "Ready, save for one thing" }).waitFor();
    // What has to work is tried out, and each says how it is.
    for (const sentence of ["approvals.example.com answers.", "In the system keyring", "Right to within a second.", "On: no network"]) await page.locator(".checks", { hasText: sentence }).waitFor();
    await page.getByRole("switch", { name: "Start with the desktop" }).click();
    await page.getByText("Off: nothing reaches you until you open the app.").waitFor();
    await page.getByRole("heading", { name: "Not quite ready: 2 things" }).waitFor();
    await page.getByRole("switch", { name: "Start with the desktop", checked: false }).click();
    await page.getByRole("heading", { name: "Ready, save for one thing" }).waitFor();
    await page.getByRole("button", { name: "Send a test" }).click();
    await page.getByRole("button", { name: "I saw it" }).click();
    await page.getByText("You saw the test").waitFor();
    await page.getByRole("heading", { name: "Ready", exact: true }).waitFor();
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

test("keys that cannot be read are not taken for a first run", () =>
  scene("first/keyring", async (page) => {
    await page.getByRole("heading", { name: "The keys of this device cannot be read" }).waitFor();
    await page.getByRole("alert").filter({ hasText: "The keyring has not given this device's keys yet." }).waitFor();
    assert.equal(await page.getByLabel("Server address").count(), 0);
    await page.getByRole("button", { name: "Try again" }).click();
    assert.equal((await calls(page, "try_again")).length, 1);
    await page.getByRole("button", { name: "Sign in anew, with new keys" }).click();
    await page.getByRole("heading", { name: "Which server do you approve for?" }).waitFor();
  }));

test("a sign-in can be stopped, and a failed one tried again", () =>
  scene("first/failed", async (page) => {
    await page.getByText("did not answer within 30 seconds").waitFor();
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("heading", { name: "Which server do you approve for?" }).waitFor();
    assert.equal((await calls(page, "cancel_sign_in")).length, 1);
  }));

test("a link fills in the address and asks nobody", () =>
  scene("first", async (page) => {
    await page.getByLabel("Server address").fill("https://half.typed");
    await page.evaluate(() => globalThis.played.emit({ event: "connect", server: "https://approvals.partner.example.net" }));
    await page.getByText("A link filled this in.").waitFor();
    assert.equal(await page.getByLabel("Server address").inputValue(), "https://approvals.partner.example.net");
    assert.deepEqual(await calls(page, "look_up_server"), []);
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByRole("heading", { name: "Where do you sign in?" }).waitFor();
    assert.deepEqual(await calls(page, "look_up_server"), [{ call: "look_up_server", url: "https://approvals.partner.example.net" }]);
  }));

test("a link, signed in: the page for another account, and a way back", () =>
  scene("inbox/sql", async (page) => {
    await page.evaluate(() => globalThis.played.emit({ event: "connect", server: "https://approvals.partner.example.net" }));
    await page.getByRole("heading", { name: "Another account" }).waitFor();
    assert.equal(await page.getByLabel("Server address").inputValue(), "https://approvals.partner.example.net");
    await page.getByRole("button", { name: "Back to the inbox" }).click();
    await page.locator(".sheet[data-txn=txn-sql]").waitFor();
    assert.deepEqual(await calls(page, "look_up_server"), []);
    // The address was for that one time.
    await page.keyboard.press("Control+3");
    await part(page, "Accounts and servers");
    await page.locator("#add-account").click();
    await page.getByRole("heading", { name: "Another account" }).waitFor();
    assert.equal(await page.getByLabel("Server address").inputValue(), "");
  }));

test("a clicked notification shows its request, though somebody is signing in or adding an account", () =>
  scene("inbox/sql", async (page) => {
    const open = (txn) => page.evaluate((txn) => globalThis.played.emit({ event: "open", txn }), txn);
    const signIn = (state) => page.evaluate((to) => globalThis.played.change((state) => (state.sign_in = to)), state);
    await page.evaluate(() => globalThis.played.emit({ event: "connect", server: "https://approvals.partner.example.net" }));
    await page.getByRole("heading", { name: "Another account" }).waitFor();
    await open("txn-http");
    await page.locator(".sheet[data-txn=txn-http]").waitFor();
    await signIn({ state: "waiting_for_browser", provider_name: "Example Staff", url: "https://login.example.com/authorize" });
    await page.getByRole("heading", { name: "Go on in your browser" }).waitFor();
    await open("txn-sql");
    await page.locator(".sheet[data-txn=txn-sql]").waitFor();
    // It goes on out of sight, and is told when it needs the person.
    await signIn({ state: "binding" });
    await page.locator(".sheet[data-txn=txn-sql]").waitFor();
    await signIn({ state: "failed", problem: { code: "provider_unreachable", sentence: "It did not answer." } });
    await page.getByText("It did not answer.").waitFor();
  }));

test("settings: general", () =>
  scene("settings", async (page) => {
    await tab(page, "Settings");
    await page.getByLabel("Appearance").selectOption("Dark");
    await page.waitForFunction(() => document.documentElement.dataset.theme === "dark");
    await page.getByLabel("Appearance").selectOption("As the system");
    await page.waitForFunction(() => document.documentElement.dataset.theme === undefined);
    for (const name of ["Start with the desktop", "Keep in the tray when closed"]) {
      await page.getByRole("switch", { name, checked: true }).click();
      await page.getByRole("switch", { name, checked: false }).waitFor();
    }
    // An address counts when it is saved.
    await page.getByLabel("Proxy", { exact: true }).selectOption("By address");
    await page.getByLabel("Address of the proxy").fill("http://proxy.example.com:3128");
    assert.equal(await page.evaluate(() => globalThis.played.calls.filter((call) => call.call === "set_prefs").at(-1).prefs.proxy.way), "system");
    await page.getByLabel("Address of the proxy").press("Enter");
    await page.waitForFunction(() => globalThis.played.calls.filter((call) => call.call === "set_prefs").at(-1).prefs.proxy.url === "http://proxy.example.com:3128");
    await page.getByLabel("Proxy", { exact: true }).selectOption("None");
    await page.getByLabel("Address of the proxy").waitFor({ state: "detached" });
    const last = (await calls(page, "set_prefs")).at(-1).prefs;
    assert.deepEqual([last.theme, last.autostart, last.keep_in_tray, last.proxy], ["system", false, false, { way: "direct" }]);
  }));

test("settings: a refused change is told, and what is shown stays what it is", () =>
  scene("settings", async (page) => {
    await tab(page, "Settings");
    await page.evaluate(() => {
      const { backend } = globalThis.played;
      const { call } = backend;
      backend.call = async (asked) => {
        if (asked.call === "set_prefs") throw new Error("no");
        return call(asked);
      };
    });
    await page.getByRole("switch", { name: "Start with the desktop" }).click();
    await page.getByRole("alert").waitFor();
    assert.equal(await page.getByRole("switch", { name: "Start with the desktop" }).getAttribute("aria-checked"), "true");
    await page.getByLabel("Language").selectOption("Deutsch");
    await page.locator(".set", { has: page.locator("#language") }).getByRole("alert").waitFor();
    assert.equal(await page.getByLabel("Language").inputValue(), "en");
  }));

test("settings: notifications reach, remind, keep quiet, sound, pause, and are muted", () =>
  scene("settings/full", async (page) => {
    await tab(page, "Settings");
    await part(page, "Notifications");
    await page.getByText("It can show text, buttons and urgency.").waitFor();
    await page.getByRole("button", { name: "Send again" }).click();
    await page.getByRole("button", { name: "I saw nothing" }).click();
    await page.getByText("You did not see the test").waitFor();
    assert.deepEqual(await calls(page, "test_seen"), [{ call: "test_seen", seen: false }]);
    await page.getByLabel("Remind me before a request expires").selectOption("5 minutes before");
    await page.getByLabel("Quiet hours: from").selectOption("21:30");
    await page.getByLabel("Quiet hours: until").selectOption("06:00");
    await page.getByRole("switch", { name: "Quiet hours" }).click();
    await page.getByRole("switch", { name: "Quiet hours", checked: false }).waitFor();
    await page.getByRole("switch", { name: "Sound" }).click();
    await page.getByRole("switch", { name: "Sound", checked: true }).waitFor();
    const last = (await calls(page, "set_prefs")).at(-1).prefs;
    assert.deepEqual([last.reminder, last.quiet, last.sound], [300, { on: false, from: 21 * 60 + 30, to: 6 * 60 }, true]);
    await page.getByLabel("How long").selectOption("Until I resume");
    await page.locator("#pause-now").click();
    await page.locator(".strip", { hasText: "paused until you resume" }).waitFor();
    await page.locator("#resume-now").click();
    await page.locator("#pause-now").waitFor();
    assert.deepEqual(await calls(page, "pause"), [{ call: "pause", secs: null }]);
    await page.locator(".set[data-mute]", { hasText: "12 requests came silently" }).getByRole("button", { name: "Unmute" }).click();
    await page.getByText("Nobody. A requester is muted on the card").waitFor();
  }));

test("out of office: days and times to choose, what stands in the way, who stands in, and back", () =>
  scene("settings", async (page) => {
    await tab(page, "Settings");
    await part(page, "Out of office");
    const away = page.getByRole("switch", { name: "I am away" });
    await away.click();
    await page.getByText("Not set yet.").waitFor();
    assert.deepEqual(await calls(page, "set_absence"), []);
    await page.getByLabel("From: day").selectOption("Wed 25 Nov");
    await page.getByLabel("From: time").selectOption("09:30");
    // It ends before it begins.
    await page.getByText("That is before it begins.").waitFor();
    assert.equal(await page.locator("[data-act=set-absence]").getAttribute("aria-disabled"), "true");
    await page.locator("[data-act=set-absence]").click({ force: true });
    await page.getByLabel("Until: day").selectOption("Fri 27 Nov");
    await page.getByLabel("Until: time").selectOption("18:00");
    await page.getByLabel("Who stands in").selectOption("Jonas Petersen");
    await page.getByText("Nobody for vault-prod").waitFor();
    assert.match(await page.locator(".quoted").innerText(), /Elin Varga.* is away until Friday 18:00\. .*Jonas Petersen.* can vote instead\./);
    await page.locator("[data-act=set-absence]").click();
    await page.getByText("Set until Friday 18:00.").waitFor();
    assert.deepEqual(await calls(page, "set_absence"), [
      { call: "set_absence", account: "elin", from: Date.UTC(2026, 10, 25, 9, 30) / 1000, until: Date.UTC(2026, 10, 27, 18) / 1000, stand_in: "jonas" },
    ]);
    await away.click();
    await page.getByRole("switch", { name: "I am away", checked: false }).waitFor();
    assert.equal((await calls(page, "end_absence")).length, 1);
  }));

test("devices: a new one is asked about, one is revoked, and a second click at the same place is none", () =>
  scene("settings", async (page) => {
    await tab(page, "Settings");
    await part(page, "Devices and keys");
    const host = page.locator(".set.wide", { hasText: "build-host terminal" });
    await host.getByText("Was this you?").waitFor();
    await host.getByRole("button", { name: "Yes" }).click();
    await host.getByText("Was this you?").waitFor({ state: "detached" });
    assert.deepEqual((await calls(page, "set_prefs")).at(-1).prefs.known_devices, ["uJ2tB8rM1yQ0kVe7nZ4sHwGaP9dLfO6iT3bRqN-UXc5"]);
    const laptop = page.locator(".set.wide", { hasText: "travel-laptop" });
    await laptop.getByRole("button", { name: "No, revoke" }).dblclick();
    // A second click at the same place undoes, it does not revoke.
    await laptop.getByRole("button", { name: "No, revoke" }).waitFor();
    assert.deepEqual(await calls(page, "revoke_device"), []);
    await laptop.getByRole("button", { name: "No, revoke" }).click();
    await laptop.getByRole("button", { name: "Revoke now" }).click();
    await laptop.waitFor({ state: "detached" });
    await part(page, "Accounts and servers");
    await page.locator("[data-act=sign-out]").click();
    await page.locator("[data-act=sign-out-now]").click();
    await page.getByRole("heading", { name: "Which server do you approve for?" }).waitFor();
  }));

test("what could not be read says so, and is read again when asked", () =>
  scene("settings", async (page) => {
    const fail = (wanted) =>
      page.evaluate((wanted) => {
        const { backend } = globalThis.played;
        const { call } = backend;
        backend.call = async (asked) => {
          if (asked.call !== wanted) return call(asked);
          backend.call = call;
          throw new Error("not now");
        };
      }, wanted);
    await fail("devices");
    await tab(page, "Settings");
    await part(page, "Devices and keys");
    await page.locator("[data-act=read-again]").click();
    await page.getByText("travel-laptop").waitFor();
    await fail("history");
    await tab(page, "History");
    await page.locator("#read-again").click();
    await page.locator(".hrow[data-txn=past-2]").waitFor();
    assert.equal(await page.locator("#read-again").count(), 0);
  }));

test("about: versions, what has to work, log level, and diagnostics to read and copy", () =>
  scene("settings/full", async (page) => {
    await tab(page, "Settings");
    await part(page, "About and diagnostics");
    await page.getByText("Version 0.1.0").waitFor();
    await page.getByText("bubblewrap is not installed.").waitFor();
    await page.getByLabel("Log level").selectOption("Everything");
    await page.waitForFunction(() => globalThis.played.calls.filter((call) => call.call === "set_prefs").at(-1)?.prefs.log === "debug");
    await page.locator("[data-act=diagnostics]").click();
    await page.getByRole("region", { name: "Diagnostics" }).getByText("vocabulary 1").waitFor();
    const before = (await calls(page, "checks")).length;
    await page.locator("[data-act=check-again]").click();
    await page.waitForFunction((before) => globalThis.played.calls.filter((call) => call.call === "checks").length > before, before);
  }));

test("quiet because one wants it: told in a plain strip, and ended there", () =>
  scene("inbox/paused", async (page) => {
    const strip = page.locator(".strip.plain");
    assert.match(await strip.innerText(), /Notifications are paused until 15:00\./);
    assert.equal(await page.getByRole("alert").count(), 0);
    await strip.getByRole("button", { name: "Resume" }).click();
    await strip.waitFor({ state: "detached" });
    await page.evaluate(() => globalThis.played.change((state) => (state.quiet_now = { quiet: "quiet_hours", until: 1795417200 })));
    await page.locator(".strip.plain", { hasText: "Quiet hours until" }).waitFor();
    await page.evaluate(() => globalThis.played.change((state) => Object.assign(state.accounts[0], { away: { from: 0, until: 1795417200 } })));
    await page.locator(".strip.plain", { hasText: "You are away until" }).getByRole("button").click();
    await page.getByRole("heading", { name: "Out of office" }).waitFor();
    // What is not in order comes before what is wanted.
    await page.evaluate(() => globalThis.played.change((state) => (state.connection = "reconnecting")));
    await page.getByRole("alert").waitFor();
    assert.equal(await page.locator(".strip").count(), 1);
  }));

test("what is not in order stands on top, one at a time, as long as it is true", () =>
  scene("inbox/no-notifications", async (page) => {
    const strip = page.getByRole("alert");
    assert.match(await strip.innerText(), /Notifications do not work/);
    await page.evaluate(() => globalThis.played.change((state) => (state.connection = "reconnecting")));
    await page.getByText("New requests cannot reach you").waitFor();
    assert.equal(await strip.count(), 1);
    assert.match(await strip.innerText(), /Offline since 14:03\./);
    await page.evaluate(() => globalThis.played.change((state) => Object.assign(state, { connection: "connected", notifications: { state: "working", daemon: "dunst", version: "1.9", can: [], held: false, test: null } })));
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
    await page.locator("#filter-account").click();
    await page.getByRole("radio", { name: "approvals.partner.example.net" }).check();
    await page.waitForFunction(() => globalThis.played.calls.filter((call) => call.call === "history").at(-1)?.query.account === "elin-2");
    await tab(page, "Settings");
    await page.getByRole("navigation", { name: "Settings" }).getByRole("button", { name: "Accounts and servers" }).click();
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
    await settled(page);
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
    await page.waitForFunction(() => document.querySelector("[aria-labelledby=text-size]")?.value === "125");
    await page.keyboard.press("Control+f");
    await page.waitForFunction(() => document.activeElement.matches(".search input"));
    assert.deepEqual(await calls(page, "vote"), []);
  }));

test("the language changes while the window is open, everywhere at once", () =>
  scene("settings", async (page) => {
    await tab(page, "Settings");
    await page.getByLabel("Language").selectOption("Deutsch");
    await page.getByRole("heading", { name: "Allgemein" }).waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.lang), "de");
    assert.deepEqual(await page.locator(".tab span:first-child").allInnerTexts(), ["Eingang", "Verlauf", "Einstellungen"]);
    await page.getByRole("button", { name: "Eingang" }).click();
    await page.getByText("Erst zu Ende lesen.").waitFor();
    await page.getByRole("button", { name: "Verlauf" }).click();
    assert.equal(await page.locator("h2.group").first().innerText(), "Heute");
    await page.getByRole("button", { name: "Einstellungen" }).click();
    await page.getByLabel("Sprache").selectOption("English");
    await page.getByRole("heading", { name: "General" }).waitFor();
  }));

test("security keys are listed where there is a way to one, and added and removed by a sign-in", () =>
  scene("settings/keys", async (page) => {
    await tab(page, "Settings");
    await page.getByRole("navigation", { name: "Settings" }).getByRole("button", { name: "Devices and keys" }).click();
    await page.getByText("Blue key on the ring").waitFor();
    await page.locator("[data-act=add-key]").click();
    await page.getByRole("heading", { name: "Go on in your browser" }).waitFor();
    assert.deepEqual(await calls(page, "add_security_key"), [{ call: "add_security_key", account: "elin" }]);
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("heading", { name: "Devices and keys" }).waitFor();
    const key = page.locator(".set.wide", { hasText: "Blue key on the ring" });
    // A second click at the same place undoes, it does not remove.
    await key.getByRole("button", { name: "Remove", exact: true }).dblclick();
    await key.getByRole("button", { name: "Remove", exact: true }).waitFor();
    assert.deepEqual(await calls(page, "remove_security_key"), []);
    await key.getByRole("button", { name: "Remove", exact: true }).click();
    await key.getByText("A full sign-in in the browser removes it.").waitFor();
    await key.getByRole("button", { name: "Sign in and remove" }).click();
    await page.getByRole("heading", { name: "Go on in your browser" }).waitFor();
    assert.deepEqual(await calls(page, "remove_security_key"), [{ call: "remove_security_key", account: "elin", key: "wQ7rT2uKpVd8sLr4nZgA6iHoXBf3Q9xUu0b1hT7eWqs" }]);
  }));
