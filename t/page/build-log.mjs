// SPDX-License-Identifier: Apache-2.0
// build-log.mjs - the log of a build in a browser, of real builds
//
//   STEPS   path of a project with steps of thousands of lines
//   CORPUS  path of a project whose output would do harm (corpus.pl)
// and the puppet puppet-view.
import assert from 'node:assert/strict';

import { base, project, run } from './lib.mjs';
import {
  build, cue, open as openIn, outcome, post, prepare, recordWhen, settled, strange, tester, truthIs,
  whenOver,
} from './page-lib.mjs';

const { STEPS, CORPUS } = process.env;
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

  // ---- hostile output --------------------------------------------------

  const corpus = [
    `<script>document.title='taken'</script><img src=x onerror="document.title='taken'">`,
    `" onmouseover="document.title='taken'" x="'><svg/onload=document.title='taken'>`,
    `javascript:document.title='taken' see https://a.example/x?y=1&z=2.`,
    'not a link after', 'a link after', 'nor this', 'cleared, moved, erased', 'title and clipboard',
    'asked and switched', 'pictures', 'hidden blinking', 'an end that never comes 0;shown',
    'admin \u202e// \u2066check\u2069\u202c https://c.example/\u202egnp.exe',
    'nul \ufffd bad \ufffd\ufffd bell  back delete', 'line \u2028separator\u2029 next line',
    'x'.repeat(100000), `z${'\u0301'.repeat(10000)}`, 'red and never reset',
  ];

  async function isHarmless(page, title) {
    const found = await page.$$eval('#log .row', (all) => {
      const lines = [];
      for (const row of all) {
        const text = row.querySelector('.text').textContent;
        if (row.row.part > 0) lines[lines.length - 1] += text;
        else lines.push(text);
      }
      return lines;
    });
    assert.deepEqual(found.slice(1, -1), corpus);
    assert.deepEqual(await strange(page), []);
    assert.deepEqual(await page.$$eval('#log .text *', (all) => [...new Set(all.map(({ tagName }) => tagName))].sort()),
      ['A', 'BDI', 'SPAN']);
    assert.deepEqual(await page.$$eval('#log .text a', (all) => all.map((one) => [one.textContent, one.href])), [
      ['https://a.example/x?y=1&z=2', 'https://a.example/x?y=1&z=2'], ['a link', 'https://b.example/'],
      ['https://c.example/', 'https://c.example/']]);
    assert.deepEqual(await page.$$eval('#log .turn', (all) => all.map(({ dataset }) => dataset.name)),
      ['U+202E', 'U+2066', 'U+2069', 'U+202C', 'U+202E'], 'what turns the direction is seen');
    assert.ok(await page.$$eval('#log .text span', (all) => all.every(
      (one) => getComputedStyle(one).visibility === 'visible' && one.getBoundingClientRect().width > 0)));
    for (const text of await page.$$('#log .text')) await text.evaluate((node) => node.click());
    assert.match(await page.title(), title);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0);
  }

  await test('hostile output is text: as it comes, and when it is loaded', async () => {
    const page = await open('/');
    const id = await build(page, CORPUS);
    assert.equal(await outcome(page), 'succeeded');
    await truthIs(page, 'complete');
    await page.waitForFunction((text) => [...document.querySelectorAll('#log .text')].some(
      (one) => one.textContent === text), corpus.at(-1));
    await isHarmless(page, /· Succeeded/);
    const later = await open(`/#build=${id}`);
    await truthIs(later, 'complete');
    await isHarmless(later, /· Succeeded/);
    assert.equal(await later.$eval('#log .row:last-child .text', (one) => getComputedStyle(one).color),
      await later.$eval('#log .row .text', (one) => getComputedStyle(one).color), 'colours do not reach the note');
  });

  await test('marks piled upon each other reach no other line', async () => {
    await prepare(PUPPET, 'out above', `out ${'Z\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u0316\u0317\u0318'.repeat(40)}`,
      'out below', 'exit 0');
    const id = await post(project(PUPPET));
    await recordWhen(id, ({ state }) => state === 'succeeded');
    const page = await open(`/#build=${id}`);
    await truthIs(page, 'complete');
    const reach = await page.$$eval('#log .row', (all) => all.map((one) => {
      const { overflowX, overflowY } = getComputedStyle(one);
      return `${overflowX} ${overflowY}`;
    }));
    assert.ok(reach.every((one) => one === 'clip clip'), reach[0]);
  });
});
