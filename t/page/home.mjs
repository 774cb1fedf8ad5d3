// SPDX-License-Identifier: Apache-2.0
// home.mjs - home in a browser, against a running server: projects, what runs
// and waits, what ended; keys, themes, languages
//
//   DEMO_OK    path of a project that prints some lines and succeeds
//   EMPTY_URL  a server where nothing may be built, without room for viewers
// and the puppet puppet-home.
import assert from 'node:assert/strict';

import { allowErrors, base, project, run } from './lib.mjs';
import {
  BUILD_MS, build, cue, json, open as openIn, outcome, post, prepare, projectRow, sideways,
  stateIs, tester, whenOver,
} from './page-lib.mjs';

const { DEMO_OK, EMPTY_URL } = process.env;
const PUPPET = 'puppet-home';

// Refused on purpose; and the server that has no projects.
allowErrors(/\/api\/project\/build\)$/, /status of 503/, /^request to another host: /, /MIME type/);

await run(async ({ context }) => {
  const test = tester(context);
  const open = (path = '/') => openIn(context, path);
  const focused = (page) => page.evaluate(() => document.activeElement.id);

  await test('the page forbids scripts and styles that are not its own files', async () => {
    const response = await fetch(new URL('/', base));
    const html = await response.text();
    const meta = /http-equiv="Content-Security-Policy"\s+content="([^"]*)"/.exec(html)?.[1];
    const policies = [response.headers.get('content-security-policy'), meta].filter(Boolean);
    assert.ok(policies.some((policy) => policy.includes("default-src 'self'")), 'a policy');
    assert.ok(policies.some((policy) => /trusted-types buildlog-stream buildlog-search$/.test(policy.trim())),
      'no markup from text; a name for the address of the worker');
    assert.ok(policies.every((policy) => !policy.includes('unsafe')), 'nothing unsafe');
  });

  await test('where the page cannot run, plain pages are offered', async () => {
    const page = await context.newPage();
    // As of a server that does not know the type of modules.
    await page.route('**/js/page.mjs', (route) => route.fulfill({ contentType: 'text/plain', body: '' }));
    await page.goto(base);
    await page.waitForSelector('#plain', { state: 'visible' });
    assert.equal(await page.getAttribute('#plain a', 'href'), '/api/project/projects');
    const other = await open();
    await other.waitForSelector('.project');
    assert.equal(await other.locator('#plain').count(), 0, 'and not where it runs');
  });

  await test('an empty field is said beside it', async () => {
    const page = await open();
    await page.click('#build-button');
    const error = page.locator('#path-error');
    assert.equal(await error.getAttribute('role'), 'alert');
    assert.match(await error.textContent(), /path/);
    assert.equal(await focused(page), 'path');
    assert.equal(await page.getAttribute('#path', 'aria-invalid'), 'true');
    await page.fill('#path', '/x');
    assert.equal(await error.textContent(), '', 'gone with the first letter');
  });

  await test('a path that is no project is said beside the field', async () => {
    const page = await open();
    await page.fill('#path', '/no/such/project');
    await page.press('#path', 'Enter');
    await page.waitForSelector('#path-error:not(:empty)');
    assert.match(await page.textContent('#path-error'), /not permitted/);
    assert.ok(!page.url().includes('#build'));
  });

  await test('each project is listed, and built by its button', async () => {
    const page = await open();
    const row = await projectRow(page, DEMO_OK);
    await row.locator('button').click();
    await page.waitForURL(/#build=\d+$/);
    const id = /\d+$/.exec(page.url())[0];
    assert.equal((await json(`/api/project/builds/${id}`)).project, DEMO_OK);
    assert.match(await page.textContent('#answer'), /accepted/);
    assert.equal(await outcome(page), 'succeeded');
    await page.click('#to-home');
    await projectRow(page, DEMO_OK);
    await row.getByText(`#${id} Succeeded`).waitFor();
    await row.getByText(/usually/).waitFor();
  });

  await test('from the keyboard: b, some letters of the title, Enter', async () => {
    const page = await open();
    await page.waitForSelector('.project');
    await page.keyboard.press('b');
    assert.equal(await focused(page), 'path');
    await page.keyboard.type('page: o');
    assert.deepEqual(await page.$$eval('.project:not([hidden]) .path', (all) => all.map((one) => one.textContent)), [DEMO_OK]);
    await page.keyboard.press('Enter');
    await page.waitForURL(/#build=\d+$/);
    assert.equal(await outcome(page), 'succeeded');

    await page.keyboard.press('h');
    await page.waitForSelector('.project');
    await page.keyboard.press('b');
    await page.keyboard.type('pa');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#path-error:not(:empty)');
    assert.match(await page.textContent('#path-error'), /\d projects/, 'which of many is not guessed');
  });

  await test('what runs and waits is seen as it changes', async () => {
    const page = await open();
    await stateIs(page, 'live');
    await prepare(PUPPET, 'out a');
    const [first, second] = [await post(project(PUPPET)), await post(project(PUPPET))];
    const rows = page.locator('#now-list li');
    const rowFor = (id) => rows.filter({ hasText: `#${id}` });
    await rowFor(first).getByText(/step 1 of 1: play/).waitFor();
    await rowFor(second).getByText('number 1 in line').waitFor();
    const elapsed = () => rowFor(first).locator('.elapsed').textContent();
    const before = await elapsed();
    await page.waitForFunction(([id, was]) => {
      const row = [...document.querySelectorAll('#now-list li')].find((one) => one.textContent.includes(`#${id}`));
      return row.querySelector('.elapsed').textContent !== was;
    }, [first, before]);
    assert.match(await elapsed(), /\d s so far/);
    // It reads the cues of the first one from its beginning.
    await cue(PUPPET, 'exit 0');
    await page.locator('.recent tr').filter({ hasText: `#${first}` }).waitFor();
    await page.locator('.recent tr').filter({ hasText: `#${second}` }).waitFor();
    await page.waitForFunction(() => document.querySelector('#now-list li') === null);
  });

  await test('older builds come when they are asked for, of one project if wanted', async () => {
    const path = project('hello');
    let last = 0;
    for (let i = 0; i < 32; i += 1) last = await post(path);
    await whenOver(last);
    const page = await open();
    const rows = page.locator('.recent tbody tr');
    await rows.nth(20).waitFor();
    const count = await rows.count();
    await page.click('.older');
    await rows.nth(count).waitFor();
    const ids = await page.$$eval('.recent .number', (all) => all.map((one) => Number(one.textContent.slice(1))));
    assert.deepEqual(ids, [...new Set(ids)].sort((a, b) => b - a), 'newest first, each once');
    await page.selectOption('#recent-project', DEMO_OK);
    await page.waitForFunction(() => [...document.querySelectorAll('.recent .name')]
      .every((one) => one.textContent === 'Page: ok'));
    assert.ok(await rows.count() > 0);
  });

  await test('where nothing may be built the lines of configuration are said', async () => {
    const page = await open(EMPTY_URL);
    await page.waitForSelector('.nothing');
    assert.match(await page.textContent('.nothing pre'), /<Directory ".*">\s+BuildLog On/);
    assert.match(await page.textContent('.nothing'), /graceful/);
    // This server also has no room for viewers.
    await stateIs(page, 'busy');
    assert.match(await page.textContent('#connection'), /Server full/);
    assert.match(await page.textContent('#refusal-text'), /No room for more viewers; the page tries again/);
    assert.ok(await page.isHidden('#retry'));
  });

  await test('a list that cannot be had is said, and asked for again', async () => {
    const page = await context.newPage();
    await page.clock.install();
    let down = true;
    await page.route('**/api/project/builds?*', (route) => (down ? route.fulfill({
      status: 503, contentType: 'application/problem+json', body: '{"title":"Busy","detail":"Not now"}',
    }) : route.continue()));
    await page.goto(base);
    await page.waitForFunction(() => /cannot be loaded.*Not now/.test(document.querySelector('#recent').textContent));
    down = false;
    await page.clock.runFor(11000);
    await page.waitForSelector('.recent tbody tr');
    assert.doesNotMatch(await page.textContent('#recent'), /cannot be loaded/);
  });

  await test('a sheet of keys: it holds the focus, and gives it back', async () => {
    const page = await open();
    await page.focus('#path');
    await page.keyboard.press('?');
    assert.ok(await page.isHidden('#keys'), 'not where somebody types');
    await page.fill('#path', '');
    await page.focus('#help');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#keys[open]');
    for (let i = 0; i < 5; i += 1) {
      await page.keyboard.press(i % 2 ? 'Shift+Tab' : 'Tab');
      assert.ok(await page.evaluate(() => document.querySelector('#keys').contains(document.activeElement)));
    }
    const keys = await page.$$eval('#keys kbd', (all) => all.map((one) => one.textContent));
    for (const key of ['?', 'b', '/', 'g']) assert.ok(keys.includes(key), key);
    await page.keyboard.press('Escape');
    await page.waitForSelector('#keys', { state: 'hidden' });
    assert.equal(await focused(page), 'help');
    await page.keyboard.press('a');
    await page.waitForSelector('#lines:not([hidden])');
    await page.keyboard.press('?');
    await page.waitForSelector('#keys[open]');
  });

  await test('light and dark: the system\'s, or the one that was chosen', async () => {
    const page = await open();
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    await page.emulateMedia({ colorScheme: 'dark' });
    const dark = await ground();
    await page.emulateMedia({ colorScheme: 'light' });
    const light = await ground();
    assert.notEqual(dark, light);
    await page.click('#theme');
    await page.click('#theme');
    assert.equal(await ground(), dark, 'chosen');
    await page.reload();
    assert.equal(await ground(), dark, 'remembered');
    await page.keyboard.press('T');
    assert.equal(await ground(), light, 'as the system again');
  });

  await test('nothing moves for who wants it so', async () => {
    await prepare(PUPPET, 'out a');
    const id = await post(project(PUPPET));
    const page = await open(`/#build=${id}`);
    const moving = () => page.evaluate(() => document.getAnimations().length);
    await page.waitForSelector('#build .turning');
    assert.ok(await moving() > 0);
    await page.emulateMedia({ reducedMotion: 'reduce' });
    assert.equal(await moving(), 0);
    await cue(PUPPET, 'exit 0');
    await outcome(page);
  });

  await test('two languages; the chosen one is remembered', async () => {
    const page = await open();
    assert.equal(await page.getAttribute('html', 'lang'), 'en-US');
    await page.click('#language');
    await page.waitForFunction(() => document.documentElement.lang === 'zh-CN');
    await page.reload();
    assert.equal(await page.textContent('#projects-title'), '项目');
    await build(page, DEMO_OK);
    assert.equal(await page.textContent('#answer'), '开始构建，请留意下方的构建信息。');
    assert.equal(await outcome(page), 'succeeded');
    assert.match(await page.textContent('#milestones'), /打包完成！！！/);
    assert.match(await page.title(), /成功/);
    assert.equal(await page.getAttribute('#log input[type="search"]', 'placeholder'), '搜索日志');
    await page.click('#language');
    await page.waitForFunction(() => document.documentElement.lang === 'en-US');
  });

  await test('the languages have the same texts', async () => {
    const page = await open();
    const missing = await page.evaluate(async () => {
      const both = await Promise.all([import('/js/words.mjs'), import('/js/log/words.mjs')]);
      const used = [...document.querySelectorAll('*')].flatMap((node) => Object.entries(node.dataset)
        .filter(([name]) => /^t([A-Z]|$)/.test(name) && name !== 'theme').map(([, key]) => key));
      const values = (text) => (text.match(/\{\w+\}/g) ?? []).sort().join();
      return both.flatMap(({ en, zh }) => [
        ...Object.keys(en).filter((key) => !(key in zh)), ...Object.keys(zh).filter((key) => !(key in en)),
        ...Object.keys(en).filter((key) => values(en[key]) !== values(zh[key] ?? '')),
      ]).concat(used.filter((key) => !(key in both[0].en)));
    });
    assert.deepEqual(missing, []);
  });

  await test('a small screen does not scroll sideways', async () => {
    const page = await open();
    await page.setViewportSize({ width: 360, height: 740 });
    await page.waitForSelector('.recent tbody tr');
    assert.deepEqual(await sideways(page, ['html']), [0]);
  });

  await test('a bare onmessage shows the lines', async () => {
    const page = await context.newPage();
    // Lines count from when the stream is open.
    const opened = page.waitForResponse((response) => response.url().includes('/api/log/push'));
    await page.goto(new URL('/simple.html', base).href);
    await opened;
    await page.fill('input', DEMO_OK);
    await page.click('button');
    await page.waitForFunction(() => document.querySelector('output').value !== '');
    await page.waitForFunction(() => {
      const log = document.querySelector('pre').textContent;
      return /^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] \S/m.test(log);
    }, null, { timeout: BUILD_MS });
  });

  await test('ids are compared as the numbers they are', async () => {
    const page = await open();
    const found = await page.evaluate(async () => {
      const { isLater } = await import('/js/event-id.mjs');
      return [['1763805600123457', '1763805600123456'], ['10', '9'], ['9', '10'], ['9', '9'],
        ['9007199254740993', '9007199254740992'], ['1', '']].map(([a, b]) => isLater(a, b));
    });
    assert.deepEqual(found, [true, true, false, false, true, true]);
  });
});
