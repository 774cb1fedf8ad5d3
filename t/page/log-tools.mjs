// SPDX-License-Identifier: Apache-2.0
// log-tools.mjs - following, searching, going to lines, times, slow places,
// problems, keys, and the proof that all was received
import assert from 'node:assert/strict';

import { allowErrors, note, ok, run } from './lib.mjs';
import { WAIT_MS, drawn, feed, inSight, isFollowing, openLab, openLog, scrollTo, texts } from './log-lib.mjs';

const line = (text, more = {}) => ({ text, ...more });
const lines = (count, make = (n) => `line ${n}`) => Array.from({ length: count },
  (_, i) => line(make(i + 1)));
const START = Date.parse('2026-11-22T10:00:00Z');
const at = (ms, text, more = {}) => ({ ms: START + ms, text, ...more });

// Not to be had, on purpose.
allowErrors(/search-worker/);

await run(async ({ page }) => {
  await openLab(page);

  async function test(name, body) {
    try {
      await page.evaluate(() => { lab.kept.clear(); lab.events = []; lab.language = 'en'; });
      await body();
      ok(true, name);
    } catch (error) {
      ok(false, name);
      note(error.stack ?? error);
    }
  }
  const has = (condition, value) => page.waitForFunction(condition, value, { timeout: WAIT_MS });
  const seen = (n) => has((wanted) => {
    const view = document.querySelector('.log-rows').getBoundingClientRect();
    return [...document.querySelectorAll('.row')].some((one) => {
      const box = one.getBoundingClientRect();
      return one.row.n === wanted && box.top >= view.top - 1 && box.bottom <= view.bottom + 1;
    });
  }, n);
  const count = (text) => has((want) => document.querySelector('.count').textContent === want, text);
  const marked = () => page.$$eval('.row.marked', (all) => all.map((one) => one.row.n));
  const large = (total, more = {}) => page.evaluate(async ([n, how]) => {
    const make = (i) => ({
      text: how.at?.[i] ?? `line ${i}`,
      ...(how.pause?.[i] === undefined ? {} : { ms: Date.parse('2026-11-22T10:00:00Z') + i * 10 }),
      ...(how.stderr?.includes(i) ? { stream: 'stderr' } : {}),
    });
    lab.make({ records: { count: n, make } });
    await lab.open(1, how.options);
  }, [total, more]);

  // ---- following -------------------------------------------------------

  await test('it opens at the end and follows; only scrolling up ends that', async () => {
    await openLog(page, lines(500));
    await seen(500);
    assert.ok(await isFollowing(page));
    await feed(page, lines(50));
    await seen(550);
    for (const height of [500, 900, 300, 720]) {
      await page.setViewportSize({ width: height + 300, height });
      await drawn(page);
      await feed(page, lines(5));
      assert.ok(await isFollowing(page), 'another size does not');
    }
    await seen(570);
    await page.mouse.move(400, 300);
    await page.mouse.wheel(0, -100);
    await has(() => document.querySelector('#log').dataset.follow === 'off');
    const before = (await inSight(page))[0];
    await feed(page, lines(1));
    assert.equal(await page.textContent('.log-newest'), '1 new line');
    await feed(page, lines(20));
    assert.equal(await page.textContent('.log-newest'), '21 new lines');
    assert.equal((await inSight(page))[0], before);
    await page.mouse.wheel(0, 100000);
    await has(() => document.querySelector('#log').dataset.follow === 'on');
    assert.ok(await page.isHidden('.log-newest'));
    await feed(page, lines(10));
    await seen(601);
    assert.deepEqual(await page.evaluate(() => lab.events.map(({ name, on }) => [name, on])),
      [['follow', false], ['follow', true]]);
    await page.setViewportSize({ width: 1280, height: 720 });
  });

  await test('what is read stays where it is when lines above it are loaded', async () => {
    // Lines that take several rows of the screen: higher than the room for them.
    await page.evaluate(async () => {
      const make = (n) => ({ text: `${n} ${'wrapped '.repeat(20 * (n % 40))}` });
      lab.make({ records: { count: 20000, make }, delayMs: 50 });
      await lab.open(1);
    });
    await seen(20000);
    await page.mouse.move(400, 300);
    const top = () => page.evaluate(() => {
      const view = document.querySelector('.log-rows').getBoundingClientRect();
      const row = [...document.querySelectorAll('.row')].find(
        (one) => one.getBoundingClientRect().bottom > view.top + 1);
      return { n: row?.row.n ?? 0, y: Math.round(row?.getBoundingClientRect().top) };
    });
    await page.mouse.wheel(0, -700);
    await has(() => document.querySelector('#log').dataset.follow === 'off');
    await drawn(page);
    const before = await top();
    await has((n) => document.querySelector('.row').row.n < n - 1000, before.n);
    await drawn(page);
    assert.deepEqual(await top(), before);
  });

  // ---- search ----------------------------------------------------------

  await test('search: count, next, previous, round the ends', async () => {
    await openLog(page, lines(300, (n) => (n % 100 === 0 ? `Needle ${n}` : `hay ${n}`)));
    await page.fill('.finder input', 'needle');
    await count('3 lines');
    await page.press('.finder input', 'Enter');
    const first = await page.textContent('.count');
    assert.match(first, /^\d of 3 lines$/);
    await page.press('.finder input', 'Enter');
    await page.press('.finder input', 'Enter');
    await page.press('.finder input', 'Enter');
    await count(first);
    await page.press('.finder input', 'Shift+Enter');
    assert.notEqual(await page.textContent('.count'), first);
    await page.press('.finder input', 'Enter');
    await count(first);
    await page.click('[aria-label="Match case"]');
    await count('No match');
    await page.click('[aria-label="Match case"]');
    await count('3 lines');
    await page.fill('.finder input', 'needle 2');
    await count('1 line');
    await feed(page, [line('another needle 2')]);
    await count('2 lines');
    await page.press('.finder input', 'Escape');
    assert.equal(await page.textContent('.count'), '');
    assert.equal(await page.evaluate(() => document.activeElement.className), 'log-rows');
  });

  await test('search: regular expressions, and what is none', async () => {
    await openLog(page, ['a1', 'b22', '\x1b[31mc\x1b[0m333', 'd'].map((text) => line(text)));
    await page.click('[aria-label="Regular expression"]');
    await page.fill('.finder input', '^[a-c]\\d{2,}$');
    await count('2 lines');
    await page.fill('.finder input', 'x*');
    await count('No match');
    await page.fill('.finder input', '(');
    await has(() => /^No regular expression/.test(document.querySelector('.count').textContent));
    assert.equal(await page.getAttribute('.finder input', 'aria-invalid'), 'true');
    await page.fill('.finder input', '(d)');
    await count('1 line');
    assert.equal(await page.getAttribute('.finder input', 'aria-invalid'), 'false');
  });

  await test('search: an expression that takes for ever is stopped, and the page goes on', async () => {
    await openLog(page, [...lines(10), line(`${'a'.repeat(60)}!`), line('aaa')]);
    await page.click('[aria-label="Regular expression"]');
    await page.fill('.finder input', '(a+)+$');
    // While it is looked for: lines come, and are drawn.
    await feed(page, lines(5));
    await seen(17);
    assert.match(await page.textContent('.count'), /searched/);
    await has(() => /^Stopped/.test(document.querySelector('.count').textContent));
    assert.equal(await page.getAttribute('.finder input', 'aria-invalid'), 'true');
    assert.match(await page.textContent('.said'), /^Stopped/);
    await feed(page, lines(5));
    await seen(22);
    await page.fill('.finder input', '^a+$');
    await count('1 line');
    assert.equal(await page.textContent('.said'), '');
    assert.equal(await page.getAttribute('.finder input', 'aria-invalid'), 'false');
    await page.fill('.finder input', '(a+)+$');
    await page.fill('.finder input', '^a+!?$');
    await count('2 lines');
    await feed(page, [line('a')]);
    await count('3 lines');
    assert.deepEqual(await page.evaluate(async () => {
      while (CSS.highlights.get('log-hit').size < 3) await new Promise(requestAnimationFrame);
      return [...CSS.highlights.get('log-hit')].map((range) => String(range).length).sort((a, b) => a - b);
    }), [1, 3, 61]);
    await page.click('[aria-label="Regular expression"]');
  });

  await test('search: where there is no worker it is said, and words are found all the same', async () => {
    await openLog(page, lines(10));
    await page.route('**/search-worker.mjs', (route) => route.fulfill({ status: 404 }));
    await page.click('[aria-label="Regular expression"]');
    await page.fill('.finder input', 'line \\d');
    await has(() => /^Not all could be searched/.test(document.querySelector('.count').textContent));
    await page.unroute('**/search-worker.mjs');
    await page.press('.finder input', 'Enter');
    await count('10 lines');
    await page.click('[aria-label="Regular expression"]');
    await page.fill('.finder input', 'line 1');
    await count('2 lines');
  });

  await test('search: what cannot be loaded is asked for again by Enter', async () => {
    await large(30000, { at: { 40: 'needle' } });
    await page.evaluate(() => { lab.server.fail = 'nobody is home'; });
    await page.fill('.finder input', 'needle');
    await has(() => /nobody is home/.test(document.querySelector('.count').textContent));
    await page.evaluate(() => { lab.server.fail = null; });
    await page.press('.finder input', 'Enter');
    await count('1 line');
  });

  await test('search: over what is not loaded, into folds; the match is marked', async () => {
    await large(30000, { at: { 40: '::group::Early', 50: 'needle 1', 60: '::endgroup::', 15000: 'needle 2' } });
    await page.fill('.finder input', 'needle');
    await count('2 lines');
    await page.press('.finder input', 'Enter');
    await seen(50);
    await page.press('.finder input', 'Enter');
    await seen(15000);
    await drawn(page);
    assert.deepEqual(await page.evaluate(() => [...CSS.highlights.get('log-hit-now')].map(String)),
      ['needle']);
  });

  await test('search: what the server refuses is said', async () => {
    await large(30000);
    await page.evaluate(() => { lab.server.fail = 'nobody is home'; });
    await page.fill('.finder input', 'x');
    await has(() => /nobody is home/.test(document.querySelector('.count').textContent));
  });

  await test('selection and copy take the text and nothing else', async () => {
    await page.evaluate(() => { lab.kept.set('log.time', 'clock'); });
    await openLog(page, ['one', '\x1b[31mtwo\x1b[0m', 'three'].map((text) => line(text)));
    const copied = await page.evaluate(() => {
      const rows = document.querySelectorAll('.row');
      getSelection().setBaseAndExtent(rows[0], 0, rows[2], rows[2].childNodes.length);
      return getSelection().toString();
    });
    assert.deepEqual(copied.trim().split(/\n+/), ['one', 'two', 'three']);
    // As Ctrl+F does.
    const found = (text) => page.evaluate((wanted) => {
      getSelection().removeAllRanges();
      return find(wanted, false, false, true);
    }, text);
    assert.ok(await found('three'), 'the browser finds text');
    assert.ok(!await found(':00]'), 'and not the times');
    await page.evaluate(() => getSelection().removeAllRanges());
  });

  // ---- lines -----------------------------------------------------------

  await test('a range of lines: clicked, shift-clicked, told', async () => {
    await openLog(page, lines(100));
    await scrollTo(page, 0);
    await drawn(page);
    await page.locator('.row .no').nth(9).click();
    await page.locator('.row .no').nth(13).click({ modifiers: ['Shift'] });
    assert.deepEqual(await marked(), [10, 11, 12, 13, 14]);
    await page.locator('.row .no').nth(5).click({ modifiers: ['Shift'] });
    assert.deepEqual(await marked(), [6, 7, 8, 9, 10]);
    assert.deepEqual(await page.evaluate(() => lab.events.filter(({ name }) => name === 'range')
      .map(({ first, last }) => [first, last])), [[10, 10], [10, 14], [6, 10]]);
  });

  await test('a range is opened, loaded, unfolded, and the same while the log grows', async () => {
    await large(50000, { options: { line: { first: 25000, last: 25002 } } });
    await seen(25000);
    assert.deepEqual(await marked(), [25000, 25001, 25002]);
    assert.ok(!await isFollowing(page));
    await openLog(page, [line('::group::A'), line('a'), line('b'), line('::endgroup::'), line('c')]);
    assert.deepEqual(await texts(page), ['A', 'c']);
    assert.ok(await page.evaluate(() => lab.pane.goTo({ first: 3 })));
    assert.deepEqual(await texts(page), ['A', 'a', 'b', 'c']);
    assert.deepEqual(await marked(), [3]);
    assert.ok(!await page.evaluate(() => lab.pane.goTo({ first: 99 })));
    assert.match(await page.textContent('.said'), /no line 99/);
  });

  const steps = (count) => page.evaluate(async (n) => {
    const START_MS = Date.parse('2026-11-22T10:00:00Z');
    const heads = { 1: 1, 20000: 2, 45000: 3 };
    const make = (i) => (heads[i] ? { text: `$ step ${heads[i]}`, note: true, step: heads[i] } : { text: `line ${i}` });
    lab.make({ records: { count: n, make } });
    await lab.open(1);
    lab.pane.record({ state: 'running', steps: [...Object.keys(heads), n + 1].map((at, i) => ({
      name: `step ${i + 1}`, state: 'succeeded', started: at > n ? null : new Date(START_MS + at * 10).toISOString(),
    })) });
    lab.windows = [];
  }, count);

  await test('a step: its beginning is found with few questions, and unfolded', async () => {
    await steps(50000);
    for (const [number, n] of [[2, 20000], [1, 1], [3, 45000], [2, 20000]]) {
      assert.ok(await page.evaluate((step) => lab.pane.goToStep(step), number));
      await seen(n);
      assert.deepEqual(await marked(), [n]);
      assert.equal((await inSight(page))[0], n, 'and what follows it can be read');
    }
    assert.ok(await page.evaluate(() => lab.windows.length) < 12);
    await page.focus('.log-rows');
    await page.keyboard.press('O');
    await has(() => [...document.querySelectorAll('.row')].every((one) => one.classList.contains('head')));
    assert.ok(await page.evaluate(() => lab.pane.goToStep(2)));
    await seen(20001);
    assert.ok(!await page.evaluate(() => lab.pane.goToStep(4)));
    assert.match(await page.textContent('.said'), /no beginning of step 4/);
  });

  await test('a step that began elsewhere than it says is found all the same', async () => {
    await steps(50000);
    await page.evaluate(() => lab.pane.record({ state: 'running', steps: [1, 2, 3].map((i) => ({
      name: 'x', state: 'succeeded', started: `2026-11-22T10:0${9 - i}:00Z` })) }));
    for (const [number, n] of [[3, 45000], [1, 1], [2, 20000]]) {
      assert.ok(await page.evaluate((step) => lab.pane.goToStep(step), number));
      await seen(n);
    }
  });

  await test('who asks for another place is not told that the first one is not there', async () => {
    await page.evaluate(async () => {
      const make = (n) => (n === 20000 ? { text: 'error: no' } : { text: `line ${n}` });
      lab.make({ records: { count: 60000, make }, delayMs: 20 });
      await lab.open(1);
    });
    const said = page.evaluate(() => new Promise((done) => {
      const all = [];
      const target = document.querySelector('.said');
      new MutationObserver(() => {
        all.push(target.textContent);
        if (/^Line 20000/.test(target.textContent)) done(all);
      }).observe(target, { childList: true });
    }));
    await page.click('text=First problem');
    await page.click('text=First problem');
    await page.focus('.log-rows');
    await page.keyboard.press(']');
    await page.click('text=First problem');
    assert.deepEqual((await said).filter((text) => /No error/.test(text)), []);
  });

  await test('a frame that is gone leads to the one that replaced it', async () => {
    await openLog(page, [line('a'), line('1', { cr: true }), line('2', { cr: true }), line('3'), line('b')]);
    await page.evaluate(() => lab.pane.goTo({ first: 3 }));
    assert.deepEqual(await marked(), [4]);
  });

  // ---- columns ---------------------------------------------------------

  const timesOf = () => page.$$eval('.row .at', (all) => all.map((one) => one.dataset.t?.trim()));

  await test('times: stamps, since the start, since the line before, none', async () => {
    await openLog(page, [at(0, 'a'), at(1500, 'b'), at(3601500, 'c')]);
    assert.match((await timesOf())[1], /^\[\d{4}-\d\d-\d\d \d\d:\d\d:01\]$/);
    await page.focus('.log-rows');
    await page.keyboard.press('t');
    assert.deepEqual(await timesOf(), ['0:00.000', '0:01.500', '1:00:01.500']);
    await page.keyboard.press('t');
    assert.deepEqual(await timesOf(), [undefined, '+1.5 s', '+60 min 0 s'].map(
      (text) => text?.replace('60 min 0 s', '1 h 0 min')));
    assert.equal(await page.evaluate(() => lab.kept.get('log.time')), 'delta');
    assert.ok(await page.isVisible('.row .at[data-t]'));
    await page.keyboard.press('t');
    assert.ok(!await page.isVisible('.row .at'));
    await page.evaluate(() => lab.kept.delete('log.time'));
    const { width, height } = page.viewportSize();
    await page.setViewportSize({ width: 360, height: 740 });
    await openLog(page, [at(0, 'a')]);
    assert.deepEqual(await timesOf(), [undefined], 'a phone has no room, unless it is chosen');
    await page.setViewportSize({ width, height });
  });

  await test('wrap and numbers, on and off', async () => {
    await openLog(page, [line('x'.repeat(3000)), line('b')]);
    const wide = () => page.$eval('.log-rows', (one) => one.scrollWidth > one.clientWidth);
    assert.equal(await wide(), false);
    await page.focus('.log-rows');
    await page.keyboard.press('w');
    assert.equal(await wide(), true);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false,
      'the page itself does not scroll sideways');
    await page.keyboard.press('w');
    assert.equal(await wide(), false);
    assert.ok(await page.isVisible('.row .no >> nth=0'));
    await page.keyboard.press('#');
    assert.ok(!await page.isVisible('.row .no >> nth=0'));
  });

  // ---- where the time went, and what went wrong -------------------------

  await test('long pauses have a mark, and a list leads to the longest', async () => {
    let ms = 0;
    const list = Array.from({ length: 3000 }, (_, i) => {
      ms += i === 10 ? 40000 : i === 2000 ? 6000 : i === 2500 ? 1200 : i % 200 === 0 ? 150 : 5;
      return at(ms, `line ${i + 1}`);
    });
    await openLog(page, list);
    await page.click('summary:has-text("Slow places")');
    await has(() => document.querySelectorAll('.slow button').length === 10);
    const found = await page.$$eval('.slow button', (all) => all.map((one) => one.textContent));
    assert.deepEqual(found.slice(0, 4), ['40.0 s before line 11', '6.0 s before line 2001',
      '1.2 s before line 2501', '0.150 s before line 201']);
    await page.click('.slow button >> nth=0');
    await seen(11);
    assert.deepEqual(await page.$$eval('.row[data-heat]', (all) => all.filter(
      (one) => one.row.n < 100).map((one) => [one.row.n, one.dataset.heat, one.dataset.pause])),
    [[11, '3', '40.0 s']]);
    assert.ok(!await page.isVisible('.slow button'));
  });

  await test('the first problem, the next, none', async () => {
    await large(20000, { at: { 300: 'src/a.c:1: error: no such thing', 9000: 'Tests: 0 failed, no errors' },
      stderr: [15000] });
    await page.click('text=First problem');
    await seen(300);
    assert.match(await page.textContent('.said'), /^Line 300: src\/a.c:1: error/);
    assert.ok(await page.locator('.row.problem').count() === 1);
    await page.keyboard.press('Tab');
    await page.focus('.log-rows');
    await page.keyboard.press('e');
    await seen(15000);
    await page.keyboard.press('E');
    await seen(300);
    await page.keyboard.press('E');
    await has(() => /No error/.test(document.querySelector('.said').textContent));
  });

  // ---- keys ------------------------------------------------------------

  await test('all of it by keys', async () => {
    await openLog(page, [line('$ one', { note: true, step: 1 }), ...lines(300),
      line('$ two', { note: true, step: 2 }), ...lines(300)]);
    await page.focus('.log-rows');
    await page.keyboard.press('Home');
    await seen(1);
    await page.keyboard.press(']');
    await seen(302);
    await page.keyboard.press('o');
    await has(() => [...document.querySelectorAll('.head')].some((one) => one.row.n === 302
      && one.querySelector('.fold').ariaExpanded === 'false'));
    await page.keyboard.press('O');
    await has(() => document.querySelectorAll('.row').length === 2);
    await page.keyboard.press('O');
    await has(() => document.querySelectorAll('.row').length === 602);
    await page.keyboard.press('End');
    await seen(602);
    assert.ok(await isFollowing(page));
    await page.keyboard.press('g');
    await page.keyboard.type('120-122');
    await page.keyboard.press('Enter');
    await seen(120);
    assert.deepEqual(await marked(), [120, 121, 122]);
    await page.focus('.log-rows');
    await page.keyboard.press('/');
    await page.keyboard.type('line 299');
    await count('2 lines');
    await page.keyboard.press('Enter');
    await page.focus('.log-rows');
    await page.keyboard.press('n');
    await page.keyboard.press('N');
    assert.match(await page.textContent('.count'), /of 2 lines/);
    await page.keyboard.press('s');
    await page.waitForSelector('.slow li');
    await page.keyboard.press('Escape');
    assert.ok(!await page.isVisible('.slow li'));
  });

  await test('names and roles; nothing but milestones is announced', async () => {
    await openLog(page, lines(10));
    assert.equal(await page.getAttribute('.log-rows', 'role'), 'log');
    assert.equal(await page.getAttribute('.log-rows', 'aria-live'), 'off');
    const unnamed = await page.$$eval('#log :is(button, input, summary)', (all) => all.filter((one) => !(
      one.ariaLabel || one.textContent.trim() || one.labels?.[0]?.textContent.trim())).length);
    assert.equal(unnamed, 0);
    const live = await page.$$eval('[role="status"], [role="alert"]', (all) => all.map(
      (one) => one.textContent));
    await feed(page, lines(100));
    assert.deepEqual(await page.$$eval('[role="status"], [role="alert"]', (all) => all.map(
      (one) => one.textContent)), live);
  });

  await test('in Chinese too, with the same texts', async () => {
    const missing = await page.evaluate(async () => {
      const { en, zh } = await import('/js/log/words.mjs');
      const names = (text) => (text.match(/\{\w+\}/g) ?? []).sort().join();
      return [...Object.keys(en).filter((key) => names(zh[key] ?? '?') !== names(en[key])),
        ...Object.keys(zh).filter((key) => !(key in en))];
    });
    assert.deepEqual(missing, []);
    await page.evaluate(() => { lab.language = 'zh'; });
    await openLog(page, lines(3));
    assert.ok(await page.isVisible('text=第一个问题'));
  });

  await test('times and counts follow the language', async () => {
    const list = [at(0, '$ a', { note: true, step: 1 }), at(63000, 'a', { }), at(64500, '::group::g'), at(64504, 'x'),
      at(64510, '::endgroup::'), ...lines(300, (n) => `line ${n}`).map((one, i) => ({ ...one, ms: START + 70000 + i }))];
    const said = {
      en: { took: '0.010 s', delta: ['+1 min 3 s', '+1.5 s'], slow: '1 min 3 s before line 2', unseen: '1,234 new lines',
        count: '1,534 lines', heat: '1 min 3 s', step: '1 h 2 min' },
      zh: { took: '0.010 秒', delta: ['+1 分 3 秒', '+1.5 秒'], slow: '第 2 行之前 1 分 3 秒', unseen: '1,234 条新行',
        count: '1,534 行匹配', heat: '1 分 3 秒', step: '1 小时 2 分' },
    };
    for (const [language, want] of Object.entries(said)) {
      await page.evaluate((name) => {
        lab.language = name;
        document.documentElement.lang = name;
      }, language);
      await openLog(page, list);
      await page.evaluate(() => lab.pane.record({ state: 'succeeded', steps: [{ name: 'a', state: 'succeeded',
        started: '2026-11-22T10:00:00Z', ended: '2026-11-22T11:02:00Z' }] }));
      await page.focus('.log-rows');
      await page.keyboard.press('Home');
      await seen(1);
      while (await page.getAttribute('#log', 'data-time') !== 'delta') await page.keyboard.press('t');
      assert.deepEqual((await timesOf()).slice(1, 3), want.delta);
      assert.equal(await page.$eval('.group-head .took', (one) => one.dataset.took), want.took);
      assert.equal(await page.$eval('.step-head .took', (one) => one.dataset.took), want.step);
      assert.equal(await page.$eval('.row[data-heat="3"]', (one) => one.dataset.pause), want.heat);
      await feed(page, lines(1234));
      assert.equal(await page.textContent('.log-newest'), want.unseen);
      await page.fill('.finder input', 'line');
      await count(want.count);
      await page.fill('.finder input', '');
      await page.click('.menu >> nth=0');
      await has((text) => document.querySelector('.slow button')?.textContent === text, want.slow);
      await page.keyboard.press('Escape');
    }
    await page.evaluate(() => { document.documentElement.lang = 'de'; lab.language = 'en'; });
    await openLog(page, lines(100));
    await scrollTo(page, 0);
    await has(() => document.querySelector('#log').dataset.follow === 'off');
    await feed(page, lines(1234));
    assert.equal(await page.textContent('.log-newest'), '1.234 new lines', 'of a language that writes them otherwise');
    await page.evaluate(() => { document.documentElement.lang = 'en'; });
  });

  await test('while it is opened: lines that come wait, keys do no harm', async () => {
    const opened = page.evaluate(() => {
      lab.make({ records: [{ text: 'a' }], delayMs: 300 });
      const open = lab.open(1);
      lab.feed([{ text: 'b' }]);
      return open;
    });
    for (const key of ['End', 'Home', 'o', 'O', 'e', ']', 't', 'w', 'n']) {
      await page.focus('.log-rows');
      await page.keyboard.press(key);
    }
    await opened;
    await has(() => document.querySelectorAll('.row').length === 2);
    assert.deepEqual(await texts(page), ['a', 'b']);
  });

  await test('a server that does not let one in', async () => {
    const why = await page.evaluate(async () => {
      lab.make({ records: [], fail: 'not for you' });
      return lab.open(1).then(() => 'opened', (error) => error.message);
    });
    assert.equal(why, 'not for you');
    for (const key of ['End', 'Home', 'O']) await page.keyboard.press(key);
  });

  // ---- all of it? ------------------------------------------------------

  const verified = (records, change = {}, live = records.length) => page.evaluate(
    async ([all, other, from]) => {
      lab.make({ records: all.slice(0, from) });
      await lab.open(1);
      lab.feed(all.slice(from));
      lab.pane.record({ ...await lab.final(all), ...other });
      return lab.pane.verify();
    }, [records, change, live]);
  const mixed = [line('a'), line('ü', { partial: true }), line('中文 😀'), line('1', { cr: true }),
    line(''), line('e', { stream: 'stderr' }), ...lines(700), line('Build finished', { note: true })];

  await test('complete: loaded, live, and some of each', async () => {
    for (const live of [mixed.length, 0, 1, 400]) assert.equal(await verified(mixed, {}, live), 'complete');
    assert.equal(await verified([line('')]), 'complete');
  });

  await test('incomplete: another digest, a line or a byte less or more', async () => {
    const text = mixed.length;
    assert.equal(await verified(mixed, { sha256: '0'.repeat(64) }), 'incomplete');
    assert.equal(await verified(mixed, { lines: text }), 'incomplete');
    assert.equal(await verified(mixed, { bytes: 1 }), 'incomplete');
    assert.equal(await verified(mixed, { bytes: 1e6 }), 'incomplete');
  });

  await test('lines: no digest to compare with, or nothing to make one', async () => {
    assert.equal(await verified(mixed, { sha256: null }), 'lines');
    assert.equal(await verified(mixed, { sha256: null, bytes: 1e6 }), 'incomplete');
    assert.equal(await page.evaluate(async () => {
      const final = await lab.final([{ text: 'a' }]);
      const { subtle } = crypto;
      Object.defineProperty(crypto, 'subtle', { value: undefined, configurable: true });
      lab.make({ records: [{ text: 'a' }] });
      await lab.open(1);
      lab.pane.record(final);
      const word = await lab.pane.verify();
      Object.defineProperty(crypto, 'subtle', { value: subtle, configurable: true });
      return word;
    }), 'lines');
  });

  await test('complete: with what was not loaded fetched for it', async () => {
    assert.equal(await page.evaluate(async () => {
      const all = Array.from({ length: 6000 }, (_, i) => ({ text: `line ${i}` }));
      lab.make({ records: all });
      await lab.open(1);
      lab.pane.record(await lab.final(all));
      return `${await lab.pane.verify()}, ${await lab.pane.verify({ whole: true })}`;
    }), 'part, complete');
  });

  await test('complete: what is missing is fetched first', async () => {
    assert.equal(await page.evaluate(async () => {
      const all = Array.from({ length: 300 }, (_, i) => ({ text: `line ${i}` }));
      lab.make({ records: all.slice(0, 100), delayMs: 100 });
      await lab.open(1);
      all.slice(100).forEach((one) => lab.server.add(one));
      lab.pane.gap({});
      lab.pane.record(await lab.final(all));
      return lab.pane.verify();
    }), 'complete');
    assert.deepEqual(await page.evaluate(async () => {
      lab.server.fail = 'nobody is home';
      lab.pane.gap({});
      const why = await lab.pane.verify().catch((error) => error.message);
      lab.server.fail = null;
      document.querySelector('.log-failure button').click();
      return [why, await lab.pane.verify()];
    }), ['nobody is home', 'complete']);
  });

  await test('part: not all was loaded, or the log itself has a hole', async () => {
    assert.equal(await verified(lines(5000), {}), 'part');
    assert.equal(await verified([...mixed, line('left out', { note: true, gap: true })]), 'part');
    // Where nobody has looked yet, too.
    assert.equal(await page.evaluate(async () => {
      const all = Array.from({ length: 6000 }, (_, i) => ({ text: `line ${i}` }));
      all[70] = { text: 'left out', note: true, gap: true };
      lab.make({ records: all });
      await lab.open(1);
      lab.pane.record(await lab.final(all));
      return lab.pane.verify({ whole: true });
    }), 'part');
  });

  await test('what cannot be loaded is said, and can be asked for again', async () => {
    await large(20000);
    await page.evaluate(() => { lab.server.fail = 'the server is busy'; });
    await scrollTo(page, 0);
    await page.waitForSelector('.log-failure:not([hidden])');
    assert.match(await page.textContent('.log-failure'), /the server is busy/);
    await page.evaluate(() => { lab.server.fail = null; });
    await page.click('.log-failure button');
    await has(() => [...document.querySelectorAll('.row')].some((one) => one.row.n < 300));
  });

  await test('a server that answers with less than was asked', async () => {
    await page.evaluate(async () => {
      lab.make({ records: { count: 3000, make: (n) => ({ text: `line ${n}` }) }, most: 70 });
      await lab.open(1);
    });
    await page.focus('.log-rows');
    await page.keyboard.press('Home');
    await seen(1);
    await has(() => document.querySelectorAll('.row').length > 2000);
    assert.ok(await page.$$eval('.row', (all) => all.every(
      (one, i) => i === 0 || one.row.n === all[i - 1].row.n + 1)));
  });
}, { viewport: { width: 1280, height: 720 } });
