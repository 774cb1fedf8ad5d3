// SPDX-License-Identifier: Apache-2.0
// log-big.mjs - large logs, finished and live. Times and sizes are notes; what
// is asserted is what makes them so: how many rows are in the document, how
// often the server is asked, that the newest line is in sight, the heap.
import { note, run } from './lib.mjs';
import { WAIT_MS, drawn, inSight, isFollowing, openLab, scrollTo, texts } from './log-lib.mjs';

const LARGE = 200000;
const LIVE = 1000000;
// View's ROWS_MAX, and a chunk on its way in.
const ROWS = 8500;
const MB = 1024 * 1024;

await run(async ({ page, context, ok, is, until }) => {
  await openLab(page);
  const tools = await context.newCDPSession(page);
  await tools.send('Performance.enable');
  const heap = async () => {
    await tools.send('HeapProfiler.collectGarbage');
    const { metrics } = await tools.send('Performance.getMetrics');
    return metrics.find(({ name }) => name === 'JSHeapUsedSize').value;
  };
  const rowCount = () => page.locator('.row').count();
  const open = (count, delayMs) => page.evaluate(async ([lines, ms]) => {
    const level = ['\x1b[32mINFO\x1b[0m', '\x1b[33mWARN\x1b[0m', 'debug'];
    const make = (n) => ({
      text: `${level[n % 3]} [worker-${n % 7}] unit ${n}: compiled src/part/${n % 97}/file.c`,
    });
    lab.line = make;
    lab.make({ records: { count: lines, make }, delayMs: ms });
    const began = performance.now();
    await lab.open(lines);
    await new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); });
    return performance.now() - began;
  }, [count, delayMs]);

  // ---- a finished one --------------------------------------------------

  const empty = await heap();
  const took = await open(LARGE, 20);
  is((await inSight(page)).at(-1), LARGE, `${LARGE} lines open at their end`);
  note(`opened, drawn and in sight after ${Math.round(took)} ms`);
  is(await page.evaluate(() => lab.windows.length), 1, 'one window was asked for');

  await page.evaluate(() => { lab.windows = []; });
  let at = LARGE;
  for (let turns = 0; turns < 12; turns += 1) {
    const before = at;
    await page.evaluate(() => {
      const rows = document.querySelector('.log-rows');
      rows.scrollTop -= 3000;
    });
    at = await until(async () => {
      const [top] = await inSight(page);
      return top < before ? top : 0;
    }, WAIT_MS, `scrolled up from ${before}`) ?? before;
  }
  const rows = await numbersInARow(page);
  ok(rows, 'the rows in the document have no hole');

  for (const share of [0.5, 0.1, 0.8]) {
    await page.evaluate((part) => {
      const all = document.querySelector('.log-rows');
      all.scrollTop = all.scrollHeight * part;
    }, share);
    await until(async () => {
      const [top] = await inSight(page);
      return Math.abs(top / LARGE - share) < 0.02;
    }, WAIT_MS, `dragged to ${share * 100} %: the lines of that place`);
  }
  ok(await rowCount() <= ROWS, `at most ${ROWS} rows in the document: ${await rowCount()}`);

  const began = Date.now();
  await page.fill('.finder input', 'unit 77777:');
  await until(async () => (await page.textContent('.count')) === '1 line', 60000,
    'a line that is not loaded is found');
  note(`all ${LARGE} lines searched after ${Date.now() - began} ms`);
  const again = Date.now();
  await page.fill('.finder input', 'unit 88888:');
  await until(async () => (await page.textContent('.count')) === '1 line', 60000, 'and another');
  note(`and again, without the server, after ${Date.now() - again} ms`);
  await page.press('.finder input', 'Enter');
  await until(async () => (await inSight(page)).includes(88888), WAIT_MS, 'it is gone to');
  await page.fill('.finder input', '');
  const full = await heap();
  note(`heap: ${(empty / MB).toFixed(1)} MB before, ${(full / MB).toFixed(1)} MB after`);
  ok(full < 300 * MB, 'the heap is below 300 MB');

  // ---- most of it is folded away -----------------------------------------

  // Each part is longer than a window that is asked for.
  const part = 5000;
  await page.evaluate(async ([lines, length]) => {
    const make = (n) => ({
      text: { 1: `::group::Part ${Math.ceil(n / length)}`, 0: '::endgroup::' }[n % length] ?? `step ${n}`,
    });
    lab.make({ records: { count: lines, make }, delayMs: 20 });
    await lab.open(lines);
  }, [LARGE, part]);
  for (const share of [0.7, 0.2, 0.45]) {
    await page.evaluate((to) => {
      const all = document.querySelector('.log-rows');
      all.scrollTop = all.scrollHeight * to;
    }, share);
    await until(async () => Math.abs((await inSight(page))[0] / LARGE - share) < 0.02, WAIT_MS,
      `dragged to ${share * 100} % of what is not known to be folded`);
  }
  await page.fill('.finder input', 'no such line');
  await until(async () => (await page.textContent('.count')) === 'No match', 60000, 'now all of it is known');
  await page.fill('.finder input', '');
  await page.evaluate((n) => lab.pane.goTo({ first: n }), LARGE / 2 + 77);
  await until(async () => (await inSight(page)).includes(LARGE / 2 + 77), WAIT_MS, 'a line of one part is shown');
  const least = part * 20;
  const height = await page.$eval('.log-rows', (all) => all.scrollHeight);
  ok(height >= least && height < least * 1.2, `there is no room for the others: ${height} px`);
  for (const share of [0, 1, 0.3]) {
    await page.evaluate((to) => {
      const all = document.querySelector('.log-rows');
      all.scrollTop = all.scrollHeight * to;
    }, share);
    await until(async () => (await inSight(page)).length > 10, WAIT_MS,
      `dragged to ${share * 100} %: there are rows`);
  }

  // ---- a flood ---------------------------------------------------------

  await open(0, 0);
  const flood = await page.evaluate(() => lab.frames(
    () => lab.burst(100000, 20000, (n) => lab.line(n + 1))));
  note(`100,000 lines at 20,000/s: ${flood.frames} frames, ${flood.slow} over 50 ms, `
    + `the longest ${flood.longest} ms`);
  const isLast = (n) => async () => (await inSight(page)).at(-1) === n;
  await until(isLast(100000), WAIT_MS, 'a flood is followed to its last line');
  ok(flood.frames > 20, 'and it was drawn while it came');

  await page.evaluate(() => { lab.scrolled = document.querySelector('.log-rows').scrollTop -= 400; });
  await until(async () => !await isFollowing(page), WAIT_MS, 'scrolling up ends the following');
  const read = (await inSight(page))[0];
  const unread = await page.evaluate(() => lab.frames(
    () => lab.burst(40000, 20000, (n) => lab.line(100000 + n + 1))));
  note(`read in a flood: ${unread.slow} frames over 50 ms, the longest ${unread.longest} ms`);
  is((await inSight(page))[0], read, 'what is read stays where it is');
  await until(async () => /^40,000 new/.test(await page.textContent('.log-newest')), WAIT_MS,
    'the button counts the new lines');
  ok(await rowCount() <= ROWS, 'the new ones are not all in the document');
  await page.click('.log-newest');
  await until(isLast(140000), WAIT_MS, 'and leads to them');
  ok(await isFollowing(page), 'they are followed again');

  // So long that a line has less room than its height.
  await open(2 * LARGE, 0);
  await page.evaluate(() => {
    const rows = document.querySelector('.log-rows');
    rows.scrollTop = rows.scrollHeight / 2;
  });
  await until(async () => Math.abs((await inSight(page))[0] / LARGE - 1) < 0.02, WAIT_MS, 'in the middle of a long one');
  const topRow = () => page.evaluate(() => {
    const { top } = document.querySelector('.log-rows').getBoundingClientRect();
    const node = [...document.querySelectorAll('.row')].find((one) => one.getBoundingClientRect().bottom > top + 1);
    return `${node?.row.n} at ${Math.round(node?.getBoundingClientRect().top - top)}`;
  });
  await drawn(page);
  const still = await topRow();
  await page.evaluate(() => lab.burst(60000, 40000, (n) => lab.line(400000 + n + 1)));
  await until(async () => /^60,000 new/.test(await page.textContent('.log-newest')), WAIT_MS, 'it grows');
  is(await topRow(), still, 'and what is read does not move');

  await open(0, 0);
  await page.evaluate(async () => {
    // Not so many in a frame that it is a flood.
    for (let n = 0; n < 12000; n += 50) {
      lab.feed(Array.from({ length: 50 }, (_, i) => lab.line(n + i + 1)));
      await new Promise((done) => { requestAnimationFrame(done); });
    }
  });
  await until(isLast(12000), WAIT_MS, 'a steady stream is followed');
  ok(await numbersInARow(page) && await rowCount() <= ROWS,
    `and what is far above leaves the document: ${await rowCount()} rows`);

  // ---- a long life -----------------------------------------------------

  await open(0, 0);
  const grown = [];
  for (let part = 0; part < 4; part += 1) {
    await page.evaluate(([from, count]) => lab.burst(count, 0, (n) => lab.line(from + n + 1)),
      [part * LIVE / 4, LIVE / 4]);
    await drawn(page);
    grown.push(await heap());
  }
  note(`heap over ${LIVE} live lines: ${grown.map((size) => `${(size / MB).toFixed(1)} MB`).join(', ')}`);
  await until(isLast(LIVE), WAIT_MS, 'a million live lines');
  ok(await rowCount() <= ROWS, `at most ${ROWS} rows in the document`);
  ok(grown[3] < grown[0] + 20 * MB, 'the heap is flat');
  await page.evaluate(() => { lab.windows = []; });
  await page.focus('.log-rows');
  await page.keyboard.press('Home');
  await until(async () => (await texts(page))[0]?.includes('unit 1:'), WAIT_MS, 'the first line is there');
  is(await page.evaluate(() => lab.windows.length), 0, 'without asking for it again');
  await scrollTo(page, 0);
}, { viewport: { width: 1280, height: 800 } });

async function numbersInARow(page) {
  return page.$$eval('.row', (all) => all.every(
    (one, i) => i === 0 || one.row.n === all[i - 1].row.n + 1));
}
