// SPDX-License-Identifier: Apache-2.0
// place.mjs - the page, and its manual, at a path of a site, as `make install`
// puts them there
//
//   BASE_URL   the server: the page is at /buildlog/
//   PROJECT    path of a project that prints a line and succeeds
import { base, run } from './lib.mjs';

const WAIT_MS = 20000;
const { PROJECT } = process.env;

await run(async ({ page, ok, is, until }) => {
  const state = () => page.getAttribute('#connection', 'data-state');
  const asked = [];
  page.on('response', (response) => asked.push([response.status(), new URL(response.url()).pathname]));

  await page.goto(new URL('/buildlog/', base).href);
  await until(async () => await state() === 'live', WAIT_MS, 'it is live');
  await page.fill('#path', PROJECT);
  await page.click('#build-button');
  await page.waitForURL(/\/buildlog\/#build=\d+$/);
  await until(async () => await state() === 'ended', WAIT_MS, 'a build is followed to its end');
  ok((await page.textContent('#log')).includes('at a path'), 'its line is there');
  ok(await page.$$eval('img', (all) => all.length > 0 && all.every((one) => one.naturalWidth > 0)), 'all pictures are');
  is(await page.evaluate(async () => (await fetch(getComputedStyle(document.querySelector('#theme'), '::before')
    .maskImage.replace(/^url\("|"\)$/g, ''))).status), 200, 'those of the style are, too');
  await page.click('.top h1 a');
  await page.waitForURL(/\/buildlog\/#$/);
  // The manual lies beside it; the page's style must not be needed, and no page
  // wider than a phone.
  await page.setViewportSize({ width: 320, height: 640 });
  await page.keyboard.press('?');
  await page.click('#keys a[href^="manual/"]');
  await page.waitForURL(/\/buildlog\/manual\/index\.html$/);
  ok(true, 'the page leads to its manual');
  const names = [...new Set(await page.$$eval('a[href$=".html"]', (all) => all.map((one) => one.getAttribute('href'))))];
  ok(names.length > 25, `the manual has ${names.length} pages`);
  const wide = [];
  for (const name of names) {
    await page.goto(new URL(`/buildlog/manual/${name}`, base).href);
    if (await page.evaluate(() => document.documentElement.scrollWidth) !== 320) wide.push(name);
  }
  is(wide.join(' '), '', 'none is wider than a phone');
  is(asked.filter(([status]) => status >= 400).map(([, path]) => path).join(' '), '', 'nothing was asked for in vain');
});
