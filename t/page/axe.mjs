// SPDX-License-Identifier: Apache-2.0
// axe.mjs - the rules of accessibility that a program can check (axe-core,
// WCAG 2.2 A and AA, and its best practices), in each view, light and dark
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
allowErrors(new RegExp(MISSING), /^request to another host: /);
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

await run(async ({ page }) => {
  await prepare('puppet-axe', 'out begun', 'err oops');
  const running = await post(project('puppet-axe'));
  await post(project('puppet-axe'));
  const failed = await post(DEMO_FAIL);
  await whenOver(failed);

  const views = [
    ['home', '/', '.recent tbody tr'],
    ['home, narrow', '/', '.recent tbody tr', { size: { width: 360, height: 740 } }],
    ['a build that failed', `/#build=${failed}`, '#truth[data-truth="complete"]'],
    ['a build that failed, narrow', `/#build=${failed}`, '#truth[data-truth="complete"]', { size: { width: 360, height: 740 } }],
    ['a build that runs, lines marked', `/#build=${running}&L1-L2`, '#log .row.marked'],
    ['no such build', `/#build=${MISSING}`, '#refusal:not([hidden])'],
    ['all lines', '/#lines', '#connection[data-state="live"]'],
    ['nothing to build', EMPTY_URL, '.nothing'],
    ['the keys', '/', '.recent tbody tr', { act: () => page.keyboard.press('?') }],
    ['the question', `/#build=${running}`, '#cancel:not([hidden])', { act: () => page.click('#cancel') }],
    ['the tools of the log', `/#build=${failed}`, '#truth[data-truth="complete"]', { act: () => page.keyboard.press('g') }],
  ];
  for (const theme of ['light', 'dark']) {
    for (const [name, path, ready, { size, act } = {}] of views) {
      await page.setViewportSize(size ?? { width: 1280, height: 800 });
      await page.emulateMedia({ colorScheme: theme });
      await page.goto('about:blank');
      await page.goto(new URL(path, base).href);
      await page.waitForSelector(ready);
      await act?.();
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => axe.run(document, {
        runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
      }));
      is(violations.length, 0, `${name}, ${theme}`);
      for (const { id, help, nodes } of violations) {
        note(`${id}: ${help}`);
        nodes.slice(0, 3).forEach((node) => note(`  ${node.target} ${node.html.slice(0, 160)} ${node.failureSummary.replace(/\s+/g, ' ').slice(0, 300)}`));
      }
    }
  }
  await cue('puppet-axe', 'exit 0', 'exit 0');
});
