// SPDX-License-Identifier: Apache-2.0
// axe.mjs - the rules of accessibility that a program can check (axe-core,
// WCAG 2.2 A and AA, and its best practices), in each view and state, with what
// can be opened in it, on a phone, in Chinese, without JavaScript; light and dark
//
//   DEMO_FAIL  path of a project that prints on both streams and fails
//   EMPTY_URL  a server where nothing may be built
// and the puppet puppet-axe.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

import { allowErrors, base, is, note, project, run } from './lib.mjs';
import { cue, post, prepare, whenOver } from './page-lib.mjs';

const { DEMO_FAIL, EMPTY_URL } = process.env;
const MISSING = '999999999';
allowErrors(new RegExp(MISSING), /^request to another host: /, /status of 503/);
// It has nothing but a form and the lines.
const BARE = Object.fromEntries(['page-has-heading-one', 'landmark-one-main', 'region'].map((rule) => [rule, { enabled: false }]));
const PHONE = { width: 360, height: 740 };
const COMPLETE = '#truth[data-truth="complete"]';
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

await run(async ({ page }) => {
  await prepare('puppet-axe', 'out begun', 'err oops');
  const running = await post(project('puppet-axe'));
  const queued = await post(project('puppet-axe'));
  const failed = await post(DEMO_FAIL);
  await whenOver(failed);

  // A build that ended as builds seldom do: what it says of itself is another
  // record, on the way.
  let ending = null;
  await page.route(`**/api/project/builds/${failed}`, async (route) => (ending === null ? route.continue()
    : route.fulfill({ json: { ...await (await route.fetch()).json(), ...ending } })));
  const ended = (state, reason) => ({
    ready: COMPLETE, before: () => { ending = { state, reason, exit: null, signal: state === 'lost' ? null : 'TERM' }; },
  });
  const refuse = (route) => route.fulfill({ status: 503, contentType: 'application/problem+json', body: '{"title":"Busy"}' });
  const inChinese = { before: () => page.evaluate(() => localStorage.setItem('buildlog.language', '"zh"')) };
  const press = (key) => ({ act: () => page.keyboard.press(key) });
  const view = (menu) => ({ act: () => page.locator('#log .menu summary').nth(menu).click() });
  const home = '.recent tbody tr';
  const past = `/#build=${failed}`;
  const live = `/#build=${running}`;

  const views = [
    ['home', '/', { ready: home }],
    ['home, narrow', '/', { ready: home, size: PHONE }],
    ['home, in Chinese', '/', { ready: home, ...inChinese }],
    ['a build that failed', past, { ready: COMPLETE }],
    ['a build that failed, narrow', past, { ready: COMPLETE, size: PHONE }],
    ['a build that failed, in Chinese', past, { ready: COMPLETE, ...inChinese }],
    ['a build that was cancelled', past, ended('cancelled', 'by alice')],
    ['a build that timed out', past, ended('timed-out', 'no output for 10 min')],
    ['a build that was lost', past, ended('lost', 'the runner ended while it was running')],
    ['a build that runs, lines marked', `${live}&L1-L2`, { ready: '#log .row.marked' }],
    ['a build that runs, narrow', live, { ready: '#log .row', size: PHONE }],
    ['a build that waits', `/#build=${queued}`, { ready: '#build[data-state="queued"]' }],
    ['no such build', `/#build=${MISSING}`, { ready: '#refusal:not([hidden])' }],
    ['all lines', '/#lines', { ready: '#connection[data-state="live"]' }],
    ['nothing to build', EMPTY_URL, { ready: '.nothing:not([hidden])' }],
    ['nothing to build, narrow', EMPTY_URL, { ready: '.nothing:not([hidden])', size: PHONE }],
    ['a start that was refused', '/', {
      ready: home,
      act: async () => {
        await page.route('**/api/project/build', refuse);
        await page.click('.project button');
        await page.waitForSelector('.project .error');
        await page.unroute('**/api/project/build', refuse);
      },
    }],
    ['the keys', '/', { ready: home, ...press('?') }],
    ['the keys, narrow, in Chinese', '/', { ready: home, size: PHONE, ...inChinese, ...press('?') }],
    ['the question', live, { ready: '#cancel:not([hidden])', act: () => page.click('#cancel') }],
    ['a link to copy', past, {
      ready: COMPLETE,
      act: () => page.evaluate(() => {
        Object.defineProperty(navigator, 'clipboard', { value: undefined });
        document.execCommand = () => false;
        document.querySelector('#copy-link').click();
      }),
    }],
    ['where to go in a log', past, { ready: COMPLETE, ...press('g') }],
    ['slow places', past, { ready: COMPLETE, ...view(0) }],
    ['how a log is shown', past, { ready: COMPLETE, ...view(1) }],
    ['how a log is shown, narrow', past, { ready: COMPLETE, size: PHONE, ...view(1) }],
    ['the smallest page', '/simple.html', { ready: 'form', rules: BARE }],
    ['the manual', '/manual/', { ready: 'h1' }],
    ['the manual: a directive, narrow', '/manual/BuildLogStep.html', { ready: 'h1', size: PHONE }],
    ['the manual: troubleshooting', '/manual/trouble.html', { ready: 'h1' }],
    ['the manual: answers, narrow', '/manual/howto.html', { ready: 'h1', size: PHONE }],
    ['without JavaScript: projects', '/api/project/projects', { ready: 'table' }],
    ['without JavaScript: projects, narrow', '/api/project/projects', { ready: 'table', size: PHONE }],
    ['without JavaScript: builds', '/api/project/builds', { ready: 'table' }],
    ['without JavaScript: a build', `/api/project/builds/${failed}`, { ready: 'pre' }],
    ['without JavaScript: a build, narrow', `/api/project/builds/${failed}`, { ready: 'pre', size: PHONE }],
    // That it is loaded again can be stopped, which axe does not see.
    ['without JavaScript: a build that runs', `/api/project/builds/${running}`, { ready: 'pre', rules: { 'meta-refresh': { enabled: false } } }],
    ['without JavaScript: no such build', `/api/project/builds/${MISSING}`, { ready: 'h1' }],
  ];
  for (const theme of ['light', 'dark']) {
    for (const [name, path, { ready, size, before, act, rules = {} }] of views) {
      await page.setViewportSize(size ?? { width: 1280, height: 800 });
      await page.emulateMedia({ colorScheme: theme });
      await page.goto(new URL('/favicon.svg', base).href);
      ending = null;
      await page.evaluate(() => localStorage.clear());
      await before?.();
      await page.goto(new URL(path, base).href);
      await page.waitForSelector(ready);
      await act?.();
      await page.evaluate(axe);
      const { violations } = await page.evaluate((except) => axe.run(document, {
        runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
        rules: except,
      }), rules);
      is(violations.length, 0, `${name}, ${theme}`);
      for (const { id, help, nodes } of violations) {
        note(`${id}: ${help}`);
        nodes.slice(0, 3).forEach((node) => note(`  ${node.target} ${node.html.slice(0, 160)} ${node.failureSummary.replace(/\s+/g, ' ').slice(0, 300)}`));
      }
    }
  }
  await cue('puppet-axe', 'exit 0', 'exit 0');
});
