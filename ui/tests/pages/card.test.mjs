// The rules of deciding, in the real browser.
import assert from "node:assert/strict";
import { test } from "node:test";
import { armed, calls, disabled, readAll, say, settled, window } from "./harness.mjs";

const { scene } = window();

test("Approve is not available before everything was on screen, and says what is missing", () =>
  scene("inbox/sql", async (page) => {
    await page.locator("#say", { hasText: /Read to the end first\. Not on screen yet: .*Record/ }).waitFor();
    assert.equal(await disabled(page, "#approve"), true);
    assert.equal(await disabled(page, "#deny"), false);
    await page.locator("#approve").click({ force: true });
    assert.deepEqual(await calls(page, "vote"), []);
    await readAll(page);
    await armed(page);
    assert.match(await say(page), /You have seen all of it/);
  }));

test("read by the keyboard, the focus goes on with the last of what was left, and one press too many decides nothing", () =>
  scene("inbox/sql", async (page) => {
    await page.locator("[data-unseen]").focus();
    for (let step = 0; step < 40 && (await page.locator("[data-unseen]").count()) > 0; step++) {
      await page.keyboard.press("Enter");
      await settled(page);
    }
    assert.equal(await page.locator("[data-unseen]").count(), 0);
    assert.equal(await page.evaluate(() => document.activeElement.id), "reason");
    await page.keyboard.press("Enter");
    await settled(page);
    assert.deepEqual(await calls(page, "vote"), []);
  }));

test("jumping to the end of a long text is not reading it", () =>
  scene("inbox/hostile", async (page) => {
    // The beginning counts from the frame in which it was on screen: a jump before that leaves only the end.
    await page.waitForFunction(() => document.querySelectorAll(".long .seen i").length === 1);
    await page.locator("[data-scroller]").evaluate((text) => text.scrollTo(0, text.scrollHeight));
    // So does the end: the card's own jump takes it out of sight, before any frame where the machine is slow.
    await page.waitForFunction(() => document.querySelectorAll(".long .seen i").length === 2);
    await page.locator(".card-body").evaluate((body) => body.scrollTo(0, body.scrollHeight));
    await settled(page);
    assert.match(await say(page), /9\d % of the operation has not been on screen yet/);
    assert.equal(await disabled(page, "#approve"), true);
    await page.locator("#say .link").click();
    await page.waitForFunction(() => {
      const top = document.querySelector("[data-scroller]")?.scrollTop ?? 0;
      return top > 0 && top < 1000;
    });
  }));

test("at full height a long text is read by scrolling the card", () =>
  scene("inbox/hostile", async (page) => {
    await page.getByRole("button", { name: "Show at full height" }).click();
    await readAll(page);
    await armed(page);
    assert.match(await page.locator(".long-bar").innerText(), /You have seen 100 %/);
  }));

test("approving signs what was shown, once, and the outcome takes the footer's place", () =>
  scene("inbox/sql", async (page) => {
    await readAll(page);
    await armed(page);
    await page.locator("#reason").fill("Checked the list.");
    await page.locator("#approve").dblclick();
    await page.locator(".result h3", { hasText: "You approved at" }).waitFor();
    const votes = await calls(page, "vote");
    assert.deepEqual(votes, [{ call: "vote", txn: "txn-sql", choice: "approve", reason: "Checked the list.", words: null, display_digest: "d-sql" }]);
    assert.equal(await page.locator(".sheet.closed").count(), 1);
    assert.equal(await page.locator("#approve").count(), 0);
  }));

test("until it has run, a deny may take the place of one's own approval", () =>
  scene("inbox/voted", async (page) => {
    await page.locator("#take-back").dblclick();
    await page.locator("#say", { hasText: "takes the place of your approval" }).waitFor();
    assert.deepEqual(await calls(page, "vote"), []);
    await page.getByRole("button", { name: "Keep my approval" }).click();
    await page.locator("#take-back").click();
    await page.locator("#reason").fill("Two are on legal hold.");
    await page.locator("#deny").click();
    await page.locator(".result h3", { hasText: "You denied at" }).waitFor();
    assert.deepEqual((await calls(page, "vote")).map((call) => [call.choice, call.reason]), [["deny", "Two are on legal hold."]]);
  }));

test("a lost answer is not called a lost vote", () =>
  scene("inbox/failed", async (page) => {
    await readAll(page);
    await armed(page);
    await page.locator("#approve").click();
    await page.locator("#say", { hasText: "It is not known whether your vote was counted" }).waitFor();
    assert.equal(await page.locator("#approve").innerText(), "Send again");
  }));

test("Approve arms only after the card was in front for a moment", () =>
  scene("inbox/short", async (page) => {
    // Without a person looking there is no moment.
    await page.evaluate(() => {
      document.hasFocus = () => false;
      globalThis.dispatchEvent(new Event("blur"));
    });
    await readAll(page);
    await page.locator("#say", { hasText: "in the background" }).waitFor();
    assert.equal(await disabled(page, "#approve"), true);
    const waited = await page.evaluate(
      () =>
        new Promise((done) => {
          const began = performance.now();
          document.hasFocus = () => true;
          globalThis.dispatchEvent(new Event("focus"));
          new MutationObserver((_, observer) => {
            if (document.querySelector('#approve[aria-disabled="false"]') === null) return;
            observer.disconnect();
            done(performance.now() - began);
          }).observe(document.body, { subtree: true, attributes: true });
        }),
    );
    assert.ok(waited >= 700, `armed after ${waited} ms`);
  }));

test("other bytes start over: nothing is read, nothing is armed", () =>
  scene("inbox/sql", async (page) => {
    await readAll(page);
    await armed(page);
    await page.locator("#reason").fill("Checked.");
    await page.evaluate(() => globalThis.played.changeCard("txn-sql", (card) => (card.display_digest = "d-other")));
    await page.locator("#say", { hasText: "Read to the end first" }).waitFor();
    assert.equal(await disabled(page, "#approve"), true);
    assert.equal(await page.locator("#reason").inputValue(), "");
    assert.equal(await page.locator(".card-body").evaluate((body) => body.scrollTop), 0);
  }));

test("another's vote changes the card and keeps what was read", () =>
  scene("inbox/sql", async (page) => {
    await readAll(page);
    await armed(page);
    await page.locator("#reason").fill("Checked.");
    await page.evaluate(() => globalThis.played.changeCard("txn-sql", (card) => (card.row.needed = 3)));
    await page.locator(".tally", { hasText: "1 of 3" }).waitFor();
    assert.equal(await page.locator("#reason").inputValue(), "Checked.");
    assert.equal(await disabled(page, "#approve"), false);
  }));

test("Enter never approves, a held key is ignored, Space does", () =>
  scene("inbox/sql", async (page) => {
    await readAll(page);
    await armed(page);
    await page.locator("#reason").press("Enter");
    await page.locator("#approve").focus();
    await page.keyboard.press("Enter");
    await page.keyboard.down("Enter");
    await page.keyboard.down("Enter");
    await page.keyboard.up("Enter");
    assert.deepEqual(await calls(page, "vote"), []);
    // A Space that began elsewhere is not for this button.
    await page.locator("#reason").focus();
    await page.keyboard.down("Space");
    await page.locator("#approve").focus();
    await page.keyboard.down("Space");
    await page.keyboard.up("Space");
    assert.deepEqual(await calls(page, "vote"), []);
    await page.keyboard.press("Space");
    await page.locator(".result").waitFor();
    assert.equal((await calls(page, "vote")).length, 1);
  }));

/** Presses Approve by events of one moment, so that no slow machine holds it: `[type, key]`, or what is done between. */
const press = (page, ...events) =>
  page.locator("#approve").evaluate((button, events) => {
    for (const [type, key] of events) {
      if (type === "offline") globalThis.played.change((state) => (state.connection = "reconnecting"));
      else if (type === "elsewhere") document.querySelector("#reason").focus();
      else if (key !== undefined) button.dispatchEvent(new KeyboardEvent(type, { key, bubbles: true, cancelable: true }));
      // What assistive technology does: a click that nothing went before.
      else if (type === "press") button.click();
      else button.dispatchEvent(type === "click" ? new MouseEvent(type, { bubbles: true, detail: 1 }) : new PointerEvent(type, { isPrimary: true, bubbles: true }));
    }
  }, events);
/** Everything that the line above the buttons says from now on. */
const listen = (page) =>
  page.evaluate(() => {
    globalThis.heard = [];
    const say = document.querySelector("#say");
    new MutationObserver(() => globalThis.heard.push(say.textContent.trim())).observe(say, { subtree: true, childList: true, characterData: true });
  });

test("that an approval cannot be taken back is said before it is cast, whatever casting it takes", async () => {
  for (const name of ["inbox/http", "inbox/sql", "inbox/hold", "inbox/tool", "inbox/step-up", "inbox/step-up-key", "inbox/confirm-own"]) {
    await scene(name, async (page) => {
      await readAll(page);
      if (name === "inbox/http") await page.locator("#reason").fill("Contract ended.");
      if (name === "inbox/tool") await page.locator("#word-1").fill("amber north");
      await armed(page);
      assert.match(await say(page), /cannot be taken back\./, name);
    });
  }
});

test("where the policy wants it held, a click approves nothing; held by the pointer to the end, it does", () =>
  scene("inbox/hold", async (page) => {
    await readAll(page);
    await armed(page);
    assert.equal(await page.locator("#approve").innerText(), "Hold to approve");
    await press(page, ["click"]);
    await page.locator("#say", { hasText: "You have seen all of it" }).waitFor();
    for (const ended of ["pointerup", "pointerleave", "pointercancel"]) {
      await press(page, ["pointerdown"], [ended], ["click"]);
      await page.locator("#say", { hasText: "You let go too early, so nothing happened." }).waitFor();
    }
    assert.deepEqual(await calls(page, "vote"), []);
    await listen(page);
    await page.locator("#approve").hover();
    await page.mouse.down();
    await page.locator(".result h3", { hasText: "You approved at" }).waitFor();
    await page.mouse.up();
    assert.equal((await calls(page, "vote")).length, 1);
    assert.ok((await page.evaluate(() => globalThis.heard)).some((said) => said.includes("Keep holding. Let go and nothing happens.")));
    // What has taken its place was not pressed.
    assert.equal(await page.locator(".sheet").getAttribute("data-txn"), "txn-sql");
  }));

test("where the policy wants it held, Space is held, and Enter is still nothing", () =>
  scene("inbox/hold", async (page) => {
    await readAll(page);
    await armed(page);
    await page.locator("#approve").focus();
    await page.keyboard.press("Enter");
    for (const ended of [["keyup", " "], ["elsewhere"]]) {
      await press(page, ["keydown", " "], ended);
      await page.locator("#say", { hasText: "You let go too early" }).waitFor();
      await page.locator("#approve").focus();
    }
    assert.deepEqual(await calls(page, "vote"), []);
    await page.keyboard.down("Space");
    await page.keyboard.down("Space");
    await page.locator(".result h3", { hasText: "You approved at" }).waitFor();
    await page.keyboard.up("Space");
    assert.equal((await calls(page, "vote")).length, 1);
  }, { reducedMotion: "reduce" }));

test("where the policy wants it held, a screen reader's own press takes a second one, which is told and comes later", () =>
  scene("inbox/hold", async (page) => {
    await readAll(page);
    // Before Approve is available, a press is none.
    await page.evaluate(() => globalThis.played.change((state) => (state.connection = "reconnecting")));
    await page.locator("#say", { hasText: "You are offline" }).waitFor();
    await press(page, ["press"]);
    await page.evaluate(() => globalThis.played.change((state) => (state.connection = "connected")));
    await armed(page);
    assert.match(await say(page), /You have seen all of it/);
    // Two at once are one.
    await listen(page);
    await press(page, ["press"], ["press"]);
    await page.locator("#say[role=status]", { hasText: "Press once more, and it counts. So far nothing has happened." }).waitFor();
    assert.ok((await page.evaluate(() => globalThis.heard)).some((said) => said.includes("Pressed once, which does nothing by itself.")));
    assert.deepEqual(await calls(page, "vote"), []);
    // What takes Approve away takes the first press with it.
    await press(page, ["offline"]);
    await page.locator("#say", { hasText: "You are offline" }).waitFor();
    await page.evaluate(() => globalThis.played.change((state) => (state.connection = "connected")));
    await page.locator("#say", { hasText: "You have seen all of it" }).waitFor();
    await press(page, ["press"]);
    await page.locator("#say", { hasText: "Press once more" }).waitFor();
    assert.deepEqual(await calls(page, "vote"), []);
    await press(page, ["press"]);
    await page.locator(".result h3", { hasText: "You approved at" }).waitFor();
    assert.equal((await calls(page, "vote")).length, 1);
  }));

test("what is held stops with what makes it available", () =>
  scene("inbox/hold", async (page) => {
    await readAll(page);
    await armed(page);
    await press(page, ["pointerdown"], ["offline"]);
    await page.locator("#say", { hasText: "You are offline" }).waitFor();
    await page.evaluate(() => globalThis.played.change((state) => (state.connection = "connected")));
    // Nothing goes on being held.
    await page.waitForFunction(() => !document.querySelector("#say").textContent.includes("offline"));
    assert.match(await say(page), /You have seen all of it/);
    assert.equal(await page.locator("#approve").innerText(), "Hold to approve");
    assert.deepEqual(await calls(page, "vote"), []);
  }));

test("a press that began before Approve was available is none, however long it lasts", () =>
  scene("inbox/http", async (page) => {
    await readAll(page);
    await page.locator("#say", { hasText: "asks for a reason" }).waitFor();
    await press(page, ["pointerdown"]);
    await page.locator("#reason").fill("Contract ended.");
    await armed(page);
    await press(page, ["pointerup"], ["click"]);
    // By keys as well.
    await page.locator("#reason").fill("");
    await press(page, ["keydown", " "]);
    await page.locator("#reason").fill("Contract ended.");
    await armed(page);
    await press(page, ["keyup", " "], ["click"]);
    assert.deepEqual(await calls(page, "vote"), []);
    await page.locator("#approve").click();
    await page.locator(".result").waitFor();
    assert.equal((await calls(page, "vote")).length, 1);
  }));

test("each time that other bytes come they are looked at anew, though nothing moves", () =>
  scene("inbox/short", async (page) => {
    for (let n = 1; n <= 4; n++) {
      await page.evaluate((digest) => globalThis.played.changeCard("txn-http", (card) => (card.display_digest = digest)), `d-${n}`);
      await page.waitForFunction(() => document.querySelector("#say .link") === null && document.querySelector("#approve").getAttribute("aria-disabled") === "false");
    }
  }, { viewport: { width: 1180, height: 1400 } }));

test("Escape is no decision", () =>
  scene("inbox/sql", async (page) => {
    await readAll(page);
    await armed(page);
    for (const id of ["#approve", "#deny", "#reason", ".card-body"]) await page.locator(id).press("Escape");
    assert.deepEqual(await calls(page, "vote"), []);
    assert.equal(await page.locator(".sheet[data-txn=txn-sql]").count(), 1);
  }));

test("no button is the default one: nothing of the vote has the focus", () =>
  scene("inbox/sql", async (page) => {
    await readAll(page);
    await armed(page);
    assert.equal(await page.evaluate(() => document.activeElement?.closest(".vote") === null), true);
    assert.equal(await page.locator("form").count(), 0);
  }));

test("an arrival moves neither the card, nor the focus, nor what is under the pointer", () =>
  scene("inbox/sql", async (page) => {
    await page.locator("#reason").fill("I am typing");
    const row = page.locator(".row[data-txn=txn-http]");
    await row.hover();
    const before = await row.boundingBox();
    await page.evaluate(() => globalThis.played.change((state) => {
      state.inbox.unshift({ ...state.inbox[0], txn: "new-1" }, { ...state.inbox[1], txn: "new-2" });
    }));
    await page.locator(".arrived", { hasText: "2 new" }).waitFor();
    assert.deepEqual(await row.boundingBox(), before);
    await page.locator("[data-arrivals]", { hasText: "8 requests wait for you" }).waitFor({ state: "attached" });
    assert.equal(await page.evaluate(() => document.activeElement?.id), "reason");
    assert.equal(await page.locator("#reason").inputValue(), "I am typing");
    assert.equal(await page.locator(".sheet").getAttribute("data-txn"), "txn-sql");
    await page.locator("#deny").hover();
    await page.locator(".row[data-txn=new-1]").waitFor();
    assert.equal(await page.locator(".arrived").count(), 0);
  }));

test("a decision elsewhere closes the card in place and says who", () =>
  scene("inbox/sql", async (page) => {
    await page.evaluate(() => {
      globalThis.played.changeCard("txn-sql", (card) => {
        const name = { indent: 0, spans: [{ role: "data", text: "Aino Korhonen" }] };
        Object.assign(card.row, { outcome: "denied", ended_at: card.row.asked_at + 5, ended_by: name });
        card.votes.push({ ...card.votes[0], name, choice: "deny", reason: { indent: 0, spans: [{ role: "data", text: "Legal hold." }] } });
        card.ballot = { ballot: "locked", why: "closed", sentence: "" };
      });
      globalThis.played.change((state) => (state.inbox = state.inbox.filter((row) => row.txn !== "txn-sql")));
    });
    const result = page.locator(".result");
    await result.waitFor();
    assert.match(await result.innerText(), /Aino Korhonen denied this at 14:03:56\. Nothing ran\.\s*“Legal hold\.” Your vote is not needed/);
    assert.equal(await page.locator(".row[data-txn=txn-sql] .left").innerText(), "denied");
    await page.locator("#next").click();
    await page.locator(".sheet[data-txn=txn-tool]").waitFor();
    assert.equal(await page.locator(".row[data-txn=txn-sql]").count(), 0);
  }));

test("time runs, turns amber, is read aloud, and expiry denies", () =>
  scene("inbox/sql", async (page) => {
    assert.equal(await page.locator(".clock b").innerText(), "7:42");
    await page.evaluate(() => globalThis.played.advance(462 - 100));
    await page.locator(".clock.care b", { hasText: "1:40" }).waitFor();
    assert.equal(await page.locator(".card-head [role=status]").textContent(), "2 minutes left, then denied.");
    await page.evaluate(() => globalThis.played.advance(100));
    await page.locator(".result h3", { hasText: "Time ran out at 14:11:39. Nothing ran." }).waitFor();
    assert.equal(await page.locator("#approve").count(), 0);
  }));

test("two words are typed, at once or one by one, and a wrong pair is told", () =>
  scene("inbox/wrong-words", async (page) => {
    await readAll(page);
    await page.locator("#say", { hasText: "Ask Noor for the two words" }).waitFor();
    await page.locator("#word-1").pressSequentially("amber north");
    assert.deepEqual([await page.locator("#word-1").inputValue(), await page.locator("#word-2").inputValue()], ["amber", "north"]);
    await armed(page);
    await page.locator("#approve").click();
    await page.locator("#say", { hasText: "These are not the two words" }).waitFor();
    assert.equal(await page.locator("#word-1").getAttribute("aria-invalid"), "true");
    assert.deepEqual((await calls(page, "vote")).map((call) => call.words), [["amber", "north"]]);
  }));

test("where the policy wants a reason, nothing goes without one", () =>
  scene("inbox/http", async (page) => {
    await readAll(page);
    await page.locator("#say", { hasText: "asks for a reason" }).waitFor();
    assert.deepEqual([await disabled(page, "#approve"), await disabled(page, "#deny")], [true, true]);
    await page.locator("#reason").fill("Contract ended.");
    await armed(page);
    assert.equal(await disabled(page, "#deny"), false);
  }));

test("denying without the reason that is wanted leads to the field", () =>
  scene("inbox/on-deny", async (page) => {
    await page.locator("#deny").click();
    await page.locator("#say", { hasText: "asks for a reason to deny" }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement?.id), "reason");
    assert.deepEqual(await calls(page, "vote"), []);
    await page.locator("#reason").fill("Legal hold.");
    await page.locator("#deny").click();
    await page.locator(".result h3", { hasText: "You denied at" }).waitFor();
  }));

test("Deny stands on the same spot in every state", () =>
  scene("inbox/sql", async (page) => {
    const spot = await page.locator("#deny").boundingBox();
    await readAll(page);
    await armed(page);
    assert.deepEqual(await page.locator("#deny").boundingBox(), spot);
    await page.evaluate(() => globalThis.played.change((state) => (state.connection = "reconnecting")));
    await page.locator("#say", { hasText: "You are offline" }).waitFor();
    assert.deepEqual(await page.locator("#deny").boundingBox(), spot);
  }));

test("offline nothing is voted from stale data", () =>
  scene("inbox/offline", async (page) => {
    await page.locator(".strip", { hasText: "Offline" }).waitFor();
    assert.deepEqual([await disabled(page, "#approve"), await disabled(page, "#deny")], [true, true]);
    await page.locator("#deny").click({ force: true });
    assert.deepEqual(await calls(page, "vote"), []);
  }));

for (const [name, words] of [
  ["inbox/own", /You asked for this yourself/],
  ["inbox/not-eligible", /does not let you vote/],
  ["inbox/not-supported", /cannot do yet/],
]) {
  test(`${name}: locked, and why`, () =>
    scene(name, async (page) => {
      assert.match(await say(page), words);
      assert.deepEqual([await disabled(page, "#approve"), await disabled(page, "#deny")], [true, true]);
    }));
}

test("text from outside is text: no markup, no script, no line of its own moved", () =>
  scene("inbox/hostile", async (page) => {
    assert.match(await page.locator(".code").innerText(), /<img src=x onerror=alert\(1\)>/);
    assert.equal(await page.locator(".sheet img, .sheet script, .sheet bdi b, .sheet bdi a").count(), 0);
    assert.equal(await page.locator(".title .chip").innerText(), "U+202E RLO");
    assert.match(await page.locator(".effect .marked").innerText(), /9 characters hide or look alike/);
    const loose = await page.evaluate(() => [...document.querySelectorAll(".sheet bdi")].filter((bdi) => getComputedStyle(bdi).unicodeBidi !== "isolate").length);
    assert.equal(loose, 0);
  }));

test("a name that runs the other way moves nothing around it", () =>
  scene("inbox/rtl", async (page) => {
    await page.locator(".title").waitFor();
    const boxes = await page.locator(".title > *").evaluateAll((parts) => parts.map((part) => part.getBoundingClientRect().left));
    assert.deepEqual(boxes, [...boxes].sort((a, b) => a - b));
    const keys = await page.locator(".code .r-key").evaluateAll((parts) => parts.map((part) => part.getBoundingClientRect().left));
    assert.equal(new Set(keys.map(Math.round)).size, 1);
    assert.equal(await page.locator(".prose").getAttribute("dir"), "rtl");
  }));

test("on the card nothing is cut: every line is as wide as its place", () =>
  scene("inbox/long", async (page) => {
    await page.locator(".sheet[data-txn=txn-long] .code").waitFor();
    const cut = await page.evaluate(() =>
      [...document.querySelectorAll(".sheet *")].filter((element) => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0 && !["INPUT", "SPAN", "BDI", "B"].includes(element.tagName)).map((element) => element.className),
    );
    assert.deepEqual(cut, []);
    const ellipsis = await page.evaluate(() => [...document.querySelectorAll(".card-head *, .card-body *")].filter((element) => getComputedStyle(element).textOverflow === "ellipsis").length);
    assert.equal(ellipsis, 0);
  }));

test("a fresh sign-in is told before, waited for, stopped, and begun again; nothing is approved meanwhile", () =>
  scene("inbox/step-up", async (page) => {
    await readAll(page);
    await armed(page);
    assert.match(await say(page), /Approve opens your browser: sign in again at Example Login \(login\.example\.com\) and agree to approve:orders\.delete\./);
    assert.match(await page.locator("#approve").innerText(), /Approve and sign in/);
    const spot = await page.locator("#deny").boundingBox();
    await page.locator("#reason").fill("Checked the list.");
    await page.locator("#approve").dblclick();
    await page.locator("#say", { hasText: "Waiting for your sign-in at Example Login (login.example.com). Nothing is approved until it comes back." }).waitFor();
    assert.equal((await calls(page, "vote")).length, 1);
    // The second half of the double click has stopped nothing.
    assert.deepEqual(await calls(page, "cancel_step_up"), []);
    assert.equal(await disabled(page, "#approve"), true);
    assert.equal(await page.locator("#reason").inputValue(), "Checked the list.");
    const stop = await page.locator("#stop").boundingBox();
    assert.deepEqual([stop.x, stop.width], [spot.x, spot.width]);
    assert.match(await page.locator(".tally").innerText(), /1 of 2 approved/);
    await page.locator("#open-again").click();
    assert.deepEqual(await calls(page, "retry_step_up"), [{ call: "retry_step_up", txn: "txn-sql" }]);
    await page.locator("#stop").click();
    await armed(page);
    assert.equal(await page.locator("#reason").inputValue(), "Checked the list.");
  }));

test("what went wrong at the provider is told, and may be tried again or denied on the same spot", () =>
  scene("inbox/step-up-declined", async (page) => {
    assert.match(await say(page), /Nothing was approved\. You did not agree to approve:orders\.delete/);
    await page.locator("#retry").click();
    await page.locator("#say", { hasText: "Waiting for your sign-in" }).waitFor();
    assert.equal((await calls(page, "retry_step_up")).length, 1);
    await page.evaluate(() => globalThis.played.changeCard("txn-sql", (card) => (card.ballot.phase = { phase: "failed", problem: { code: "provider_unreachable", sentence: "It does not answer." }, retry: true })));
    await page.locator("#deny").click();
    await page.locator(".result h3", { hasText: "You denied at" }).waitFor();
    assert.deepEqual((await calls(page, "vote")).map((call) => call.choice), ["deny"]);
  }));

test("a confirmation that cannot be had leads back to the vote", () =>
  scene("inbox/step-up-over", async (page) => {
    await page.locator("#give-up").waitFor();
    assert.equal(await page.locator("#retry").count(), 0);
    await page.locator("#give-up").click();
    await page.locator("#approve").waitFor();
    assert.deepEqual(await calls(page, "cancel_step_up"), [{ call: "cancel_step_up", txn: "txn-sql" }]);
  }));

test("a security key is asked for by name", () =>
  scene("inbox/step-up-key", async (page) => {
    await readAll(page);
    await armed(page);
    assert.match(await say(page), /Approve asks for your security key/);
    await page.locator("#approve").press("Space");
    await page.locator("#say", { hasText: "Touch your security key. Nothing is approved until it answers." }).waitFor();
    // The focus has not fallen out of the card with the button that had it, nor onto what stops it.
    await page.waitForFunction(() => document.activeElement?.classList.contains("card-body"));
  }));

test("until the gate has used it, an approval may be taken back even when it is complete", () =>
  scene("inbox/approved-unused", async (page) => {
    await page.locator("#take-back").click();
    await page.locator("#deny").click();
    await page.locator(".result h3", { hasText: "You denied at" }).waitFor();
  }));

test("who signed in how, on whose behalf, and what is unusual stand with who says so", () =>
  scene("inbox/chain", async (page) => {
    const lineage = await page.locator(".lineage").innerText();
    assert.match(lineage.replace(/\s+/g, " "), /Mara Lindqvist .* planner .* https:\/\/agents\.example\.org Claude Code/);
    const who = await page.locator("[data-unit=who] .vouched").innerText();
    assert.match(who, /All of it vouched for by login\.example\.com, according to gate pg-eu-2/);
    assert.match(who, /13:57:40, 5 minutes before asking, with a password and a hardware key/);
    assert.match(await page.locator("[data-unit=before]").innerText(), /first request of this person at all[\s\S]*According to the server/);
  }));

test("what only the gate says stands apart from what the provider vouches for", () =>
  scene("inbox/http", async (page) => {
    assert.match(await page.locator(".reported").innerText(), /Gate http-eu-1 says so by itself\. No provider vouches for it\.[\s\S]*desk-0417/);
    assert.doesNotMatch(await page.locator(".vouched").innerText(), /desk-0417/);
    assert.match(await page.locator("[data-unit=before]").innerText(), /Aino Korhonen denied the same before: 19 November 2026, 14:03:57\./);
  }));

test("stages are steps: done, voted on now, to come", () =>
  scene("inbox/stages", async (page) => {
    const steps = page.locator(".stages li");
    await steps.first().waitFor();
    assert.deepEqual(await steps.evaluateAll((all) => all.map((step) => [step.className, step.getAttribute("aria-current")])), [["complete", null], ["open", "step"], ["waiting", null]]);
    // Lines are open for the stage that is voted on, not for those to come.
    assert.equal(await page.locator(".sigline.open").count(), 2);
  }));

test("who asked confirms it themselves, and the card says so", () =>
  scene("inbox/confirm-own", async (page) => {
    await readAll(page);
    await armed(page);
    assert.match(await say(page), /You asked for this yourself, and it runs only if you confirm it\. Confirm opens your browser/);
    assert.match(await page.locator("#approve").innerText(), /Confirm and sign in/);
    assert.match(await page.locator("[data-unit=votes]").innerText(), /Only you can confirm it/);
  }));

test("a program is not called a person, and what only people have is not missing", () =>
  scene("inbox/ci", async (page) => {
    const who = await page.locator("[data-unit=who]").innerText();
    assert.match(who, /Vouched for by ci\.example\.com, a workload, not a person, according to gate ci-runner-7/);
    assert.match(who, /Started by\s+Aino Korhonen/);
    assert.doesNotMatch(who, /Not stated by the provider[\s\S]*Not stated by the provider/);
    assert.equal(await page.locator(".row[data-txn=txn-ci] .face.sq").count(), 1);
  }));

test("a requester is muted for an hour, the card says so, and it is undone there", () =>
  scene("inbox/sql", async (page) => {
    await page.locator("[data-act=mute]").click();
    await page.getByText("Notifications of this requester are muted until 15:03.").waitFor();
    assert.deepEqual(await calls(page, "mute"), [{ call: "mute", txn: "txn-sql", secs: 3600 }]);
    // Neither the row nor the vote went away.
    assert.equal(await page.locator(".row[data-txn=txn-sql]").count(), 1);
    assert.equal(await disabled(page, "#deny"), false);
    await page.locator("[data-act=unmute]").click();
    await page.locator("[data-act=mute]").waitFor();
    assert.deepEqual(await calls(page, "unmute"), [{ call: "unmute", id: "mute-txn-sql" }]);
  }));

test("who is away is told on the card, with whom they named and how many others there are", () =>
  scene("inbox/away", async (page) => {
    const votes = page.locator("[data-unit=votes]");
    assert.match(await votes.innerText(), /Aino Korhonen is away until Monday 18:03\. Ines Okafor can vote instead\./);
    assert.match(await votes.innerText(), /Ruben Achterberg is away until Fri 1 Jan, 14:03 and named you\./);
    assert.match(await votes.innerText(), /3 others can vote, as far as the server knows\./);
  }));

test("the PIN of a security key goes to the agent and stays nowhere; a wrong one is told", () =>
  scene("inbox/step-up-pin", async (page) => {
    await page.locator("#say", { hasText: "That was not the PIN. 7 tries left" }).waitFor();
    const field = page.getByLabel("PIN of the security key");
    assert.equal(await field.getAttribute("type"), "password");
    await field.fill("2580");
    await field.press("Enter");
    await page.locator("#say", { hasText: "Touch your security key" }).waitFor();
    assert.deepEqual(await calls(page, "security_key_pin"), [{ call: "security_key_pin", txn: "txn-sql", pin: "2580" }]);
    assert.equal(await page.locator("input[type=password]").count(), 0);
    assert.ok(!(await page.content()).includes("2580"));
  }));
