// SPDX-License-Identifier: Apache-2.0
// build.mjs - the view of a build in a browser, against a running server
//
//   DEMO_OK    path of a project that prints some lines and succeeds
//   DEMO_FAIL  path of a project that fails with an exit code
//   DEMO_XSS   path of a project that prints markup, and succeeds
//   HOSTILE    path of a project whose title, step and message are markup
// and the puppet puppet-view.
import assert from 'node:assert/strict';

import { allowErrors, base, project, run } from './lib.mjs';
import {
  build, buildAndCompare, cue, expectedTexts, json, open as openIn, outcome, post, prepare,
  recordWhen, settled, sideways, stateIs, strange, tester, texts, truthIs, whenOver,
} from './page-lib.mjs';

const { DEMO_OK, DEMO_FAIL, DEMO_XSS, HOSTILE } = process.env;
const MISSING = '999999999';
const PUPPET = 'puppet-view';

// Refused on purpose.
allowErrors(new RegExp(MISSING), /status of (403|503)/);

await run(async ({ context }) => {
  const test = tester(context);
  const open = (path) => openIn(context, path);
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);

  await test('a build is seen live, here and in a tab that follows all builds', async () => {
    const all = await open('/#lines');
    await stateIs(all, 'live');
    const page = await open('/');
    const { id, state, expected } = await buildAndCompare(page, DEMO_OK);

    assert.equal(state, 'succeeded');
    assert.equal(await page.title(), `✓ Page: ok #${id} · Succeeded · Build log`);
    assert.match(await page.textContent('#milestones'), /succeeded/);
    assert.match(await page.textContent('#toast'), /succeeded/, 'and seen, also by who reads in the middle of the log');
    assert.match(await page.getAttribute('link[rel="icon"]', 'href'), /succeeded/);
    await truthIs(page, 'complete');

    await settled(all, expected.length, id);
    assert.deepEqual(await texts(all, id), expected, 'the same lines');
    await stateIs(all, 'live');

    await page.reload();
    assert.equal(await outcome(page), 'succeeded');
    await settled(page, expected.length);
    assert.deepEqual(await texts(page), expected, 'the whole log again');
    await stateIs(page, 'ended');
    await truthIs(page, 'complete');

    await page.goBack();
    await stateIs(page, 'live');
    assert.ok(await page.isVisible('#home'));
    assert.match(await page.getAttribute('link[rel="icon"]', 'href'), /favicon/);
    await page.goForward();
    await settled(page, expected.length);
    assert.deepEqual(await texts(page), expected);
  });

  await test('a build that fails says so, with its exit code and step', async () => {
    const page = await open('/');
    const { id, state } = await buildAndCompare(page, DEMO_FAIL);
    assert.equal(state, 'failed');
    const record = await json(`/api/project/builds/${id}`);
    assert.ok(record.exit > 0);
    assert.match(await page.textContent('#build'), new RegExp(`exit code ${record.exit}\\b.*step fail\\b`));
    assert.match(await page.title(), /failed/i);
    assert.match(await page.textContent('#milestones'), /failed/);
    assert.match(await page.getAttribute('link[rel="icon"]', 'href'), /failed/);
    const steps = await page.$$eval('#steps li', (all) => all.map((one) => [one.dataset.state, one.textContent.trim()]));
    assert.deepEqual(steps.map(([how]) => how), ['succeeded', 'failed', 'pending']);
    assert.match(steps[1][1], /^fail\s+exit code 3/);
    assert.ok(await page.isHidden('#cancel'), 'nothing to cancel');
  });

  await test('a build that is not there is said, and not asked for again', async () => {
    const page = await open(`/#build=${MISSING}`);
    let asked = 0;
    page.on('request', () => { asked += 1; });
    await page.waitForSelector('#refusal:not([hidden])');
    assert.match(await page.textContent('#refusal-text'), /not there/);
    await stateIs(page, 'closed');
    asked = 0;
    await page.waitForTimeout(6000);
    assert.equal(asked, 0, 'not by itself');
    const again = page.waitForRequest((request) => request.url().includes(MISSING));
    await page.click('#retry');
    await again;
    await page.waitForSelector('#refusal:not([hidden])');
  });

  await test('403 and 503 are said; what may pass is tried again by itself', async () => {
    const id = await post(DEMO_OK);
    await whenOver(id);
    const page = await context.newPage();
    let status = 403;
    await page.route(`**/api/project/builds/${id}/lines?*`, (route) => (status === 0 ? route.continue()
      : route.fulfill({
        status, contentType: 'application/problem+json', headers: { 'Retry-After': '2' },
        body: JSON.stringify({ title: 'Refused', status, detail: 'Told <b>by the server</b>' }),
      })));
    await page.goto(`${base}/#build=${id}`);
    await page.waitForSelector('#refusal:not([hidden])');
    const forbidden = await page.textContent('#refusal-text');
    assert.match(forbidden, /not permitted.*<b>by the server/);
    assert.doesNotMatch(forbidden, /again by itself/);
    await stateIs(page, 'closed');
    status = 503;
    await page.click('#retry');
    await page.waitForFunction(() => /again by itself/.test(document.querySelector('#refusal-text').textContent));
    assert.match(await page.textContent('#connection'), /in \d+ s/);
    status = 0;
    await truthIs(page, 'complete');
    assert.ok(await page.isHidden('#refusal'));
    assert.deepEqual(await strange(page), []);
  });

  await test('markup is text: in lines, title, steps and reasons', async () => {
    const page = await open('/');
    const { expected } = await buildAndCompare(page, DEMO_XSS);
    assert.ok(expected.some((text) => text.includes('<')), 'the project prints markup');
    assert.deepEqual(await strange(page), []);
    assert.equal(await page.$$eval('#log .text :not(span, a)', (inside) => inside.length), 0);
    assert.match(await page.textContent('#view-title'), /<b>markup<\/b>/);
    await page.goto(base);
    await page.evaluate(() => { location.hash = ''; });
    await build(page, HOSTILE);
    assert.equal(await outcome(page), 'failed');
    assert.match(await page.textContent('#view-title'), /<img src=x/);
    assert.match(await page.textContent('#steps'), /<b onmouseover/);
    assert.match(await page.textContent('#build'), /<b onmouseover/);
    assert.deepEqual(await strange(page), []);
    await page.click('.top h1 a');
    await page.waitForSelector('.recent tbody tr');
    assert.match(await page.textContent('#home'), /<img src=x/);
    assert.deepEqual(await strange(page), []);
    assert.doesNotMatch(await page.title(), /taken/);
  });

  await test('links to lines hold while the build runs, and after it', async () => {
    await prepare(PUPPET, 'count 500');
    const id = await post(project(PUPPET));
    const marked = (page) => page.$$eval('#log .row.marked', (rows) => rows.map((row) => [row.row.n, row.querySelector('.text').textContent]));
    const page = await open(`/#build=${id}`);
    await settled(page, 501);
    await page.evaluate(() => { location.hash += '&L120-L122'; });
    await page.waitForSelector('#log .row.marked');
    const live = await marked(page);
    assert.deepEqual(live.map(([n]) => n), [120, 121, 122]);

    await page.click('#log .row.marked .no');
    await page.waitForURL(/#build=\d+&L120$/);
    await page.locator('#log .row.marked + .row + .row .no').click({ modifiers: ['Shift'] });
    await page.waitForURL(/#build=\d+&L120-L122$/);
    await page.keyboard.press('c');
    await page.waitForFunction(() => document.querySelector('#answer').textContent !== '');
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), page.url(), 'the link is copied');

    await cue(PUPPET, 'count 300', 'exit 0');
    await truthIs(page, 'complete');
    assert.deepEqual(await marked(page), live, 'the same after the end');
    const other = await open(`/#build=${id}&L120-L122`);
    await other.waitForSelector('#log .row.marked');
    assert.deepEqual(await marked(other), live, 'and for who comes then');
    const text = await (await fetch(new URL(`/api/project/builds/${id}/log`, base))).text();
    assert.deepEqual(text.split('\n').slice(119, 122), live.map(([, line]) => line), 'as sed says');
  });

  await test('cancel asks once, and the page says by whom', async () => {
    await prepare(PUPPET, 'out begun');
    const id = await post(project(PUPPET));
    const page = await open(`/#build=${id}`);
    await page.waitForSelector('#build[data-state="running"]');
    assert.match(await page.getAttribute('link[rel="icon"]', 'href'), /running/);
    assert.match(await page.title(), /running/i);
    await page.click('#cancel');
    await page.waitForSelector('#ask[open]');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'ask-no', 'the harmless one');
    await page.keyboard.press('Escape');
    await page.waitForSelector('#ask:not([open])', { state: 'attached' });
    assert.equal((await json(`/api/project/builds/${id}`)).state, 'running');
    await page.keyboard.press('x');
    await page.click('#ask-yes');
    assert.equal(await outcome(page), 'cancelled');
    assert.match(await page.textContent('#build'), /^Cancelled\s*by 127\.0\.0\.1 after /);
    assert.match(await page.title(), /^⊘ puppet-view #\d+ · Cancelled/);
    await truthIs(page, 'complete');

    await prepare(PUPPET, 'exit 0');
    await page.keyboard.press('b');
    await page.keyboard.press('Enter');
    await page.waitForURL((url) => /#build=\d+$/.test(url.href) && !url.href.endsWith(`=${id}`));
    assert.match(await page.textContent('#answer'), /\S/, 'the message of the answer');
    assert.equal(await outcome(page), 'succeeded');
  });

  await test('a tab in the background shows in title and icon how it stands', async () => {
    await prepare(PUPPET, 'out a');
    const id = await post(project(PUPPET));
    const page = await context.newPage();
    // To the page it is hidden, from its first moment on.
    await page.addInitScript(() => {
      Object.defineProperty(Document.prototype, 'visibilityState', { get: () => 'hidden' });
      Object.defineProperty(Document.prototype, 'hidden', { get: () => true });
      window.requestAnimationFrame = () => 0;
    });
    await page.goto(`${base}/#build=${id}`);
    await page.waitForFunction(() => /^▶ puppet-view #\d+ · Running/.test(document.title), null, { polling: 100 });
    assert.match(await page.getAttribute('link[rel="icon"]', 'href'), /running/);
    await cue(PUPPET, 'exit 3');
    await page.waitForFunction(() => /^✗ puppet-view #\d+ · Failed/.test(document.title), null, { polling: 100 });
    assert.match(await page.getAttribute('link[rel="icon"]', 'href'), /failed/);
  });

  await test('a link is copied without the Clipboard API, or shown to be copied', async () => {
    const id = await post(DEMO_OK);
    await whenOver(id);
    const page = await context.newPage();
    // As over plain http from another machine.
    await page.addInitScript(() => Object.defineProperty(navigator, 'clipboard', { value: undefined }));
    await page.goto(`${base}/#build=${id}&L2-L3`);
    await page.waitForSelector('#log .row.marked');
    await page.focus('#copy-link');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => /copied/.test(document.querySelector('#answer').textContent));
    const other = await open('/');
    assert.equal(await other.evaluate(() => navigator.clipboard.readText()), page.url());
    assert.equal(await page.evaluate(() => document.activeElement.id), 'copy-link');

    await page.evaluate(() => { document.execCommand = () => false; });
    await page.keyboard.press('c');
    await page.waitForSelector('#text[open]');
    assert.equal(await page.evaluate(() => getSelection().toString()), page.url(), 'selected');
    await page.keyboard.press('Escape');
    await page.waitForSelector('#text', { state: 'hidden' });
    assert.equal(await page.evaluate(() => document.activeElement.id), 'copy-link');
  });

  await test('another build that is refused is said beside the button', async () => {
    const id = await post(DEMO_OK);
    await whenOver(id);
    const page = await open(`/#build=${id}`);
    await page.route('**/api/project/build', (route) => route.fulfill({
      status: 503, contentType: 'application/problem+json', headers: { 'Retry-After': '5' },
      body: JSON.stringify({ title: 'Busy', status: 503, detail: 'The runner does not answer' }),
    }));
    await page.click('#again');
    await page.waitForSelector('#build-error:not(:empty)');
    assert.match(await page.textContent('#build-error'), /The runner does not answer.*again in 5 s/);
    await page.unroute('**/api/project/build');
    await page.click('#again');
    await page.waitForURL((url) => /#build=\d+$/.test(url.href) && !url.href.endsWith(`=${id}`));
    assert.equal(await page.textContent('#build-error'), '');
    assert.equal(await outcome(page), 'succeeded');
  });

  await test('what is selected in the head stays while times go on', async () => {
    await prepare(PUPPET, 'out a');
    const first = await post(project(PUPPET));
    await recordWhen(first, ({ state }) => state === 'running');
    const before = await post(project(PUPPET));
    const id = await post(project(PUPPET));
    const page = await open(`/#build=${id}`);
    await page.waitForSelector('#build[data-state="queued"]:has-text("number 2 in line")');
    await page.locator('#facts .path').evaluate((one) => getSelection().selectAllChildren(one));
    await fetch(`${base}/api/project/builds/${before}/cancel`, { method: 'POST' });
    await page.waitForSelector('#build:has-text("number 1 in line")');
    assert.equal(await page.evaluate(() => getSelection().toString()), project(PUPPET));
    await cue(PUPPET, 'exit 0');
    await whenOver(id);
  });

  await test('a running build shows how far it is, as the last ones took', async () => {
    await prepare(PUPPET, 'out a');
    const id = await post(project(PUPPET));
    const page = await context.newPage();
    await page.route('**/api/project/projects', async (route) => {
      const answer = await (await route.fetch()).json();
      const own = answer.projects.find(({ path }) => path === project(PUPPET));
      own.average = { seconds: 3600, of: 5 };
      await route.fulfill({ json: answer });
    });
    await page.goto(`${base}/#build=${id}`);
    await page.waitForSelector('#progress:not([hidden])');
    const share = await page.$eval('#progress', ({ value }) => value);
    assert.ok(share > 0 && share < 0.1, `share ${share}`);
    assert.match(await page.textContent('#build'), /left, usually 1 h/);
    await cue(PUPPET, 'exit 0');
    assert.equal(await outcome(page), 'succeeded');
    await page.waitForSelector('#progress', { state: 'hidden' });
  });

  await test('complete is said only of what was compared', async () => {
    await prepare(PUPPET, 'flood 6000000', 'exit 0');
    const large = await post(project(PUPPET));
    await whenOver(large);
    const page = await open(`/#build=${large}`);
    await truthIs(page, 'part');
    await page.click('#truth button');
    await truthIs(page, 'complete');

    const id = await post(DEMO_OK);
    await whenOver(id);
    const wrong = await context.newPage();
    let spoil = true;
    await wrong.route(`**/api/project/builds/${id}/lines?*`, async (route) => {
      const answer = await (await route.fetch()).json();
      if (spoil) answer.lines[2].text = `${answer.lines[2].text.slice(0, -1)}!`;
      await route.fulfill({ json: answer });
    });
    await wrong.goto(`${base}/#build=${id}`);
    await truthIs(wrong, 'incomplete');
    assert.match(await wrong.textContent('#milestones'), /differs/);
    spoil = false;
    await wrong.click('#truth button');
    await truthIs(wrong, 'complete');
  });

  await test('who waits is told the place in the queue, and when it begins', async () => {
    await prepare(PUPPET, 'out a');
    const first = await post(project(PUPPET));
    await recordWhen(first, ({ state }) => state === 'running');
    const id = await post(project(PUPPET));
    const page = await open(`/#build=${id}`);
    await page.waitForSelector('#build[data-state="queued"]');
    assert.match(await page.textContent('#build'), /number 1 in line/);
    await cue(PUPPET, 'exit 0');
    await whenOver(first);
    await page.waitForSelector('#build[data-state="running"], #build[data-state="succeeded"]');
    await cue(PUPPET, 'exit 0');
    await outcome(page);
    await truthIs(page, 'complete');
  });

  await test('a small screen does not scroll sideways', async () => {
    const page = await open('/');
    await page.setViewportSize({ width: 360, height: 740 });
    const id = await build(page, DEMO_FAIL);
    await outcome(page);
    await settled(page, (await expectedTexts(id)).length);
    assert.deepEqual(await sideways(page, ['html', '#log .log-rows']), [0, 0]);
    await prepare(PUPPET, 'count 500');
    const long = await post(project(PUPPET));
    const other = await context.newPage();
    for (const height of [740, 480]) {
      await other.setViewportSize({ width: 360, height });
      await other.goto(`${base}/#build=${long}`);
      await settled(other, 100);
      const { bottom, height: rows } = await other.$eval('#log .log-rows', (one) => one.getBoundingClientRect());
      assert.ok(rows >= 200, `room for lines: ${rows}`);
      if (height === 740) assert.ok(bottom <= height + 1, `the newest line is in sight: ${bottom}`);
    }
    await cue(PUPPET, 'exit 0');
    await whenOver(long);

    // Names as long as they may be.
    const wide = await context.newPage();
    await wide.setViewportSize({ width: 320, height: 640 });
    await wide.route(`**/api/project/builds/${id}`, async (route) => {
      const record = await (await route.fetch()).json();
      record.title = 'Title'.repeat(40);
      record.project = `/srv/${'directory'.repeat(20)}`;
      record.steps.forEach((step, i) => { step.name = `${'step'.repeat(15)}${i}`; });
      await route.fulfill({ json: record });
    });
    await wide.goto(`${base}/#build=${id}`);
    await truthIs(wide, 'complete');
    assert.deepEqual(await sideways(wide, ['html']), [0]);
  });
});
