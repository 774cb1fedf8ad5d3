// SPDX-License-Identifier: Apache-2.0
// screenshots.mjs - pictures of the page, from real builds
//
//   BASE_URL, EMPTY_URL   a server with projects, one without any
//   SHOW    directory of the projects: shop, rates (fails), handbook, fleet
//           (takes long), crawler (200,000 lines)
//   SHOTS   directory for the pictures
//   LOOK    1: all views, sizes and themes; else those of the README
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { allowErrors, base, ok, run } from './lib.mjs';
import { small } from './picture.mjs';

const { EMPTY_URL, SHOW, SHOTS, LOOK } = process.env;
const SIZES = { wide: [1440, 900], middle: [768, 1024], phone: [360, 740] };

const MISSING = '999999999';
allowErrors(new RegExp(MISSING), /^request to another host: /);

const path = (name) => join(SHOW, name);

async function post(url, body = '') {
  const response = await fetch(new URL(url, base), {
    method: 'POST', body, headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
  });
  return (await response.json()).build;
}

const start = (name) => post('/api/project/build', new URLSearchParams({ projectPath: path(name) }).toString());

async function ended(id) {
  for (;;) {
    const record = await (await fetch(new URL(`/api/project/builds/${id}`, base))).json();
    if (record.ended !== null) return record;
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
}

// Where the projects of a real server might be.
function settle(from) {
  // A path may be broken at each slash: it is several texts.
  for (const one of document.querySelectorAll('.path')) one.textContent = one.textContent.replaceAll(from, '/srv/projects');
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) walker.currentNode.data = walker.currentNode.data.replaceAll(from, '/srv/projects');
}

await run(async ({ page, context }) => {
  const blank = await context.newPage();
  const ids = {};
  for (const name of ['shop', 'handbook', 'rates', 'shop', 'crawler', 'shop', 'handbook', 'rates', 'shop']) {
    ids[name] = (await start(name)).id;
    await ended(ids[name]);
  }
  // One that was fast, for an average; one that was cancelled; one that runs, and
  // some that wait.
  await writeFile(join(path('fleet'), 'few'), '');
  await ended((await start('fleet')).id);
  await rm(join(path('fleet'), 'few'));
  const cancelled = await start('handbook');
  await post(`/api/project/builds/${cancelled.id}/cancel`);
  await ended(cancelled.id);
  ids.fleet = (await start('fleet')).id;
  await start('shop');
  await start('handbook');

  const shoot = async (file, size, theme, url, ready) => {
    const [width, height] = SIZES[size];
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme: theme });
    // The same address but for the hash would be no new page.
    await page.goto('about:blank');
    await page.goto(url);
    await page.waitForSelector(ready);
    await page.waitForTimeout(700);
    await page.evaluate(settle, SHOW);
    await writeFile(join(SHOTS, `${file}.png`), await small(await page.screenshot(), blank));
    ok(true, file);
  };
  const view = {
    home: [base, '.recent tbody tr'],
    live: [`${base}/#build=${ids.fleet}`, '.row'],
    failed: [`${base}/#build=${ids.rates}`, '#truth[data-truth="complete"]'],
    done: [`${base}/#build=${ids.shop}`, '#truth[data-truth="complete"]'],
    large: [`${base}/#build=${ids.crawler}&L150000-L150003`, '.row.marked'],
    empty: [EMPTY_URL, '.nothing'],
    lines: [`${base}/#lines`, '#connection[data-state="live"]'],
    missing: [`${base}/#build=${MISSING}`, '#refusal:not([hidden])'],
  };
  if (LOOK) {
    for (const name of Object.keys(view)) {
      for (const size of Object.keys(SIZES)) {
        for (const theme of ['light', 'dark']) {
          if (theme === 'dark' && size === 'middle') continue;
          await shoot(`${name}-${size}-${theme}`, size, theme, ...view[name]);
        }
      }
    }
    await page.evaluate(() => localStorage.setItem('buildlog.language', '"zh"'));
    for (const name of ['home', 'failed', 'live']) await shoot(`${name}-zh`, 'wide', 'light', ...view[name]);
    await page.keyboard.press('?');
    await page.screenshot({ path: join(SHOTS, 'keys-zh.png') });
    return;
  }
  SIZES.picture = [1200, 700];
  await shoot('home-light', 'picture', 'light', ...view.home);
  await shoot('build-live-dark', 'picture', 'dark', ...view.live);
  await shoot('build-failed-light', 'picture', 'light', ...view.failed);
  await shoot('build-large-dark', 'picture', 'dark', ...view.large);
  await shoot('build-phone-dark', 'phone', 'dark', ...view.done);
  await shoot('home-empty-light', 'picture', 'light', ...view.empty);
});
