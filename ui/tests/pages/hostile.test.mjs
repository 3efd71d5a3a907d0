// Every field that comes from outside, with every attack of a corpus in it: nothing runs, nothing is markup, nothing is
// asked for, and the text is there to be read.
import assert from "node:assert/strict";
import { test } from "node:test";
import { window } from "./harness.mjs";

const { scene } = window();

const RUN = "globalThis.hit=1";
/** By how a browser could be brought to take text for something else. */
const CORPUS = [
  `<script>${RUN}</script>`, `</title><script>${RUN}</script>`, `"><script>${RUN}</script>`, `'><script>${RUN}</script>`, `</script><script>${RUN}</script>`, `<scr<script>ipt>${RUN}</script>`, `<ScRiPt>${RUN}</sCrIpT>`,
  `<img src=x onerror=${RUN}>`, `"><img src=x onerror=${RUN}>`, `<img src="x\` onerror=${RUN}>`, `<image src=x onerror=${RUN}>`, `<svg onload=${RUN}>`, `<svg><script>${RUN}</script></svg>`, `<svg><animate onbegin=${RUN} attributeName=x dur=1s>`,
  `<body onload=${RUN}>`, `<iframe src="javascript:${RUN}"></iframe>`, `<iframe srcdoc="<script>parent.hit=1</script>"></iframe>`, `<object data="javascript:${RUN}"></object>`, `<embed src="javascript:${RUN}">`, `<a href="javascript:${RUN}">x</a>`, `<form action="javascript:${RUN}"><button>x</button></form>`,
  `<details open ontoggle=${RUN}>`, `<video><source onerror=${RUN}></video>`, `<audio src=x onerror=${RUN}>`, `<marquee onstart=${RUN}>`, `<input autofocus onfocus=${RUN}>`, `<select autofocus onfocus=${RUN}>`, `<textarea autofocus onfocus=${RUN}>`, `<keygen autofocus onfocus=${RUN}>`,
  `<math><mi//xlink:href="data:x,<script>${RUN}</script>">`, `<template><script>${RUN}</script></template>`, `<noscript><p title="</noscript><img src=x onerror=${RUN}>">`, `<style>@import'//evil.example'</style>`, `<link rel=stylesheet href=//evil.example>`, `<base href=//evil.example>`, `<meta http-equiv=refresh content="0;url=//evil.example">`,
  `{@html "<img src=x onerror=${RUN}>"}`, `{${RUN}}`, `{{constructor.constructor('${RUN}')()}}`, `\${${RUN}}`, `<%= ${RUN} %>`, `javascript:${RUN}`, `data:text/html,<script>${RUN}</script>`, `" onmouseover="${RUN}`, `' autofocus onfocus='${RUN}`, `\` onload=${RUN} \``,
  `]]><script>${RUN}</script>`, `<!--><script>${RUN}</script>-->`, `--><script>${RUN}</script>`, `&lt;script&gt;${RUN}&lt;/script&gt;`, `&#60;script&#62;${RUN}&#60;/script&#62;`, `\u003cscript\u003e${RUN}\u003c/script\u003e`, `%3Cscript%3E${RUN}%3C/script%3E`, `\u0000<script>${RUN}</script>`, `<\u200bscript>${RUN}</script>`,
  `[x](javascript:${RUN})`, `![x](https://evil.example/p.png)`, `<https://evil.example>`, `https://evil.example/?q=1`, `**bold** __x__ # head`, `\u202e<script>\u202c`, `__proto__`, `constructor`, `toString`, `[object Object]`, `null`, `</div></div></article></main>`, `<plaintext>`, `<xmp><script>${RUN}</script></xmp>`, `<slot name=x>`, `<b>verified</b>`, `; DROP TABLE x; --`,
];

/** Puts the corpus into every text of an object, but for what is a code of ours, or names a request or an account. */
const poison = (corpus, turn) => {
  const CODES = new Set(["reply", "role", "kind", "outcome", "state", "ballot", "reason_rule", "means", "phase", "by", "connection", "code", "conclusion", "theme", "language", "tray", "txn", "account", "id", "binding_id", "display_digest", "what", "for", "quiet", "way", "log", "can", "call"]);
  /** Why a ballot is locked is a code; why something is missing is a sentence. */
  const LOCKED = ["own_request", "not_eligible", "voted", "not_yet", "closed", "offline", "not_supported"];
  let field = turn;
  const seen = new Set();
  const put = (value, key) => {
    if (typeof value === "string") {
      if (key === "reason" && ["optional", "on_deny", "always"].includes(value)) return value;
      if (CODES.has(key) || (key === "why" && LOCKED.includes(value))) return value;
      field += 1;
      seen.add(key);
      return corpus[field % corpus.length];
    }
    if (Array.isArray(value)) return key === "noticed" ? value : value.map((each) => put(each, key));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, put(inner, name)]));
  };
  return { put, seen };
};

const scenes = [
  ["inbox/chain", async () => undefined],
  ["inbox/stages", async () => undefined],
  ["inbox/http", (page) => page.getByRole("button", { name: "Raw bytes" }).click()],
  ["inbox/step-up-declined", async () => undefined],
  ["inbox/step-up", async () => undefined],
  ["inbox/accounts", async () => undefined],
  ["inbox/trouble", async () => undefined],
  ["inbox/approved", async () => undefined],
  ["inbox/denied", async () => undefined],
  ["inbox/own", async () => undefined],
  ["inbox/storm", (page) => page.locator(".row[data-storm]").click()],
  ["history", async (page) => {
    await page.locator(".tab").nth(1).click();
    await page.locator(".hrow").first().click();
    await page.locator("#verify").click();
    await page.locator(".steps").waitFor();
  }],
  ["history/accounts", async (page) => {
    await page.locator(".tab").nth(1).click();
    await page.locator("#filter-person").click();
    await page.locator(".person-choice").first().waitFor();
  }, "#filter-person"],
  ["history/accounts", async (page) => {
    await page.locator(".tab").nth(1).click();
    await page.locator(".hrow[data-txn]").first().waitFor();
    await page.locator("#export-history").click();
    await page.locator(".panel.up .btn").first().waitFor();
  }, ".panel.up .btn"],
  // To another page and back, so that what the page reads is read anew.
  ...[["settings/full", 2], ["settings/full", 3], ["settings/full", 4], ["settings/keys", 5], ["settings/full", 6], ["settings/trouble", 2], ["settings/trouble", 6]].map(([name, nth]) => [
    name,
    async (page) => {
      await page.locator(".tab").nth(2).click();
      await page.locator(`.nav button:nth-child(${nth})`).click();
      await page.locator(".set, .checks li").first().waitFor();
    },
    [".nav button:nth-child(1)", `.nav button:nth-child(${nth})`],
  ]),
  ["inbox/away", async () => undefined],
  ["inbox/muted", async () => undefined],
  ["inbox/no-notifications", async () => undefined],
  ["first/waiting", async (page) => {
    await page.evaluate(() => globalThis.played.signIn());
    await page.locator(".checks li").first().waitFor();
  }],
  // Back and on again, so that the server is asked anew.
  ["first", (page) => page.locator(".go button").click(), [".go .btn", ".go .btn"]],
  ["first/failed", async () => undefined],
  ["first/waiting", async () => undefined],
];

scenes.forEach(([name, act, again], n) =>
  test(`${n + 1}, ${name}: text is text`, () =>
    scene(name, async (page) => {
      const dialogs = [];
      page.on("dialog", (dialog) => (dialogs.push(dialog.message()), dialog.dismiss()));
      await page.locator("#app > *").first().waitFor();
      await act(page);
      const found = await page.evaluate(
        async ([corpus, source, again]) => {
          const poison = (0, eval)(`(${source})`);
          const frame = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
          const TAGS = "script,iframe,object,embed,img,image,a,form,link,style,base,meta,video,audio,source,template,math,marquee,details,select,textarea,keygen,noscript,plaintext,xmp,slot";
          const count = () => Object.fromEntries(TAGS.split(",").map((tag) => [tag, document.querySelectorAll(tag).length]));
          const clean = count();
          const { played } = globalThis;
          const { call } = played.backend;
          const trouble = [];
          let shown = 0;
          for (let turn = 0; turn < corpus.length; turn += 3) {
            const { put } = poison(corpus, turn);
            played.backend.call = async (asked) => put(await call(asked));
            played.change((state) => Object.assign(state, put(state)));
            // Everything that is read is read again.
            for (const row of [...document.querySelectorAll("[data-txn]")].slice(0, 1)) played.emit({ event: "card_changed", txn: row.dataset.txn });
            const open = document.querySelector("article[data-txn]")?.dataset.txn;
            if (open) played.emit({ event: "card_changed", txn: open });
            for (const selector of again) {
              document.querySelector(selector).click();
              await frame();
            }
            await frame();
            await frame();
            const now = count();
            for (const tag of Object.keys(clean)) if (now[tag] > clean[tag]) trouble.push(`turn ${turn}: ${now[tag] - clean[tag]} more ${tag}`);
            for (const element of document.querySelectorAll("*"))
              for (const { name, value } of element.attributes) if (/^on/i.test(name) || (/^(href|src|action|data|srcdoc|xlink:href)$/i.test(name) && !/^\.\//.test(value) && element.tagName !== "SCRIPT" && element.tagName !== "LINK")) trouble.push(`turn ${turn}: ${element.tagName} ${name}=${value}`);
            if (globalThis.hit !== undefined) trouble.push(`turn ${turn}: it ran`);
            const text = document.body.textContent + [...document.querySelectorAll("input")].map((input) => input.value).join("");
            shown += corpus.filter((attack) => text.includes(attack.replaceAll("\u0000", "\ufffd")) || text.includes(attack)).length;
          }
          return { trouble: trouble.slice(0, 5), shown };
        },
        [CORPUS, poison.toString(), typeof again === "string" ? [again, again] : (again ?? [])],
      );
      assert.deepEqual(found.trouble, []);
      assert.deepEqual(dialogs, []);
      assert.ok(found.shown > CORPUS.length / 2, `the test puts its text on the page: ${found.shown}`);
    })),
);
