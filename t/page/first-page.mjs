// SPDX-License-Identifier: Apache-2.0
// first-page.mjs - the page in a browser, against a running server
//
//   BASE_URL   the server, e.g. http://127.0.0.1:8080
//   DEMO_OK    path of a project that prints some lines and succeeds
//   DEMO_FAIL  path of a project that fails with an exit code
//   DEMO_XSS   path of a project that prints markup, e.g. "<img src=x
//              onerror=...>", and succeeds; without it its test is left out
import assert from 'node:assert/strict';

import { allowErrors, base, note, ok, run } from './lib.mjs';

const { DEMO_OK, DEMO_FAIL, DEMO_XSS } = process.env;
assert.ok(DEMO_OK && DEMO_FAIL, 'DEMO_OK and DEMO_FAIL must be set');

const ANSWER_MS = 15000;
const BUILD_MS = 120000;
const FINAL = ['succeeded', 'failed', 'cancelled', 'timed-out', 'lost'];

// Requests that are refused on purpose, below.
const MISSING = '999999999';
allowErrors(/\/api\/project\/build\)$/, new RegExp(MISSING));

let context;

/** One test: whatever it throws is its failure, and the next one runs. */
async function test(name, body) {
  const before = context.pages();
  try {
    await body();
    ok(true, name);
  } catch (error) {
    ok(false, name);
    note(error.stack ?? error);
  }
  for (const page of context.pages()) {
    if (!before.includes(page)) await page.close();
  }
}

async function open(path) {
  const page = await context.newPage();
  page.setDefaultTimeout(ANSWER_MS);
  await page.goto(new URL(path, base).href);
  return page;
}

const stateIs = (page, state) => page.waitForSelector(`#connection[data-state="${state}"]`);

async function build(page, path) {
  await page.fill('#path', path);
  await page.click('#build-button');
  await page.waitForURL(/#build=\d+$/);
  return /\d+$/.exec(page.url())[0];
}

/** Wait until the build that the page follows is over; its state. */
async function outcome(page) {
  const any = FINAL.map((state) => `#build[data-state="${state}"]`).join(',');
  const line = await page.waitForSelector(any, { timeout: BUILD_MS });
  return line.getAttribute('data-state');
}

/** The texts of the rows, of one build if an id is given. */
const texts = (page, id = null) => page.$$eval('#log .line', (rows, wanted) => rows
  .filter((row) => wanted === null || row.querySelector('.of').textContent === `#${wanted}`)
  .map((row) => row.querySelector('.text').textContent), id);

/** Wait until the page shows as many rows (of a build) as there should be. */
async function settled(page, rows, id = null) {
  await page.waitForFunction(([count, wanted]) => {
    const all = [...document.querySelectorAll('#log .line')];
    const own = all.filter((row) => wanted === null
      || row.querySelector('.of').textContent === `#${wanted}`);
    return own.length >= count;
  }, [rows, id]);
}

/** What the stored log says should be seen: pieces joined, frames replaced. */
async function expectedTexts(id) {
  const url = new URL(`/api/project/builds/${id}/log?format=json`, base);
  const body = await (await fetch(url)).text();
  const rows = [];
  let open = {};
  for (const line of body.split('\n').filter(Boolean).map((text) => JSON.parse(text))) {
    if (typeof line.text !== 'string') continue;
    if (line.note) {
      if (line.step) open = {};
      rows.push({ text: line.text });
      continue;
    }
    let row = open[line.stream];
    if (row === undefined) rows.push(row = { text: '', frame: false });
    if (row.frame && line.text !== '') row.text = '';
    row.text += line.text;
    row.frame = line.cr === true;
    open[line.stream] = line.partial || line.cr ? row : undefined;
  }
  // eslint-disable-next-line no-control-regex
  return rows.map(({ text }) => text.replace(/\x1b\[[0-?]*[ -/]*[@-~]/g, ''));
}

/** Build path in page: all rows as the log has them, and how it ended. */
async function buildAndCompare(page, path) {
  const id = await build(page, path);
  const state = await outcome(page);
  const expected = await expectedTexts(id);
  await settled(page, expected.length);
  assert.deepEqual(await texts(page), expected, 'the rows are the log, in order');
  await stateIs(page, 'ended');
  return { id, state, expected };
}

await run(async (browser) => {
  context = browser.context;

  await test('the page forbids scripts and styles that are not its own files', async () => {
    const response = await fetch(new URL('/', base));
    const html = await response.text();
    const meta = /http-equiv="Content-Security-Policy"\s+content="([^"]*)"/.exec(html)?.[1];
    const policies = [response.headers.get('content-security-policy'), meta].filter(Boolean);
    assert.ok(policies.some((policy) => policy.includes("default-src 'self'")), 'a policy');
    assert.ok(policies.every((policy) => !policy.includes('unsafe')), 'nothing unsafe');
  });

  await test('an empty path is said beside the field', async () => {
    const page = await open('/');
    await page.click('#build-button');
    const error = page.locator('#path-error');
    assert.equal(await error.getAttribute('role'), 'alert');
    assert.match(await error.textContent(), /path/);
    assert.equal(await page.evaluate(() => document.activeElement.id), 'path');
    assert.equal(await page.getAttribute('#path', 'aria-invalid'), 'true');
    await page.fill('#path', '/x');
    assert.equal(await error.textContent(), '', 'gone with the first letter');
  });

  await test('a path that is no project is said beside the field', async () => {
    const page = await open('/');
    await page.fill('#path', '/no/such/project');
    await page.press('#path', 'Enter');
    await page.waitForSelector('#path-error:not(:empty)');
    assert.ok(!page.url().includes('#build'));
  });

  await test('the permitted projects are offered', async () => {
    const page = await open('/');
    await page.locator('#projects button').getByText(DEMO_OK, { exact: true }).click();
    assert.equal(await page.inputValue('#path'), DEMO_OK);
    const offered = await page.$$eval('#paths option', (all) => all.map((one) => one.value));
    assert.ok(offered.includes(DEMO_OK));
  });

  await test('a build is seen live, here and in a tab that follows all builds', async () => {
    const all = await open('/');
    await stateIs(all, 'live');
    const page = await open('/');
    const { id, state, expected } = await buildAndCompare(page, DEMO_OK);

    assert.equal(state, 'succeeded');
    assert.match(await page.textContent('#answer'), /\S/, 'the message of the answer');
    assert.match(await page.title(), /succeeded/);
    assert.match(await page.textContent('#milestones'), /succeeded/);
    assert.match(await page.textContent('#log .line time'),
      /^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\]$/);

    await settled(all, expected.length, id);
    assert.deepEqual(await texts(all, id), expected, 'the same lines');
    await stateIs(all, 'live');

    await page.reload();
    assert.equal(await outcome(page), 'succeeded');
    await settled(page, expected.length);
    assert.deepEqual(await texts(page), expected, 'the whole log again');
    await stateIs(page, 'ended');

    await page.goBack();
    await stateIs(page, 'live');
    assert.equal(await page.textContent('#view-title'), 'All builds');
    assert.deepEqual(await texts(page, id), [], 'from now on');
    await page.goForward();
    await settled(page, expected.length);
    assert.deepEqual(await texts(page), expected);
  });

  await test('a build that fails says so, with its exit code', async () => {
    const page = await open('/');
    const { id, state } = await buildAndCompare(page, DEMO_FAIL);
    assert.equal(state, 'failed');
    const record = await (await fetch(new URL(`/api/project/builds/${id}`, base))).json();
    assert.ok(record.exit > 0);
    assert.match(await page.textContent('#build'), new RegExp(`exit code ${record.exit}\\b`));
    assert.match(await page.title(), /failed/);
    assert.match(await page.textContent('#milestones'), /failed/);
  });

  await test('a build that is not there is said, and what to do', async () => {
    const page = await open(`/#build=${MISSING}`);
    await page.waitForSelector('#refusal:not([hidden])');
    assert.match(await page.textContent('#refusal-text'), /\S/);
    assert.ok(await page.isVisible('#retry'));
    await stateIs(page, 'closed');
  });

  if (DEMO_XSS) {
    await test('markup in a line is text', async () => {
      const page = await open('/');
      const { expected } = await buildAndCompare(page, DEMO_XSS);
      assert.ok(expected.some((text) => text.includes('<')), 'the project prints markup');
      assert.equal(await page.$$eval('#log .text *', (inside) => inside.length), 0);
      });
  } else {
    ok(true, 'markup in a line is text # SKIP DEMO_XSS is not set');
  }

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

  await test('a small screen does not scroll sideways', async () => {
    const page = await open('/');
    await page.setViewportSize({ width: 360, height: 740 });
    const id = await build(page, DEMO_FAIL);
    await outcome(page);
    await settled(page, (await expectedTexts(id)).length);
    const beyond = await page.evaluate(() => ['html', '#log'].map((selector) => {
      const { scrollWidth, clientWidth } = document.querySelector(selector);
      return scrollWidth - clientWidth;
    }));
    assert.deepEqual(beyond, [0, 0]);
  });

  await test('escape sequences are taken out, also when a piece cuts them', async () => {
    const page = await open('/');
    const found = await page.evaluate(async () => {
      const { strip, stripPiece } = await import('/js/ansi.mjs');
      const whole = [
        'plain\ttext', '\x1b[1;31mred\x1b[0m', '\x1b[38;2;1;2;3mx\x1b[K', '\x1b]0;title\x07a',
        '\x1b]8;;http://x/\x1b\\link\x1b]8;;\x1b\\', '\x1b(Bb', '\x1b]0;never ends',
        'a\x08\x00b', '\x9b1mc',
      ].map(strip);
      // Cut at every place, the pieces must give what the whole gives.
      const text = 'a\x1b[1;31mb\x1b]0;t\x07c\x1b[0md\x1b(Be';
      const cut = Array.from(text, (_, at) => {
        const first = stripPiece(text.slice(0, at));
        return first.text + strip(first.rest + text.slice(at));
      });
      return { whole, cut: [...new Set(cut)] };
    });
    assert.deepEqual(found.whole,
      ['plain\ttext', 'red', 'x', 'a', 'link', 'b', '0;never ends', 'ab', 'c']);
    assert.deepEqual(found.cut, ['abcde']);
  });

  await test('pieces become one row, frames are replaced, each stream for itself', async () => {
    const page = await open('/');
    const rows = await page.evaluate(async () => {
      const { Assembly } = await import('/js/assembly.mjs');
      const assembly = new Assembly(() => true);
      const all = [];
      const take = (text, more = {}) => {
        const line = { build: 1, stream: 'stdout', time: 't', text, ...more };
        const { row, fresh } = assembly.take(line);
        if (fresh) all.push(row);
      };
      take('one ', { partial: true });
      take('warning', { stream: 'stderr' });
      take('of another build', { build: 2 });
      take('a note', { note: true });
      take('two');
      take('10 %', { cr: true });
      take('20 %', { cr: true });
      take('done');
      take('half ', { partial: true });
      take('$ next', { note: true, step: 2 });
      take('first of next');
      return all.map((row) => row.text);
    });
    assert.deepEqual(rows, ['one two', 'warning', 'of another build', 'a note', 'done',
      'half ', '$ next', 'first of next']);
  });

  await test('ids are compared as the numbers they are', async () => {
    const page = await open('/');
    const found = await page.evaluate(async () => {
      const { isLater } = await import('/js/event-id.mjs');
      return [['1763805600123457', '1763805600123456'], ['10', '9'], ['9', '10'], ['9', '9'],
        ['9007199254740993', '9007199254740992'], ['1', '']].map(([a, b]) => isLater(a, b));
    });
    assert.deepEqual(found, [true, true, false, false, true, true]);
  });
});
