// The hands of a person in a browser: what `xdg-open URL` starts when nobody is there.
//
//   COUNTERSIGN_PERSON=elin COUNTERSIGN_PASSWORD=… [COUNTERSIGN_SHOTS=DIR] node browser.mjs URL
//
// Drives the system's Chromium through the provider's real pages (login, consent, device code) until the redirect page
// of the program that asked, or the provider's last page. Prints one line of JSON for each page; exits 0 at the end.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const url = process.argv[2];
const { COUNTERSIGN_PERSON: person, COUNTERSIGN_PASSWORD: password, COUNTERSIGN_SHOTS: shots } = process.env;
if (!url || !person || !password) {
  console.error('browser.mjs: a URL, COUNTERSIGN_PERSON and COUNTERSIGN_PASSWORD are needed');
  process.exit(2);
}
const provider = new URL(url).origin;
const deadline = 30_000;
const mostPages = 8;

const browser = await chromium.launch({
  executablePath: process.env.COUNTERSIGN_CHROMIUM ?? '/usr/bin/chromium',
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
    if (shots) {
      mkdirSync(shots, { recursive: true });
      await page.screenshot({ path: join(shots, `browser-${person}-${number}.png`) });
    }
    if (here.origin !== provider || title.startsWith('Signed in')) break;
    if (await page.locator('input[name=password]').count()) {
      if (await page.locator('[role=alert]').count()) throw new Error('the provider refused this name and password');
      await page.fill('input[name=login]', person);
      await page.fill('input[name=password]', password);
    }
    const go = page.locator('button[type=submit]:not(.second)');
    if ((await go.count()) !== 1) throw new Error(`no way on from the page "${title}"`);
    await Promise.all([page.waitForNavigation(), go.click()]);
    if (number === mostPages) throw new Error('the sign-in does not end');
  }
} finally {
  await browser.close();
}
