// SPDX-License-Identifier: Apache-2.0
// nojs.mjs - a browser without JavaScript: start a build, see it grow, end it
//
// The project made-nojs prints two lines and waits for a file "go".
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { base, project, run } from './lib.mjs';

const WAIT_MS = 20000;

await run(async ({ page, ok, is, like, until }) => {
  const path = project('made-nojs');
  const log = async () => page.textContent('pre');

  await page.goto(base);
  ok(await page.isVisible('#plain'), 'the page says where to go without JavaScript');
  ok(await page.isHidden('#theme') && await page.isHidden('#all-builds'), 'and shows nothing that would do nothing');
  await page.click('a[href="/api/project/projects"]');
  is(await page.title(), 'Projects', 'the projects are a page');
  const row = page.locator('tr', { hasText: path });
  is(await row.locator('button').evaluate((button) => getComputedStyle(button.form).display),
    'inline-block', 'its style holds under its policy');
  await row.locator('button').click();
  like(new URL(page.url()).pathname, /^\/api\/project\/builds\/\d+$/, 'the button leads to the build');
  await until(async () => /oops/.test(await log()), WAIT_MS, 'its page comes again by itself, with what it has printed');
  like(await log(), /<b>bold<\/b>/, 'output is text');
  is(await page.locator('pre b').count(), 0, 'and no markup');
  like(await page.textContent('h1'), /running$/, 'it runs');

  // A phone: nothing is wider than it, nothing too small for a thumb; dark.
  await page.setViewportSize({ width: 320, height: 640 });
  await page.emulateMedia({ colorScheme: 'dark' });
  for (const at of ['/api/project/projects', '/api/project/builds', new URL(page.url()).pathname]) {
    await page.goto(new URL(at, base).href);
    is(await page.evaluate(() => document.documentElement.scrollWidth), 320, `${at}: no wider than the screen`);
    ok((await page.$$eval('button, input:not([type="hidden"])', (all) => all.map((one) => one.getBoundingClientRect().height)))
      .every((height) => height >= 24), '... nothing too small');
    is(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), 'rgb(18, 18, 18)', '... dark');
  }
  const narrow = await page.$$eval('td', (all) => all.filter((one) => one.textContent.trim().length > 4
    && one.getBoundingClientRect().width < 30).length);
  is(narrow, 0, 'no column is a letter wide');

  await page.click('text=Cancel');
  await until(async () => /cancelled$/.test(await page.textContent('h1')), WAIT_MS, 'a button ends it');
  await writeFile(join(path, 'go'), '');
  await page.click('text=Build again');
  await until(async () => /succeeded$/.test(await page.textContent('h1')), WAIT_MS, 'another one begins it again');
  like(await log(), /Build finished/, 'its log ends as it should');

  await page.click('nav >> text=Builds');
  is(await page.title(), 'Builds', 'the list');
  ok(await page.locator('tr', { hasText: path }).count() >= 2, 'has both');
  await page.locator('tr', { hasText: path }).locator('a').first().click();
  like(await page.textContent('h1'), /succeeded$/, 'and leads to them');
}, { javaScriptEnabled: false });
