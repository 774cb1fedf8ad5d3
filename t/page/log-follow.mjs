// SPDX-License-Identifier: Apache-2.0
// log-follow.mjs - following, and what a reader does against it: wheel, touch,
// keys, scrollbar, selection; and what is selected, copied, found by the browser
import assert from 'node:assert/strict';

import { note, ok, run } from './lib.mjs';
import { WAIT_MS, drawn, feed, inSight, isFollowing, openLab, openLog, scrollTo } from './log-lib.mjs';

const line = (text, more = {}) => ({ text, ...more });
const lines = (count, make = (n) => `line ${n}`) => Array.from({ length: count },
  (_, i) => line(make(i + 1)));

await run(async ({ page, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await openLab(page);
  const tools = await context.newCDPSession(page);

  async function test(name, body) {
    try {
      await page.evaluate(() => { lab.kept.clear(); lab.events = []; getSelection().removeAllRanges(); });
      await body();
      ok(true, name);
    } catch (error) {
      ok(false, name);
      note(error.stack ?? error);
    }
    await stream(0);
  }
  const has = (condition, value) => page.waitForFunction(condition, value, { timeout: WAIT_MS });
  const followIs = (on) => has((want) => document.querySelector('#log').dataset.follow === want, on ? 'on' : 'off');
  const box = () => page.locator('.log-rows').boundingBox();
  const last = () => page.evaluate(() => document.querySelector('.chunk:last-child .row:last-child').row.n);

  // A stream at a rate, until the next one is asked for.
  const stream = (perSecond) => page.evaluate((rate) => {
    clearInterval(lab.timer);
    if (rate === 0) return;
    let due = 0;
    lab.timer = setInterval(() => {
      due += rate / 50;
      lab.feed(Array.from({ length: Math.floor(due) }, () => ({ text: 'more and more' })));
      due -= Math.floor(due);
    }, 20);
  }, perSecond);

  // A finger that moves by so many pixels, and stops.
  async function swipe(px) {
    const { x, y, height } = await box();
    const at = (way) => ({ x: x + 300, y: y + height / 2 + way });
    const touch = (type, ...touchPoints) => tools.send('Input.dispatchTouchEvent', { type, touchPoints });
    await touch('touchStart', at(-px / 2));
    for (let i = 1; i <= 10; i += 1) await touch('touchMove', at(px * (i / 10 - 0.5)));
    for (let i = 0; i < 5; i += 1) await touch('touchMove', at(px / 2 + (i % 2) / 10));
    await touch('touchEnd');
  }

  // Where the scrollbar's thumb is: between two arrows, not smaller than its width.
  // While it follows it is at the end, also between a line and the next frame.
  const thumb = () => page.$eval('.log-rows', (one) => {
    const { right, top, height } = one.getBoundingClientRect();
    const track = height - 32;
    const size = Math.max(20, track * one.clientHeight / one.scrollHeight);
    const share = document.querySelector('#log').dataset.follow === 'on'
      ? 1 : one.scrollTop / (one.scrollHeight - one.clientHeight);
    return { x: right - 7, y: top + 16 + (track - size) * share + size / 2, bottom: top + height };
  });
  const still = async () => {
    for (let before = -1, now = 0; before !== now;) {
      before = now;
      await page.waitForTimeout(60);
      await drawn(page);
      now = await page.$eval('.log-rows', ({ scrollTop }) => scrollTop);
    }
  };

  // As a hand does it: not all in one frame.
  async function drag(to) {
    const from = await thumb();
    await page.mouse.move(from.x, from.y);
    await page.mouse.down();
    await drawn(page);
    for (let i = 1; i <= 8; i += 1) {
      await page.mouse.move(from.x, from.y + (to(from) - from.y) * i / 8);
      await drawn(page);
    }
    await page.mouse.up();
  }

  // how: up(), down()
  const ways = {
    wheel: {
      up: async () => { await page.mouse.move(400, 300); await page.mouse.wheel(0, -60); },
      down: async () => { await page.mouse.wheel(0, 1e6); },
    },
    touch: { up: () => swipe(150), down: async () => { for (let i = 0; i < 4; i += 1) await swipe(-400); } },
    'arrow keys': {
      up: async () => { await page.focus('.log-rows'); await page.keyboard.press('ArrowUp'); },
      down: async () => { for (let i = 0; i < 5; i += 1) await page.keyboard.press('ArrowDown'); },
    },
    'page keys': {
      up: async () => { await page.focus('.log-rows'); await page.keyboard.press('PageUp'); },
      down: async () => { for (let i = 0; i < 3; i += 1) await page.keyboard.press('PageDown'); },
    },
    'the End key': {
      up: async () => { await page.focus('.log-rows'); await page.keyboard.press('Shift+Space'); },
      down: () => page.keyboard.press('End'),
    },
    'the button': {
      up: async () => { await page.mouse.move(400, 300); await page.mouse.wheel(0, -600); },
      down: () => page.click('.log-newest'),
    },
    'the scrollbar': {
      up: () => drag(({ y }) => y - 80),
      down: () => drag(({ bottom }) => bottom),
    },
  };
  for (const [name, { up, down }] of Object.entries(ways)) {
    await test(`up by ${name} ends the following, down to the end brings it back`, async () => {
      await openLog(page, lines(300));
      await followIs(true);
      await up();
      await followIs(false);
      await still();
      const [first] = await inSight(page);
      await feed(page, lines(1));
      await has(() => document.querySelector('.log-newest').textContent === '1 new line');
      assert.equal((await inSight(page))[0], first);
      await down();
      await followIs(true);
      assert.ok(await page.isHidden('.log-newest'));
      await feed(page, lines(30));
      assert.equal((await inSight(page)).at(-1), 331);
    });
  }

  for (const [kind, rate] of [['steady stream', 300], ['flood', 10000]]) {
    for (const name of ['wheel', 'touch', 'page keys', 'the scrollbar']) {
      await test(`in a ${kind}: up by ${name} ends the following`, async () => {
        await openLog(page, lines(3000));
        await stream(rate);
        await has(() => document.querySelector('.chunk:last-child .row:last-child')?.row.n > 3100);
        await ways[name].up();
        await followIs(false);
        await still();
        const before = await inSight(page);
        await has((n) => document.querySelector('.log-newest').textContent.replace(/\D/g, '') > n, rate / 3);
        assert.deepEqual(await inSight(page), before, 'what is read stays');
        await stream(0);
        await page.focus('.log-rows');
        await page.keyboard.press('End');
        await followIs(true);
      });
    }
  }

  await test('the end of a log that is far ahead is reached by scrolling there', async () => {
    await openLog(page, lines(300));
    await scrollTo(page, 0);
    await followIs(false);
    await page.evaluate(() => lab.burst(40000, 0, () => ({ text: 'more' })));
    await drawn(page);
    await page.mouse.move(400, 300);
    await page.mouse.wheel(0, 1e8);
    await followIs(true);
    await stream(2000);
    await has(() => document.querySelector('.chunk:last-child .row:last-child')?.row.n > 40300);
    await stream(0);
    await drawn(page);
    assert.equal((await inSight(page)).at(-1), await last());
  });

  // ---- selection -------------------------------------------------------

  // From the middle of the row at this height to that of another one.
  const select = async (from, to) => {
    const middle = (px) => page.evaluate((height) => {
      const view = document.querySelector('.log-rows').getBoundingClientRect();
      const text = document.elementFromPoint(view.left + 300, view.top + height).closest('.row').querySelector('.text');
      const { top, height: of } = text.getBoundingClientRect();
      return Math.round(top + of / 2);
    }, px);
    const [start, end] = [await middle(from), await middle(to)];
    await page.mouse.move(300, start);
    await page.mouse.down();
    await page.mouse.move(330, end, { steps: 4 });
    assert.notEqual(await page.evaluate(() => String(getSelection())), '');
  };

  await test('nothing moves while one selects; without a selection it is followed again', async () => {
    await openLog(page, lines(300, (n) => `line ${n} ${'x'.repeat(80)}`));
    await select(200, 260);
    const chosen = await page.evaluate(() => String(getSelection()));
    assert.match(chosen, /line \d+ x/);
    const before = await inSight(page);
    await feed(page, lines(50));
    await page.mouse.up();
    await feed(page, lines(50));
    assert.deepEqual(await inSight(page), before);
    assert.equal(await page.evaluate(() => String(getSelection())), chosen);
    assert.equal(await page.textContent('.log-newest'), '100 new lines');
    const { x, y } = await box();
    await page.mouse.click(x + 300, y + 100);
    assert.ok(!await isFollowing(page), 'it is not jumped to, there is more than was seen');
    await page.click('.log-newest');
    await followIs(true);
    await select(300, 330);
    await followIs(false);
    await page.mouse.up();
    await page.mouse.click(x + 300, y + 100);
    await followIs(true);
    await page.focus('.finder input');
    await page.keyboard.type('abc');
    await page.keyboard.press('Control+a');
    await feed(page, lines(5));
    assert.ok(await isFollowing(page), 'a selection elsewhere is another matter');
    await page.fill('.finder input', '');
  });

  await test('who goes to the end with a selection does not follow', async () => {
    await openLog(page, lines(300, (n) => `line ${n} ${'x'.repeat(80)}`));
    await scrollTo(page, 4000);
    await followIs(false);
    await select(100, 200);
    await page.mouse.wheel(0, 1e6);
    await has(() => {
      const all = document.querySelector('.log-rows');
      return all.scrollHeight - all.scrollTop - all.clientHeight < 5;
    });
    await feed(page, lines(50));
    assert.ok(!await isFollowing(page));
    await page.mouse.up();
    await feed(page, lines(50));
    assert.ok(!await isFollowing(page));
  });

  await test('while a pointer is down nothing moves, and then it is followed on', async () => {
    await openLog(page, lines(300));
    const { x, y } = await box();
    await page.mouse.move(x + 300, y + 100);
    await page.mouse.down();
    const before = await inSight(page);
    await feed(page, lines(500));
    assert.deepEqual(await inSight(page), before);
    await page.mouse.up();
    await has(() => document.querySelector('.chunk:last-child .row:last-child').row.n === 800);
    assert.ok(await isFollowing(page));
    assert.equal((await inSight(page)).at(-1), 800);
  });

  const copied = async () => {
    await page.evaluate(() => navigator.clipboard.writeText('nothing'));
    await page.keyboard.press('Control+c');
    return page.evaluate(() => navigator.clipboard.readText());
  };
  const selectRows = (from, to) => page.evaluate(([a, b]) => {
    const texts = [...document.querySelectorAll('.row .text')];
    getSelection().setBaseAndExtent(texts[a], 0, texts[b], texts[b].childNodes.length);
  }, [from, to]);

  await test('what is copied are the lines as they were', async () => {
    const all = ['one', '', '  two  ', '', '', 'tab\tbed', 'see https://a.example/x, there', '中文 \u202e!',
      'x'.repeat(100000), 'end'];
    await openLog(page, all.map((text) => line(text)).flatMap((one) => (one.text.length < 20000 ? [one]
      : [...one.text.match(/.{1,16384}/g)].map((text, i, { length }) => line(text, i < length - 1 ? { partial: true } : {})))));
    assert.ok(await page.locator('.row').count() > all.length);
    await selectRows(0, await page.locator('.row').count() - 1);
    const got = await copied();
    assert.ok(got === all.join('\n'), got.slice(0, 200));
    await page.evaluate(() => {
      const [a, , b] = document.querySelectorAll('.row .text');
      getSelection().setBaseAndExtent(a.firstChild, 1, b.firstChild, 4);
    });
    assert.equal(await copied(), 'ne\n\n  tw');
    await openLog(page, ['\x1b[31mred\x1b[0m and', '\x1b[1;42mgreen', 'see \x1b[4mhttps://a.example/\x1b[24mx'].map((text) => line(text)));
    await selectRows(0, 2);
    assert.equal(await copied(), 'red and\ngreen\nsee https://a.example/x');
    // What is left out of a line that is too long is said, and not copied.
    await openLog(page, [...Array.from({ length: 40 }, () => line('y'.repeat(16384), { partial: true })), line(''), line('z')]);
    await selectRows(await page.locator('.row').count() - 2, await page.locator('.row').count() - 1);
    assert.match(await copied(), /^y+\nz$/);
  });

  await test('Select all, in the log, are its lines', async () => {
    await openLog(page, [line('a'), line(''), line('b', { stream: 'stderr' })]);
    await page.focus('.log-rows');
    await page.keyboard.press('Control+a');
    assert.equal(await copied(), 'a\n\nb');
    assert.equal(await page.textContent('.said'), '');
    await page.evaluate(async () => {
      lab.make({ records: { count: 50000, make: (n) => ({ text: `line ${n}` }) } });
      await lab.open(1);
    });
    await page.focus('.log-rows');
    await page.keyboard.press('Control+a');
    assert.match(await page.textContent('.said'), /selected, of lines \d+ to 50000; the download has all 50,000/);
  });

  await test('the browser\'s search: all of a small log; of a large one it is said what not', async () => {
    await openLog(page, lines(3000));
    await has(() => document.querySelectorAll('.row').length === 3000);
    await page.focus('.log-rows');
    for (const key of ['Control+f', 'F3']) await page.keyboard.press(key);
    assert.equal(await page.textContent('.said'), '');
    assert.ok(await page.evaluate(() => find('line 17')));
    await openLog(page, [line('::group::A'), line('a'), line('::endgroup::'), line('b')]);
    await page.keyboard.press('Control+f');
    assert.match(await page.textContent('.said'), /loaded and unfolded/);
    await page.evaluate(async () => {
      lab.make({ records: { count: 200000, make: (n) => ({ text: `line ${n}` }) } });
      await lab.open(1);
    });
    await page.keyboard.press('Control+f');
    assert.match(await page.textContent('.said'), /of lines \d+ to 200000; the search above \( \/ \) finds all 200,000/);
  });
}, { viewport: { width: 1280, height: 720 }, hasTouch: true, ignoreDefaultArgs: ['--hide-scrollbars'] });
