// SPDX-License-Identifier: Apache-2.0
// log-rows.mjs - from records to rows: pieces, frames, colours, links, what
// output must not do to the page, and what folds
import assert from 'node:assert/strict';

import { allowErrors, note, ok, run } from './lib.mjs';
import { WAIT_MS, drawn, feed, numbers, openLab, openLog, shownNumbers, texts } from './log-lib.mjs';

const line = (text, more = {}) => ({ text, ...more });
const err = (text, more = {}) => ({ text, stream: 'stderr', ...more });
const step = (text, n) => ({ text, note: true, step: n });

async function test(name, body) {
  try {
    await body();
    ok(true, name);
  } catch (error) {
    ok(false, name);
    note(error.stack ?? error);
  }
}

// A link that is followed on purpose.
allowErrors(/request to another host: https:\/\/b\.example\//);

await run(async ({ page }) => {
  await openLab(page);
  await page.evaluate(() => { globalThis.harm = 0; });

  // ---- rows ------------------------------------------------------------

  // name, records, texts of the rows, their numbers
  const rows = [
    ['whole lines', [line('a'), line(''), line('c')], ['a', '', 'c'], [1, 2, 3]],
    ['pieces of a line', [line('a', { partial: true }), line('b', { partial: true }), line('c'),
      line('d')], ['abc', 'd'], [1, 2]],
    ['pieces with the other stream between', [line('a', { partial: true }), err('x'), line('b')],
      ['ab', 'x'], [2, 1]],
    ['frames of a progress bar', [line('1 %', { cr: true }), line('2 %', { cr: true }),
      line('done'), line('next')], ['done', 'next'], [3, 4]],
    ['a frame that nothing replaces yet', [line('1 %', { cr: true })], ['1 %'], [1]],
    ['frames of both streams', [line('1', { cr: true }), err('x', { cr: true }), line('2'),
      err('y')], ['2', 'y'], [3, 4]],
    ['a frame that is erased', [line('1 %', { cr: true }), line('\x1b[K')], [''], [2]],
    ['a note closes nothing but is a row', [line('a', { partial: true }), line('n', { note: true }),
      line('b')], ['ab', 'n'], [2, 1]],
    ['a step closes what is open', [line('a', { partial: true }), step('$ b', 1), line('c')],
      ['a', '$ b', 'c'], ['', 1, 2]],
    ['both streams begin a line', [line('a', { partial: true }), err('x', { partial: true })],
      ['a', 'x'], [1, '']],
    ['the first that ends has the number', [line('a', { partial: true }), err('x', { partial: true }),
      err('y'), line('b', { partial: true })], ['ab', 'xy'], [2, 1]],
    ['it may be the one that began first', [line('a', { partial: true }), err('x', { partial: true }),
      line('b', { partial: true }), line('c'), err('y')], ['abc', 'xy'], [1, 2]],
    ['a line that nobody ends', [line('a', { partial: true }), err('x'), err('y')], ['a', 'x', 'y'], ['', 1, 2]],
    ['frames with the other stream between', [line('1', { cr: true }), err('x'), line('2', { partial: true }),
      err('y'), line('', { cr: true })], ['2', 'x', 'y'], [4, 2, 3]],
    ['an interrupted line that goes over into the next chunk', [...Array.from({ length: 98 }, () => line('z')),
      line('a', { partial: true }), ...Array.from({ length: 4 }, () => err('x')), line('b')],
    [...Array.from({ length: 98 }, () => 'z'), 'a', 'x', 'x', 'x', 'x', 'b'],
    [...Array.from({ length: 98 }, (_, i) => i + 1), '', 99, 100, 101, 102, 103]],
  ];
  for (const [name, records, want, wantNumbers] of rows) {
    await test(`${name}: loaded`, async () => {
      await openLog(page, records);
      assert.deepEqual(await texts(page), want);
      assert.deepEqual(await shownNumbers(page), wantNumbers.map(String));
    });
    await test(`${name}: the first of them loaded, the others live`, async () => {
      for (const loaded of [1, 2]) {
        await openLog(page, records.slice(0, loaded));
        await feed(page, records.slice(loaded));
        assert.deepEqual(await texts(page), want);
        assert.deepEqual(await shownNumbers(page), wantNumbers.map(String));
      }
    });
    await test(`${name}: live, one by one`, async () => {
      await openLog(page, []);
      for (const record of records) await feed(page, [record]);
      assert.deepEqual(await texts(page), want);
      assert.deepEqual(await shownNumbers(page), wantNumbers.map(String));
    });
  }

  await test('a link to a line leads to the row that ends it, and to no other', async () => {
    await openLog(page, [line('a', { partial: true }), err('x'), line('1', { cr: true }), err('y'),
      line('2', { cr: true }), line('3')]);
    assert.deepEqual(await texts(page), ['3', 'x', 'y']);
    const marked = () => page.$$eval('.row.marked .text', (all) => all.map((one) => one.textContent));
    for (const [n, want] of [[1, 'x'], [2, '3'], [3, 'y'], [4, '3'], [5, '3']]) {
      await page.evaluate((first) => lab.pane.goTo({ first }), n);
      assert.deepEqual(await marked(), [want], `line ${n}`);
    }
    await openLog(page, [line('a', { partial: true }), err('x'), err('y')]);
    await page.evaluate(() => lab.pane.goTo({ first: 1 }));
    assert.deepEqual(await marked(), ['x']);
    assert.match(await page.getAttribute('.row .no', 'title'), /where it ends/);
    await page.locator('.row .no').first().click();
    assert.deepEqual(await marked(), ['x'], 'what has no number is no place for a link');
    await feed(page, [line('b')]);
    assert.deepEqual(await texts(page), ['ab', 'x', 'y']);
    assert.match(await page.getAttribute('.row .no', 'title'), /Begins in line 1 .* line 3/);
  });

  await test('a long line that the other stream interrupts goes on in more rows', async () => {
    const records = [];
    for (let i = 0; i < 40; i += 1) records.push(line(String(i % 10).repeat(16384), { partial: true }), err(`e${i}`));
    await openLog(page, [...records, line('end')]);
    const all = await texts(page);
    assert.ok(all.every((text) => text.length < 70000), `${Math.max(...all.map(({ length }) => length))}`);
    assert.ok(all.some((text) => /more characters/.test(text)));
    const shown = (await shownNumbers(page)).filter(Boolean);
    assert.deepEqual(shown, ['41', ...Array.from({ length: 40 }, (_, i) => String(i + 1))]);
  });

  await test('a line without end goes on in more rows, then is only counted', async () => {
    const pieces = Array.from({ length: 40 }, (_, i) => line(String(i % 10).repeat(16384),
      { partial: true }));
    await openLog(page, [...pieces, line('end'), line('next')]);
    const all = await texts(page);
    assert.equal(all.at(-1), 'next');
    assert.ok(all.length <= 10, `${all.length} rows`);
    assert.match(all.at(-2), /more characters/);
    assert.ok(all.every((text) => text.length < 70000));
  });

  await test('a line that comes twice is shown once', async () => {
    await openLog(page, [line('a')]);
    await page.evaluate(() => {
      const one = { build: 1, id: '9763805600123456', time: '2026-11-22T11:00:00Z', text: 'b',
        stream: 'stdout' };
      lab.pane.take(one);
      lab.pane.take(one);
    });
    await drawn(page);
    assert.deepEqual(await texts(page), ['a', 'b']);
  });

  await test('all builds: lines that are gone by the time they are drawn are none', async () => {
    const rows = await page.evaluate(async () => {
      const { Model } = await import('/js/log/model.mjs');
      const model = new Model(null, () => Promise.reject(new Error('asked')));
      for (let i = 0; i < 5000; i += 1) model.take({ text: `${i}`, time: '2026-11-22T10:00:00Z', build: 1 });
      return (await model.rows(0)).all.length;
    });
    assert.equal(rows, 0);
  });

  await test('all builds: each line says of which, and nothing is asked for', async () => {
    await openLog(page, [], { build: null });
    await feed(page, [line('a', { build: 7 }), line('b', { build: 8, partial: true }),
      line('x', { build: 7 }), line('c', { build: 8 })]);
    assert.deepEqual(await texts(page), ['a', 'bc', 'x']);
    assert.deepEqual(await page.$$eval('.row .of', (all) => all.map((one) => one.textContent)),
      ['#7', '#8', '#7']);
    await page.evaluate(() => lab.pane.gap({}));
    await drawn(page);
    assert.match((await texts(page)).at(-1), /missing/);
    assert.equal(await page.evaluate(() => lab.windows.length), 0);
  });

  await test('a gap in the stream of a build is fetched', async () => {
    await openLog(page, [line('a'), line('b')]);
    await page.evaluate(async () => {
      lab.server.add({ text: 'c' });
      lab.server.add({ text: 'd' });
      lab.pane.gap({});
      // Sent again by the stream: d is known by its id.
      lab.pane.take(lab.server.all[3]);
      lab.fed = 0;
      lab.feed([{ text: 'e' }]);
    });
    await page.waitForFunction(() => document.querySelectorAll('.row').length === 5);
    assert.deepEqual(await texts(page), ['a', 'b', 'c', 'd', 'e']);
    assert.deepEqual(await numbers(page), [1, 2, 3, 4, 5]);
  });

  // ---- colours and links -----------------------------------------------

  const spans = () => page.$$eval('.row .text span', (all) => all.map(
    (one) => [one.textContent, one.className]));

  await test('colours are classes, and go on in the next line of the stream', async () => {
    await openLog(page, [line('\x1b[31mred\x1b[0m no \x1b[1;92mgreen'), err('plain'),
      line('still\x1b[m not'), line('\x1b[3;4;9;2mall')]);
    assert.deepEqual(await spans(), [['red', 'ansi-red-fg'],
      ['green', 'ansi-bold ansi-bright-green-fg'], ['still', 'ansi-bold ansi-bright-green-fg'],
      ['all', 'ansi-faint ansi-italic ansi-underline ansi-struck']]);
    assert.deepEqual(await texts(page), ['red no green', 'plain', 'still not', 'all']);
  });

  await test('256 and true colours, with semicolons and colons, are properties', async () => {
    await openLog(page, [line('\x1b[38;5;208ma\x1b[0m\x1b[38;2;1;2;3mb\x1b[0m\x1b[38:2::4:5:6mc'
      + '\x1b[0m\x1b[38:5:16md\x1b[0m')]);
    const found = await page.$$eval('.row .text span',
      (all) => all.map((one) => one.style.getPropertyValue('--rgb')));
    assert.deepEqual(found, ['rgb(255 135 0)', 'rgb(1 2 3)', 'rgb(4 5 6)', 'rgb(0 0 0)']);
  });

  await test('on a ground the text is made legible', async () => {
    await openLog(page, [line('\x1b[41;31ma\x1b[0m\x1b[7;32mb\x1b[0m\x1b[7mc\x1b[27md\x1b[0m'
      + '\x1b[48;5;231;97me')]);
    const found = await page.$$eval('.row .text span', (all) => all.map(
      (one) => [one.textContent, one.style.backgroundColor, one.style.color, one.className]));
    assert.deepEqual(found, [
      ['a', 'rgb(187, 0, 0)', 'rgb(255, 255, 255)', ''],
      ['b', 'rgb(0, 187, 0)', 'rgb(0, 0, 0)', ''],
      ['c', '', '', 'ansi-inverse'],
      ['e', 'rgb(255, 255, 255)', 'rgb(0, 0, 0)', ''],
    ]);
  });

  await test('a link is one only to http and https', async () => {
    const link = (to, text) => `\x1b]8;;${to}\x1b\\${text}\x1b]8;;\x1b\\`;
    await openLog(page, ['https://a.example/x?y=1', 'http://b.example/', 'javascript:harm=1',
      'JaVaScRiPt:harm=1', 'data:text/html,<script>harm=1</script>', 'file:///etc/passwd',
      ' javascript:harm=1', 'java\tscript:harm=1', '//c.example/', '/api/project/build',
      'vbscript:x', 'https:\\\\', 'http://'].map((to) => line(link(to, 'text') + ' after')));
    assert.deepEqual(await page.$$eval('.row .text a', (all) => all.map((one) => one.href)),
      ['https://a.example/x?y=1', 'http://b.example/']);
    assert.ok(await page.$$eval('.row .text a', (all) => all.every(
      (one) => /noopener/.test(one.rel) && one.textContent === 'text')));
    assert.ok((await texts(page)).every((text) => text === 'text after'));
  });

  await test('a link over colours, ended by BEL, with parameters', async () => {
    await openLog(page, [line('\x1b]8;id=1;https://a.example/\x07\x1b[31mre\x1b[1md\x1b[0m\x1b]8;;\x07 x')]);
    assert.equal(await page.textContent('.row .text a'), 'red');
    assert.deepEqual(await texts(page), ['red x']);
  });

  // text -> what of it is a link, and where to if that is not the same
  const addresses = [
    ['see https://a.example/x?y=1&z=%20#f, and http://b.example:80/.', ['https://a.example/x?y=1&z=%20#f',
      ['http://b.example:80/', 'http://b.example/']]],
    ['(https://a.example/x), [https://b.example/y]. "https://c.example/z"!', ['https://a.example/x',
      'https://b.example/y', 'https://c.example/z']],
    ['https://a.example/x_(y) https://a.example/(x (https://a.example/)', ['https://a.example/x_(y)',
      'https://a.example/(x', 'https://a.example/']],
    ['<https://a.example/><b>', ['https://a.example/']],
    ["'https://a.example/','https://b.example/'", ['https://a.example/', 'https://b.example/']],
    ['请看https://a.example/文。谢谢', ['https://a.example/']],
    ['HTTPS://A.EXAMPLE/x https://a.example', [['HTTPS://A.EXAMPLE/x', 'https://a.example/x'],
      ['https://a.example', 'https://a.example/']]],
    ['http://[::1]:8080/x http://127.0.0.1/ http://localhost:3000/', ['http://[::1]:8080/x',
      'http://127.0.0.1/', 'http://localhost:3000/']],
    ['https://a.example/\u202egnp.exe', ['https://a.example/']],
    ['https://a.exa\u0440le/', [['https://a.exa', 'https://a.exa/']]],
    ['\x1b[31mred https://a.example/\x1b[1mbold\x1b[0m, end', ['https://a.example/bold']],
    ['\x1b[4mhttps://a.example/\x1b[24m\x1b[Kx', ['https://a.example/x']],
    ['\x1b]8;;https://b.example/\x07https://a.example/\x1b]8;;\x07https://c.example/',
      [['https://a.example/', 'https://b.example/'], 'https://c.example/']],
    ['\x1b]8;;javascript:harm=1\x07https://a.example/\x1b]8;;\x07', ['https://a.example/']],
    ['http:// https://. http://? https:///x javascript:harm=1//https', [['https:///x', 'https://x/']]],
    ['javascript:harm=1 data:text/html,x file:///etc ftp://a.example git+https://a.example/x xhttps://a.example', []],
    ['https://user:secret@a.example/ https://user@a.example/', []],
    ['http://a.example\\@b.example/', [['http://a.example', 'http://a.example/']]],
  ];
  for (const [text, want] of addresses) {
    await test(`links in ${JSON.stringify(text)}`, async () => {
      await openLog(page, [line(text)]);
      assert.deepEqual(await page.$$eval('.row .text a', (all) => all.map((one) => [one.textContent, one.href,
        one.rel, one.target])), want.map((one) => [...(Array.isArray(one) ? one : [one, one]),
        'noopener noreferrer nofollow', '_blank']));
      // eslint-disable-next-line no-control-regex
      assert.deepEqual(await texts(page), [text.replace(/\x1b\[\d*[mK]|\x1b\]8;;[^\x07]*\x07/g, '')]);
      assert.equal(await page.locator('.row .text a a').count(), 0);
      assert.equal(await page.evaluate(() => globalThis.harm), 0);
    });
  }

  await test('a row of a thousand addresses has few links, and all of its text', async () => {
    const text = Array.from({ length: 1000 }, (_, i) => `https://a.example/${i}`).join(' ');
    await openLog(page, [line(text)]);
    assert.ok(await page.locator('.row .text a').count() <= 100);
    assert.deepEqual(await texts(page), [text]);
  });

  await test('an address goes on in what comes later, and a group has links in its title', async () => {
    await openLog(page, []);
    await feed(page, [line('https://a.exa', { partial: true })]);
    await feed(page, [line('mple/x')]);
    assert.equal(await page.getAttribute('.row .text a', 'href'), 'https://a.example/x');
    await feed(page, [line('::group::See https://b.example/'), line('a')]);
    const opened = page.context().waitForEvent('page');
    await page.route('**/*', (route) => route.abort());
    await page.context().route('https://b.example/', (route) => route.fulfill({ body: 'there', contentType: 'text/html' }));
    await page.click('.head .text a');
    const other = await opened;
    await other.waitForLoadState();
    assert.equal(await other.evaluate(() => `${globalThis.opener} ${document.referrer}`), 'null ');
    await other.close();
    await page.context().unroute('https://b.example/');
    await page.unroute('**/*');
    assert.equal(await page.getAttribute('.fold', 'aria-expanded'), 'true', 'and the group does not fold');
  });

  await test('other sequences and controls are dropped', async () => {
    const list = ['\x1b[2J\x1b[Hhome', '\x1b]0;title\x07a', '\x1b]52;c;aGk=\x07clip', '\x1bP1$r\x1b\\dcs',
      '\x1b[?25lcursor\x1b[?25h', '\x1b(Bb', 'a\x08\x00b', '\x9b31mc1', '\x1b[999999999999999mx',
      '\x1b[38;5mshort', '\x1b]8;;https://never.ends', '\x1b]1337;File=:AAAA\x07img', '\x1bcreset'];
    await openLog(page, list.map((text) => line(text)));
    assert.deepEqual(await texts(page), ['home', 'a', 'clip', 'dcs', 'cursor', 'b', 'ab', 'c1', 'x',
      'short', '8;;https://never.ends', 'img', 'reset']);
  });

  // ---- hostile output --------------------------------------------------

  await test('markup is text', async () => {
    const corpus = ['<script>harm=1</script>', '<img src=x onerror=harm=1>', '<svg/onload=harm=1>',
      '</span></div></main><script>harm=1</script>', '<a href="javascript:harm=1">x</a>',
      '&lt;b&gt; &amp; &#60;script&#62;', '"><iframe srcdoc="<script>harm=1</script>">',
      "';harm=1;//", '{{harm=1}}', '${harm=1}', '<!--', ']]>', '<style>*{display:none}</style>',
      '\x1b[31m<b>bold</b>\x1b[0m', '<x onclick=harm=1>::group::</x>'];
    await openLog(page, corpus.map((text) => line(text)));
    await feed(page, corpus.map((text) => err(text)));
    const plain = corpus.map((text) => text.replace(/\x1b\[\d+m/g, ''));
    assert.deepEqual(await texts(page), [...plain, ...plain]);
    assert.deepEqual(await page.$$eval('.row .text *', (all) => [...new Set(all.map(
      (one) => one.tagName))]), ['SPAN']);
    for (const one of await page.$$('.row .text')) await one.evaluate((node) => node.click());
    assert.equal(await page.evaluate(() => globalThis.harm), 0);
  });

  await test('a group named like markup is text, in its button too', async () => {
    await openLog(page, [line('::group::<img src=x onerror=harm=1>"\'>'), line('a'),
      line('::endgroup::')]);
    assert.equal((await texts(page))[0], '<img src=x onerror=harm=1>"\'>');
    assert.equal(await page.getAttribute('.fold', 'aria-label'),
      'Lines of <img src=x onerror=harm=1>"\'>');
    assert.equal(await page.evaluate(() => globalThis.harm), 0);
  });

  await test('what turns the direction of text is shown, and turns nothing', async () => {
    const text = 'if (admin\u202e \u2066// check\u2069 \u2066) {';
    await openLog(page, [line(text), line('שלום abc')]);
    assert.deepEqual(await texts(page), [text, 'שלום abc']);
    const turns = await page.$$eval('.row .turn', (all) => all.map((one) => [one.tagName,
      one.dataset.name, getComputedStyle(one).unicodeBidi, getComputedStyle(one, '::before').content]));
    assert.deepEqual(turns[0].slice(0, 3), ['BDI', 'U+202E', 'isolate']);
    assert.match(turns[0][3], /U\+202E/);
    assert.equal(turns.length, 4);
    assert.equal(await page.$eval('.row .text', (one) => getComputedStyle(one).unicodeBidi), 'isolate');
  });

  await test('a row of a thousand colours has few elements', async () => {
    const text = Array.from({ length: 2000 }, (_, i) => `\x1b[${31 + (i % 6)}m${i}`).join(' ');
    await openLog(page, [line(text), line('next')]);
    assert.ok(await page.locator('.row .text *').count() < 500);
    assert.match((await texts(page))[0], /^0 1 2 .* 1999$/);
  });

  await test('what tells of a problem, in colours too, and what does not', async () => {
    const yes = ['src/a.c:1: error: no', '\x1b[31m\x1b[1merror\x1b[0m: no',
      'a.c:1:2: \x1b[01;31m\x1b[Kerror: \x1b[m\x1b[Kno', '\x1b[1m\x1b[38;5;9merror[E0425]\x1b[0m: no', 'error[E0425]: no',
      '\x1b[41mERROR\x1b[49m no', 'npm ERR! code 1', '::error file=a.js,line=1::no', '##[error]no', 'TypeError: no',
      'x failed', 'make: *** [all] Error 1', '\x1b[0m\x1b[7m\x1b[1m\x1b[31m FAIL \x1b[39m\x1b[22m\x1b[27m\x1b[0m a.test.js',
      '    --- FAIL: TestA (0.00s)', 'not ok 2 - no'];
    const no = ['0 errors', '\x1b[32m0 failed\x1b[0m, no problems', 'error-free', 'terrors', 'std::error_code x', 'failsafe',
      'not ok 2 - no # TODO later', 'FAIL:  0', 'errors: 0', 'ok 1 - fail', '--- PASS: TestA (0.00s)'];
    await openLog(page, [...yes, ...no].map((text) => line(text)));
    assert.deepEqual(await page.$$eval('.row', (all) => all.map((one) => one.row.problem)),
      [...yes.map(() => true), ...no.map(() => false)]);
    assert.deepEqual(await page.locator('.head').count(), 0);
  });

  // ---- folding ---------------------------------------------------------

  const folds = () => page.$$eval('.head', (all) => all.map((one) => [
    one.querySelector('.text').textContent, one.querySelector('.fold').ariaExpanded,
    one.querySelector('.took').dataset.took]));
  const at = (ms, record) => ({ ...record, ms: Date.parse('2026-11-22T10:00:00Z') + ms });

  await test('steps fold, with their durations and results', async () => {
    await openLog(page, [at(0, step('$ yarn install', 1)), at(100, line('a')),
      at(2500, step('$ yarn build', 2)), at(2600, line('b')), at(3000, line('Build failed', { note: true }))]);
    await page.evaluate(() => lab.pane.record({ state: 'failed', steps: [
      { name: 'install', state: 'succeeded', started: '2026-11-22T10:00:00Z', ended: '2026-11-22T10:00:02.5Z' },
      { name: 'build', state: 'failed', started: '2026-11-22T10:00:02.5Z', ended: '2026-11-22T10:01:05Z' },
    ] }));
    assert.deepEqual(await folds(), [['$ yarn install', 'true', '2.5 s'],
      ['$ yarn build', 'true', '1 min 3 s']]);
    assert.equal(await page.getAttribute('.head >> nth=1', 'data-state'), 'failed');
    await page.locator('.fold').first().click();
    assert.deepEqual(await texts(page), ['$ yarn install', '$ yarn build', 'b', 'Build failed']);
    await page.locator('.fold').nth(1).click();
    assert.deepEqual(await texts(page), ['$ yarn install', '$ yarn build', 'Build failed'],
      'a note stays');
    await page.locator('.fold').first().click();
    assert.deepEqual(await texts(page), ['$ yarn install', 'a', '$ yarn build', 'Build failed']);
  });

  await test('a step is that of the record, though those before it are not loaded', async () => {
    await page.evaluate(async () => {
      const step = (text, number) => ({ text, note: true, step: number });
      const make = (n) => ({ 1: step('$ a', 1), 500: step('$ b', 2), 9990: step('$ c', 3) }[n]
        ?? { text: `line ${n}` });
      lab.make({ records: { count: 10000, make } });
      await lab.open(1);
      lab.pane.record({ state: 'failed', steps: [['a', 'succeeded'], ['b', 'succeeded'], ['c', 'failed']].map(
        ([name, state], i) => ({ name, state, started: '2026-11-22T10:00:00Z', ended: `2026-11-22T10:00:0${i + 1}Z` })) });
    });
    await drawn(page);
    assert.deepEqual(await page.$$eval('.step-head', (all) => all.map(
      (one) => [one.row.n, one.dataset.state, one.querySelector('.took').dataset.took])), [[9990, 'failed', '3.0 s']]);
  });

  // name, lines (a number: milliseconds until the next), heads when loaded
  const markers = [
    ['GitHub', ['before', '::group::One', 'a', '::endgroup::', 'after', '::group::Two', 'b'],
      [['One', 'false', '0.020 s'], ['Two', 'true', '']], ['before', 'One', 'after', 'Two', 'b']],
    ['Azure', ['##[group]One', 'a', '##[endgroup]'], [['One', 'false', '0.020 s']], ['One']],
    ['GitHub knows no group in a group', ['::group::A', 'a', '::group::B', 'b', '::endgroup::', 'c'],
      [['A', 'false', '0.020 s'], ['B', 'false', '0.020 s']], ['A', 'B', 'c']],
    ['Buildkite', ['--- A', 'a', '+++ B', 'b', '~~~ C', 'c', '--- D', 'd'],
      [['A', 'false', '0.020 s'], ['B', 'true', '0.020 s'], ['C', 'false', '0.020 s'], ['D', 'true', '']],
      ['A', 'B', 'b', 'C', 'D', 'd']],
    ['Buildkite opens the group before', ['--- A', 'a', '^^^ +++', 'b', '--- C'],
      [['A', 'true', '0.040 s'], ['C', 'true', '']], ['A', 'a', 'b', 'C']],
    ['a group in which something failed is open', ['::group::A', 'error: no', '::endgroup::', 'x'],
      [['A', 'true', '0.020 s']], ['A', 'error: no', 'x']],
    ['a diff is no header', ['--- a/file.c', '+++ b/file.c', '--- /dev/null', '--- x.c\t2026-01-01',
      '---', '+++', '----'], [], ['--- a/file.c', '+++ b/file.c', '--- /dev/null',
      '--- x.c\t2026-01-01', '---', '+++', '----']],
    ['an end without a beginning', ['::endgroup::', 'a', '::endgroup::'], [], ['a']],
  ];
  for (const [name, list, heads, shown] of markers) {
    await test(`markers: ${name}`, async () => {
      await openLog(page, list.map((text) => line(text)));
      assert.deepEqual(await folds(), heads);
      assert.deepEqual(await texts(page), shown);
    });
  }

  await test('markers: GitLab, with the titles that its frames get', async () => {
    const start = (name, more = '') => line(`section_start:1763805600:${name}${more}`, { cr: true });
    const end = (name) => line(`\x1b[0Ksection_end:1763805601:${name}`, { cr: true });
    await openLog(page, [start('outer'), line('\x1b[0KOuter'), line('a'),
      start('inner', '[collapsed=true]'), line('\x1b[0K\x1b[36mInner\x1b[0m'), line('b'),
      end('inner'), line('\x1b[0K'), line('c'),
      end('outer'), start('next'), line('\x1b[0KNext'), line('d')]);
    assert.deepEqual((await folds()).map(([title, open]) => [title, open]),
      [['Outer', 'true'], ['Inner', 'false'], ['Next', 'true']]);
    assert.deepEqual(await texts(page), ['Outer', 'a', 'Inner', 'c', 'Next', 'd']);
  });

  await test('markers: a live group stays open when it ends, and says how long it took', async () => {
    await openLog(page, []);
    await feed(page, [line('::group::One'), line('a')]);
    assert.deepEqual(await folds(), [['One', 'true', '']]);
    await feed(page, [line('::endgroup::'), line('b')]);
    assert.deepEqual(await folds(), [['One', 'true', '0.020 s']]);
    await page.click('.fold');
    assert.deepEqual(await texts(page), ['One', 'b']);
    await feed(page, [line('c')]);
    assert.deepEqual(await texts(page), ['One', 'b', 'c']);
  });

  await test('markers: a fold over what is not loaded has its end looked for', async () => {
    await page.evaluate(async () => {
      const make = (n) => ({ text: n === 3000 ? '::group::Long' : n === 19000 ? '::endgroup::' : `line ${n}` });
      lab.make({ records: { count: 20000, make } });
      await lab.open(1);
      await lab.pane.goTo({ first: 3000 });
    });
    await page.waitForSelector('.head');
    await page.click('.head .fold');
    await page.waitForFunction(() => document.querySelector('.head .fold').ariaExpanded === 'false',
      null, { timeout: WAIT_MS });
    await drawn(page);
    const after = await page.$eval('.head', (head) => {
      let next = head.nextElementSibling ?? head.parentElement.nextElementSibling;
      while (next !== null && next.row === undefined) next = next.firstElementChild ?? next.nextElementSibling;
      return next.row.n;
    });
    assert.equal(after, 19001);
    await page.click('.head .fold');
    await page.waitForFunction(() => [...document.querySelectorAll('.row')].some(
      (one) => one.row.n === 3001));
  });
});
