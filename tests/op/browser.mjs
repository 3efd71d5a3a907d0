// The hands of a person in a browser: what `xdg-open URL` starts when nobody is there.
//
//   COUNTERSIGN_PERSON=elin COUNTERSIGN_PASSWORD=… [COUNTERSIGN_SHOTS=DIR] [COUNTERSIGN_HANDS=FILE] node browser.mjs URL
//
// Drives the system's Chromium through the provider's real pages (login, second factor, consent, device code) until the
// redirect page of the program that asked, or the provider's last page. Prints one line of JSON for each page; exits 0 at
// the end. FILE, where it exists, says what the person does this time:
//
//   {"declines": ["approve:…"], "stops": {"at": "password" | "code" | "consent", "by": "cancel" | "close"}}

import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { people } from './people.mjs';

const url = process.argv[2];
const { COUNTERSIGN_PERSON: person, COUNTERSIGN_PASSWORD: password, COUNTERSIGN_SHOTS: shots, COUNTERSIGN_HANDS: file } = process.env;
if (!url || !person || !password) {
  console.error('browser.mjs: a URL, COUNTERSIGN_PERSON and COUNTERSIGN_PASSWORD are needed');
  process.exit(2);
}
const provider = new URL(url).origin;
const deadline = 90_000;
const mostPages = 8;

/** What the person does this time. */
function hands() {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return {};
  }
}

/** Which page it is, by what it asks for. */
async function which(page) {
  for (const [name, mark] of [['code', 'input[name=code]'], ['password', 'input[name=password]'], ['consent', '#consent, #accept']]) {
    if (await page.locator(mark).count()) return name;
  }
  return undefined;
}

const { declines = [], stops } = hands();
const browser = await chromium.launch({
  executablePath: process.env.COUNTERSIGN_CHROMIUM ?? '/usr/bin/chromium',
  timeout: deadline,
  args: process.getuid() === 0 ? ['--no-sandbox'] : [],
});
try {
  const page = await browser.newPage({ viewport: { width: 900, height: 760 } });
  page.setDefaultTimeout(deadline);
  await page.goto(url);
  for (let number = 1; number <= mostPages; number += 1) {
    const title = await page.title();
    const here = new URL(page.url());
    // The address may carry a code: only its origin and path are told.
    console.log(JSON.stringify({ page: number, at: here.origin + here.pathname, title }));
    const kind = await which(page);
    if (shots) {
      mkdirSync(shots, { recursive: true });
      await page.screenshot({ path: join(shots, `browser-${person}-${number}-${kind ?? 'end'}.png`) });
    }
    if (here.origin !== provider || title.startsWith('Signed in')) break;
    if (stops && stops.at === kind && stops.by === 'close') break;
    if (await page.locator('[role=alert]').count()) throw new Error('the provider refused what was entered');
    if (await page.locator('input[name=login]').count()) await page.fill('input[name=login]', person);
    if (kind === 'password') await page.fill('input[name=password]', password);
    // A person reads it off their phone.
    if (kind === 'code') await page.fill('input[name=code]', people.get(person).code);
    for (const scope of declines) {
      const box = page.locator(`input[name=scope][value="${scope}"]`);
      if (await box.count()) await box.uncheck();
    }
    const cancel = stops && stops.at === kind;
    // Canaille's consent page has three buttons that submit.
    const accept = (await page.locator('#accept').count()) ? '#accept' : 'button[type=submit]:not(.second)';
    const go = page.locator(cancel ? 'button.second, #deny' : accept);
    if ((await go.count()) !== 1) throw new Error(`no way on from the page "${title}"`);
    await Promise.all([page.waitForNavigation(), go.click()]);
    if (number === mostPages) throw new Error('the sign-in does not end');
  }
} finally {
  await browser.close();
}
