// SPDX-License-Identifier: Apache-2.0
// build-log.mjs - the log of a build in a browser, of real builds
//
//   STEPS   path of a project with steps of thousands of lines
// and the puppet puppet-view.
import assert from 'node:assert/strict';

import { base, project, run } from './lib.mjs';
import {
  cue, open as openIn, outcome, post, prepare, settled, tester, truthIs, whenOver,
} from './page-lib.mjs';

const { STEPS } = process.env;
const PUPPET = 'puppet-view';

await run(async ({ context }) => {
  const test = tester(context);
  const open = (path) => openIn(context, path);
  const download = async (id) => (await (await fetch(new URL(`/api/project/builds/${id}/log`, base))).text())
    .split('\n').slice(0, -1);
  const marked = (page) => page.$$eval('#log .row.marked .text', (all) => all.map((one) => one.textContent));

  // ---- steps -----------------------------------------------------------

  /** Wait until this text is the first that can be seen. */
  const atTop = (page, text) => page.waitForFunction((wanted) => {
    const { top } = document.querySelector('#log .log-rows').getBoundingClientRect();
    const row = [...document.querySelectorAll('#log .row')].find((one) => one.getBoundingClientRect().bottom > top + 1);
    return row?.querySelector('.text').textContent === wanted;
  }, text);

  await test('a step of the head leads to its beginning in the log', async () => {
    const id = await post(STEPS);
    const record = await whenOver(id);
    assert.equal(record.state, 'failed');
    const page = await open(`/#build=${id}`);
    await settled(page, 100);
    const links = page.locator('#steps a');
    assert.deepEqual(await links.evaluateAll((all) => all.map((one) => one.getAttribute('href'))),
      [1, 2, 3].map((step) => `#build=${id}&step=${step}`).concat(null));

    await links.nth(1).focus();
    await page.keyboard.press('Enter');
    await atTop(page, '$ echo begun two; seq 1 9000');
    assert.ok(page.url().endsWith(`#build=${id}&step=2`));
    assert.equal(await page.evaluate(() => document.activeElement.className), 'log-rows', 'and it can be read on');
    await page.keyboard.press('End');
    await page.waitForSelector('#log[data-follow="on"]');
    await links.nth(1).click();
    await atTop(page, '$ echo begun two; seq 1 9000');
    await links.nth(0).click();
    await atTop(page, '$ seq 1 9000');
    await page.evaluate(() => { location.hash = location.hash.replace('step=1', 'step=2'); });
    await atTop(page, '$ echo begun two; seq 1 9000');
    assert.deepEqual(await marked(page), ['$ echo begun two; seq 1 9000']);

    const other = await open(`/#build=${id}&step=2`);
    await atTop(other, '$ echo begun two; seq 1 9000');
    const heads = () => other.$$eval('#log .step-head', (all) => all.map(({ dataset }) => dataset.state));
    assert.deepEqual(await heads(), ['succeeded']);
    await other.keyboard.press('End');
    await other.waitForFunction(() => document.querySelector('#log .step-head')?.dataset.state === 'failed');
  });

  await test('the steps of a build that runs keep the focus, and lead to their lines', async () => {
    await prepare(PUPPET, 'count 500');
    const id = await post(project(PUPPET));
    const page = await open(`/#build=${id}`);
    await settled(page, 501);
    await page.focus('#steps a');
    await cue(PUPPET, 'count 300');
    await settled(page, 801);
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelector('#log .row.marked')?.row.n === 1);
    await page.focus('#steps a');
    await cue(PUPPET, 'exit 0');
    assert.equal(await outcome(page), 'succeeded');
    assert.ok(await page.evaluate(() => document.activeElement.matches('#steps a')), 'also when its state is another');
  });

  // ---- numbers ---------------------------------------------------------

  await test('a row has the number of the line that ends with it: live, after the end, in the download', async () => {
    await prepare(PUPPET, 'out a', 'raw Checking ...');
    const id = await post(project(PUPPET));
    const page = await open(`/#build=${id}`);
    const rows = (on) => on.$$eval('#log .row', (all) => all.map((one) => [
      one.querySelector('.no').dataset.n.trim(), one.querySelector('.text').textContent]));
    const has = (text) => page.waitForFunction((want) => [...document.querySelectorAll('#log .text')].some(
      (one) => one.textContent === want), text);
    await has('Checking ...');
    assert.deepEqual(await rows(page).then((all) => all.slice(1)), [['2', 'a'], ['3', 'Checking ...']]);
    await cue(PUPPET, 'err interrupted');
    await has('interrupted');
    assert.deepEqual(await rows(page).then((all) => all.slice(1)),
      [['2', 'a'], ['', 'Checking ...'], ['3', 'interrupted']]);
    await cue(PUPPET, 'out ok', 'out b', 'exit 0');
    await has('Checking ...ok');
    await truthIs(page, 'complete');
    const live = await rows(page);
    const lines = await download(id);
    assert.equal(live.length, lines.length);
    for (const [n, text] of live) {
      const line = lines[n - 1];
      assert.ok(line.endsWith(text) || text.endsWith(line), `${n}: ${text} / ${line}`);
    }
    const later = await open(`/#build=${id}&L3`);
    await settled(later, live.length);
    assert.deepEqual(await rows(later), live);
    assert.deepEqual(await marked(later), ['interrupted'], 'a link leads to one row');
  });
});
