// SPDX-License-Identifier: Apache-2.0
// projects.mjs - the projects of home, against a running server: two hundred of
// them, refusals where somebody acted, rows that are redrawn under a reader, and
// the lines of configuration that the page gives when there is none
//
//   MANY_URL   a server that queues one build, with the projects MANY/service-1
//              to service-200 and MANY/gone, and the puppet puppet-many
//   MANY       their directory
//   SAMPLE_URL, SAMPLE_PID  a server where nothing may be built
//   SAMPLE     a file of its configuration, which is not there yet
// and the puppet puppet-rows.
import assert from 'node:assert/strict';
import { mkdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { allowErrors, base, project, run } from './lib.mjs';
import {
  cue, open as openIn, outcome, post, prepare, projectRow, recordWhen, sideways, tester, whenOver,
} from './page-lib.mjs';

const {
  MANY_URL, MANY, SAMPLE_URL, SAMPLE_PID, SAMPLE,
} = process.env;
const PUPPET = 'puppet-rows';

// Refused on purpose; the other servers, one of which is reloaded.
allowErrors(/\/api\/project\/build\)$/, /^request to another host: /, /ERR_(FAILED|CONNECTION|INCOMPLETE|EMPTY)/);

await run(async ({ context }) => {
  const test = tester(context);
  const open = (path = '/') => openIn(context, path);
  const rowOf = (page, path) => page.locator('.project', { has: page.getByText(path, { exact: true }) });
  const shownRows = (page) => page.$$eval('.project:not([hidden]) .name', (all) => all.map((one) => one.textContent));
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  for (const id of [await post(project('hello')), await post(project('hello'))]) await whenOver(id);

  await test('of many projects some are shown, by name, and all when they are asked for', async () => {
    const page = await open(MANY_URL);
    await page.waitForSelector('.project');
    assert.deepEqual(await shownRows(page), ['gone', 'Many',
      ...Array.from({ length: 10 }, (_, i) => `service-${i + 1}`)], 'numbers as numbers');
    assert.equal(await page.textContent('.all-projects'), 'All 202 projects');
    await page.keyboard.press('b');
    await page.keyboard.type('ice-19');
    assert.equal((await shownRows(page)).length, 11, 'found among all');
    assert.equal(await page.textContent('#milestones'), '11 projects', 'and heard');
    await page.fill('#path', '');
    await page.focus('.all-projects');
    await page.keyboard.press('Enter');
    assert.equal((await shownRows(page)).length, 202);
    assert.ok(await page.isHidden('.all-projects'));
    assert.equal(await page.evaluate(() => document.activeElement.querySelector('.name')?.textContent),
      'service-11', 'the keyboard goes on from there');
    await page.keyboard.press('Enter');
    assert.ok(!page.url().includes('#build'), 'and starts nothing by itself');
  });

  await test('a refusal is said in the row where somebody acted', async () => {
    const page = await open(MANY_URL);
    const ask = async () => (await fetch(new URL('/api/project/build', MANY_URL), {
      method: 'POST', body: new URLSearchParams({ projectPath: project('puppet-many') }),
    })).status;
    await page.click('.all-projects');
    const row = rowOf(page, join(MANY, 'service-150'));
    const press = async () => {
      await row.locator('button').focus();
      await page.keyboard.press('Enter');
      await row.locator('.error').waitFor();
      assert.equal(await row.locator('.error').getAttribute('role'), 'alert');
      assert.ok(await row.locator('.error').evaluate((one) => {
        const { top, bottom } = one.getBoundingClientRect();
        return top >= 0 && bottom <= innerHeight;
      }), 'in sight');
      assert.ok(await row.locator('button').evaluate((one) => one === document.activeElement), 'the focus stays');
      assert.equal(await page.textContent('#path-error'), '', 'nowhere else');
      return row.locator('.error').textContent();
    };

    // One runs, one waits, and there is no room for more.
    await prepare('puppet-many', 'out a');
    assert.equal(await ask(), 202);
    for (let status = 202; status !== 503;) status = await ask();
    assert.match(await press(), /waiting, and BuildLogMaxQueue allows no more.*Try again in \d+ s/, 'a full queue');
    await page.route('**/api/project/build', (route) => route.abort());
    assert.match(await press(), /cannot be reached/, 'no server');
    await page.unroute('**/api/project/build');
    await cue('puppet-many', 'exit 0');
    const done = new URL('/api/project/builds?state=running', MANY_URL);
    while ((await (await fetch(done)).json()).builds.length > 0);

    await rmdir(join(MANY, 'service-150'));
    assert.match(await press(), /not permitted/, 'a directory that is not there any more');
    await mkdir(join(MANY, 'service-150'));
    await row.locator('button').click();
    await page.waitForURL(/#build=\d+$/);
    assert.equal(await outcome(page), 'succeeded', 'and when it is back it is built');
    await page.click('#to-home');
    await row.waitFor({ state: 'attached' });
    assert.equal(await row.locator('.error').count(), 0, 'what is past is not said');
  });

  await test('a button asks once, and others are not dumb meanwhile', async () => {
    const page = await open(MANY_URL);
    await page.click('.all-projects');
    const asked = [];
    let answer;
    const held = new Promise((resolve) => { answer = resolve; });
    await page.route('**/api/project/build', async (route) => {
      asked.push(new URLSearchParams(route.request().postData()).get('projectPath').match(/\d+$/)[0]);
      if (asked.length === 1) await held;
      await route.fulfill({ status: 503, contentType: 'application/problem+json', body: '{"title":"Busy"}' });
    });
    const buttons = ['service-120', 'service-121'].map((name) => rowOf(page, join(MANY, name)).locator('button'));
    await buttons[0].dblclick();
    assert.equal(await buttons[0].getAttribute('aria-disabled'), 'true');
    await buttons[1].click();
    await rowOf(page, join(MANY, 'service-121')).locator('.error').waitFor();
    assert.deepEqual(asked, ['120', '121']);
    answer();
    await rowOf(page, join(MANY, 'service-120')).locator('.error').waitFor();
  });

  await test('a project that is gone is not listed, but its builds are', async () => {
    const start = await open(MANY_URL);
    await rowOf(start, join(MANY, 'gone')).locator('button').click();
    await start.waitForURL(/#build=\d+$/);
    assert.equal(await outcome(start), 'succeeded');
    await rmdir(join(MANY, 'gone'));
    const page = await open(MANY_URL);
    await page.waitForSelector('.project');
    await page.locator('.recent .name', { hasText: /^gone$/ }).waitFor();
    assert.equal(await rowOf(page, join(MANY, 'gone')).count(), 0);
    await page.locator('.recent a', { hasText: /^gone/ }).click();
    assert.equal(await outcome(page), 'succeeded');
    await page.click('#again');
    await page.waitForSelector('#build-error:not(:empty)');
    assert.match(await page.textContent('#build-error'), /not permitted/, 'beside the button');
  });

  await test('what goes on in a list takes neither the focus nor what is selected', async () => {
    await prepare(PUPPET, 'out a');
    const first = await post(project(PUPPET));
    await recordWhen(first, ({ state }) => state === 'running');
    const second = await post(project(PUPPET));
    const page = await open();
    await page.locator('#now-list li').filter({ hasText: `#${second}` }).waitFor();
    await page.waitForSelector('.recent tbody tr');
    // Nodes that come and go, but for those that are meant to.
    await page.evaluate(() => {
      window.changed = [];
      new MutationObserver((all) => window.changed.push(...all.map(({ target }) => target.className)))
        .observe(document.querySelector('#home'), { childList: true, subtree: true });
    });
    const row = await projectRow(page, project(PUPPET));
    await row.locator('.path').evaluate((one) => getSelection().selectAllChildren(one));
    await row.locator('.last a').focus();
    const elapsed = () => page.locator('#now-list .elapsed').first().textContent();
    for (let i = 0, was = await elapsed(); i < 3; was = await elapsed()) if (await elapsed() !== was) i += 1;
    assert.deepEqual(await page.evaluate(() => window.changed), [], 'times go on in the nodes that are there');

    const focused = () => page.evaluate(() => document.activeElement.textContent);
    const selected = () => page.evaluate(() => getSelection().toString());
    const other = await post(project('hello'));
    await whenOver(other);
    await page.locator('.recent a', { hasText: `#${other}` }).waitFor();
    assert.match(await focused(), new RegExp(`#${second} `), 'a list that grew');
    await page.locator('#now-list a', { hasText: `#${second}` }).focus();
    // It reads the cues of the first one from its beginning.
    await cue(PUPPET, 'exit 0');
    await page.locator('.recent a', { hasText: `#${second}` }).waitFor();
    assert.equal(await focused(), await page.locator('.recent a', { hasText: `#${second}` }).textContent(),
      'with the build to where it went');
    assert.equal(await selected(), project(PUPPET));
  });

  await test('what cannot be had anew stays as it was', async () => {
    const page = await open();
    await page.waitForSelector('.recent tbody tr');
    await page.route('**/api/project/builds?*', (route) => route.abort());
    await page.selectOption('#recent-project', project('hello'));
    await page.waitForFunction(() => /cannot be loaded/.test(document.querySelector('#recent').textContent));
    const id = await post(project('hello'));
    await page.locator('.recent a', { hasText: `#${id}` }).waitFor();
    assert.ok(await page.locator('.recent tbody tr').count() > 1, 'the builds of before are still seen');
  });

  await test('the lines of configuration can be copied, and work', async () => {
    const page = await open(SAMPLE_URL);
    await page.click('.copy');
    await page.waitForFunction(() => /Copied/.test(document.querySelector('#answer').textContent));
    const lines = await page.evaluate(() => navigator.clipboard.readText());
    assert.equal(lines, await page.textContent('.nothing pre'));
    const path = project('made-sample');
    await mkdir(path, { recursive: true });
    await writeFile(SAMPLE, lines.replace(/"\/.*"/, `"${path}"`));
    process.kill(Number(SAMPLE_PID), 'SIGUSR1');
    await rowOf(page, path).locator('button').click({ timeout: 30000 });
    await page.waitForURL(/#build=\d+$/);
    assert.equal(await outcome(page), 'succeeded', 'without the page being loaded again');
    assert.match(await page.textContent('#log'), /It works/);
  });

  await test('names of any length and script stay in their place', async () => {
    const title = `A title that somebody wrote at length, ${'Donaudampfschifffahrt'.repeat(6)}`;
    const page = await context.newPage();
    const named = async (route) => {
      const answer = await (await route.fetch()).json();
      for (const one of [...answer.projects ?? [], ...answer.builds ?? []]) {
        one.title = one.last || one.id % 2 ? title : 'موقع المتجر (v2) 3.1';
        one.project = one.path = `/srv/${'a-long-name/'.repeat(12)}${one.path ?? one.project}`;
        if (one.last) one.last = { ...one.last, title: one.title };
      }
      await route.fulfill({ json: answer });
    };
    await page.route('**/api/project/projects', named);
    await page.route('**/api/project/builds?*', named);
    for (const width of [320, 360, 1280]) {
      await page.setViewportSize({ width, height: 640 });
      await page.goto('about:blank');
      await page.goto(base);
      await page.waitForSelector('.recent tbody tr');
      assert.deepEqual(await sideways(page, ['html']), [0], `${width} px`);
      const broken = await page.$$eval('.number', (all) => all.filter((one) => one.getClientRects().length > 1
        || one.getBoundingClientRect().height > 30).length);
      assert.equal(broken, 0, 'numbers of builds are not broken');
    }
    const id = await post(project('hello'));
    await page.route(`**/api/project/builds/${id}`, async (route) => route.fulfill({
      json: { ...await (await route.fetch()).json(), title: 'موقع المتجر (v2) 3.1' },
    }));
    await whenOver(id); // a stream of it would tell its real title
    await page.goto(`${base}/#build=${id}`);
    await outcome(page);
    const [name, number] = await page.$$eval('#view-title > *', (all) => all.map((one) => {
      const { left, right } = one.getBoundingClientRect();
      return { left, right };
    }));
    assert.ok(name.right <= number.left, 'what runs from the right does not swallow the number');
    assert.equal(await page.title(), `✓ \u2068موقع المتجر (v2) 3.1\u2069 #${id} · Succeeded · Build log`);
  });
});
