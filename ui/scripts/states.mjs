// Every page and state that is drawn to be looked at: its name, the recorded scene, and what is done there first. The
// steps run inside the page, so that they are the same in each engine.

/** What a step has in its hands, inside the page. */
export const hands = () => {
  const until = (ready, what) =>
    new Promise((done, fail) => {
      const began = performance.now();
      const look = () => {
        const found = ready();
        if (found) return done(found);
        if (performance.now() - began > 60_000) return fail(new Error(`waited in vain for ${what ?? ready}`));
        setTimeout(look, 30);
      };
      look();
    });
  const find = (selector) => until(() => document.querySelector(selector), selector);
  const ui = {
    until,
    find,
    click: async (selector) => (await find(selector)).click(),
    type: async (selector, text) => {
      const field = await find(selector);
      field.value = text;
      field.dispatchEvent(new Event("input", { bubbles: true }));
    },
    /** Reads the card to its end, screen by screen. */
    read: async () => {
      (await find(".card-body")).scrollTo(0, 0);
      for (let n = 0; n < 400; n++) {
        await new Promise((done) => setTimeout(done, 60));
        const link = document.querySelector("[data-unseen]");
        if (link === null) break;
        link.click();
      }
      ui.end();
    },
    armed: async () => {
      await ui.read();
      await find('#approve[aria-disabled="false"]');
    },
    /** The end of the card; `toTheEnd` says it again once the foot has its last height. */
    end: () => {
      globalThis.toTheEnd = () => document.querySelectorAll(".card-body, article.sheet").forEach((scroller) => scroller.scrollTo(0, 1e6));
      globalThis.toTheEnd();
    },
    tab: async (n) => {
      const list = document.querySelector(".only-narrow");
      if (list !== null && getComputedStyle(list).display !== "none") list.click();
      await ui.click(`.tab:nth-of-type(${n})`);
    },
    settings: async (n) => {
      await ui.tab(3);
      await ui.click(`.nav button:nth-of-type(${n})`);
    },
    history: async () => {
      await ui.tab(2);
      await find(".hrow[data-txn]");
    },
    past: async (txn = "past-2") => {
      await ui.history();
      await ui.click(`.hrow[data-txn="${txn}"]`);
      await find("#verify");
    },
    verify: async () => {
      await ui.past();
      await ui.click("#verify");
      await find(".steps");
    },
    figures: async () => {
      await ui.history();
      await ui.click(".filter[aria-pressed]");
      await ui.click("#filter-time");
      await ui.click(".panel .opt:nth-of-type(4) input");
      document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
      await ui.click("#figures");
      await find(".plots");
      await until(() => document.querySelector(".counts .n").textContent.includes(" "));
    },
  };
  return ui;
};

const settings = (n) => [`(ui) => ui.settings(${n})`];
const step = (act) => [act.toString()];

/** [name, scene, steps]. */
export const states = [
  ["first-server", "first"],
  ["first-provider", "first", step((ui) => ui.click(".go button"))],
  ["first-wrong", "first", step(async (ui) => {
    await ui.type("#server", "nowhere");
    await ui.click(".go button");
    await ui.find(".field.wrong");
  })],
  ["first-waiting", "first/waiting"],
  ["first-binding", "first/binding"],
  ["first-failed", "first/failed"],
  ["first-keyring", "first/keyring"],
  ["first-ready", "first/waiting", step(async (ui) => {
    await ui.find("#app > *");
    globalThis.played.signIn();
    await ui.until(() => document.querySelectorAll(".checks li").length > 2);
  })],
  ["inbox-sql-locked", "inbox/sql"],
  ["inbox-sql-ready", "inbox/sql", step((ui) => ui.armed())],
  ["inbox-hold", "inbox/hold", step((ui) => ui.armed())],
  ["inbox-let-go", "inbox/hold", step(async (ui) => {
    await ui.armed();
    const button = await ui.find("#approve");
    for (const type of ["pointerdown", "pointerup"]) button.dispatchEvent(new PointerEvent(type, { isPrimary: true, bubbles: true }));
    await ui.until(() => document.querySelector("#say").textContent.includes("You let go"));
  })],
  ["inbox-http", "inbox/http"],
  ["inbox-http-reason", "inbox/http", step((ui) => ui.read())],
  ["inbox-orders", "inbox/orders"],
  ["inbox-tool-words", "inbox/tool", step((ui) => ui.read())],
  ["inbox-wrong-words", "inbox/wrong-words", step(async (ui) => {
    await ui.read();
    await ui.type("#word-1", "amber");
    await ui.type("#word-2", "north");
    await ui.find('#approve[aria-disabled="false"]');
    await ui.click("#approve");
    await ui.find("#say b");
  })],
  ["inbox-hostile", "inbox/hostile"],
  ["inbox-rtl", "inbox/rtl"],
  ["inbox-rtl-end", "inbox/rtl", step((ui) => ui.read())],
  ["inbox-han", "inbox/han"],
  ["inbox-ci", "inbox/ci"],
  ["inbox-query", "inbox/query"],
  ["inbox-long", "inbox/long"],
  ["inbox-voted", "inbox/voted", step((ui) => ui.read())],
  ["inbox-own", "inbox/own", step((ui) => ui.read())],
  ["inbox-approved", "inbox/approved", step(async (ui) => {
    await ui.find(".card-body");
    ui.end();
  })],
  ["inbox-approved-unused", "inbox/approved-unused", step(async (ui) => {
    await ui.find(".card-body");
    ui.end();
  })],
  ["inbox-denied", "inbox/denied", step(async (ui) => {
    await ui.find(".card-body");
    ui.end();
  })],
  ["inbox-elsewhere", "inbox/elsewhere", step(async (ui) => {
    await ui.find(".card-body");
    ui.end();
  })],
  ["inbox-expired", "inbox/expired"],
  ["inbox-failed", "inbox/failed", step(async (ui) => {
    await ui.armed();
    await ui.type("#reason", "Checked the list with billing.");
    await ui.click("#approve");
    await ui.find("#say b");
  })],
  ["inbox-sending", "inbox/sending", step(async (ui) => {
    await ui.armed();
    await ui.click("#approve");
    await ui.find("#approve .busy, .vote .busy");
  })],
  ["inbox-stages", "inbox/stages", step((ui) => ui.read())],
  ["inbox-confirm-own", "inbox/confirm-own", step((ui) => ui.armed())],
  ["inbox-chain", "inbox/chain"],
  ["inbox-away", "inbox/away", step((ui) => ui.read())],
  ["inbox-muted", "inbox/muted", step((ui) => ui.read())],
  ["step-up-ready", "inbox/step-up", step((ui) => ui.armed())],
  ["step-up-waiting", "inbox/step-up-waiting"],
  ["step-up-touch", "inbox/step-up-touch"],
  ["step-up-pin", "inbox/step-up-pin"],
  ["step-up-plug", "inbox/step-up-plug"],
  ["step-up-declined", "inbox/step-up-declined"],
  ["step-up-down", "inbox/step-up-down"],
  ["step-up-over", "inbox/step-up-over"],
  ["inbox-many", "inbox/many"],
  ["inbox-storm", "inbox/storm", step((ui) => ui.click(".row[data-storm]"))],
  ["inbox-accounts", "inbox/accounts"],
  ["inbox-account-out", "inbox/account-out"],
  ["inbox-empty", "inbox/empty"],
  ["inbox-offline", "inbox/sql", step(async (ui) => {
    await ui.find("#say");
    globalThis.played.change((state) => (state.connection = "reconnecting"));
    await ui.find(".strip");
  })],
  ["inbox-no-notifications", "inbox/no-notifications"],
  ["inbox-trouble", "inbox/trouble"],
  ["inbox-paused", "inbox/paused"],
  ["inbox-quiet", "inbox/quiet"],
  ["inbox-i-am-away", "inbox/i-am-away"],
  ["inbox-signed-out", "inbox/signed-out"],
  ["inbox-no-agent", "inbox/no-agent"],
  ["keys", "inbox/sql", step(async (ui) => {
    await ui.find("#say");
    dispatchEvent(new KeyboardEvent("keydown", { key: "F1", bubbles: true }));
    await ui.find("dialog");
  })],
  ["history", "history", step((ui) => ui.history())],
  ["history-detail", "history", step((ui) => ui.past())],
  ["history-search", "history", step(async (ui) => {
    await ui.past();
    await ui.type(".search input", "zebra");
    await ui.find(".aside-note");
  })],
  ["history-verify", "history/passed", step((ui) => ui.verify())],
  ["history-verify-fail", "history/failed", step((ui) => ui.verify())],
  ["history-verify-unproven", "history", step((ui) => ui.verify())],
  ["history-middle", "history/long", step(async (ui) => {
    await ui.history();
    const list = await ui.find(".long-list");
    list.scrollTo(0, list.scrollHeight / 2);
    await ui.until(() => [...document.querySelectorAll(".hrow[data-txn]")].some((row) => Number(row.dataset.txn.slice(4)) > 400_000) && document.querySelector(".unread") === null);
  })],
  ["history-end", "history/long", step(async (ui) => {
    await ui.history();
    const list = await ui.find(".long-list");
    list.scrollTo(0, list.scrollHeight);
    await ui.find('.hrow[data-txn="old-999999"]');
  })],
  ["history-filling", "history/filling", step((ui) => ui.past("old-2"))],
  ["history-offline", "history/offline", step((ui) => ui.past("old-2"))],
  ["history-outcome", "history/long", step(async (ui) => {
    await ui.history();
    await ui.click("#filter-outcome");
    await ui.click(".panel .opt:nth-of-type(2) input");
    await ui.until(() => document.querySelector(".counts .n").textContent.includes(" "));
  })],
  ["history-person", "history/accounts", step(async (ui) => {
    await ui.history();
    await ui.click("#filter-person");
    await ui.type(".panel input", "r");
    await ui.until(() => document.querySelectorAll(".person-choice").length === 3);
  })],
  ["history-time", "history/long", step(async (ui) => {
    await ui.history();
    await ui.click("#filter-time");
    await ui.type(".range label:first-child input", "2026-02-30");
    await ui.find(".field.wrong");
  })],
  ["history-export", "history/long", step(async (ui) => {
    await ui.history();
    await ui.click("#export-history");
    await ui.click(".panel.up .btn");
    await ui.find(".wrote");
  })],
  ["history-figures", "history/filling", step((ui) => ui.figures())],
  ["history-tables", "history/filling", step(async (ui) => {
    await ui.figures();
    for (const button of document.querySelectorAll(".plot .link")) button.click();
    await ui.until(() => document.querySelectorAll(".plot-table").length === 3);
  })],
  ["settings-general", "settings", settings(1)],
  ["settings-notifications", "settings/full", settings(2)],
  ["settings-notifications-held", "settings/held", settings(2)],
  ["settings-notifications-missing", "settings/trouble", settings(2)],
  ["settings-absence", "settings/full", settings(3)],
  ["settings-accounts", "inbox/accounts", settings(4)],
  ["settings-devices", "settings/keys", settings(5)],
  ["settings-about", "settings/full", settings(6)],
  ["settings-add-key", "settings/add-key"],
];

/** The step as a script for any engine; yields a promise. */
export const script = (act) => `(async () => { const ui = (${hands})(); await ui.find("#app > *"); ${act === undefined ? "" : `await (${act})(ui);`} })()`;
