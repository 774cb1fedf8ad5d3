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
