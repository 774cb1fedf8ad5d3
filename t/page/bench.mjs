// SPDX-License-Identifier: Apache-2.0
// bench.mjs - the page under load, with a real server and real builds: prints
// times, sizes and frames beside their bounds. Asserted is what is shown, and
// what is on no busy machine different: elements, heap.
//
//   NOISY   directory of the projects finished, burst, million (noisy.pl)
//   ONLY    some of: finished burst million
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';

import { allowErrors, base, note, run } from './lib.mjs';
import { json, post, recordWhen, truthIs, whenOver } from './page-lib.mjs';

const { NOISY, ONLY = 'finished burst million' } = process.env;
const MB = 1024 * 1024;
const LONG_MS = 400000;

// Documents that are no pages have an icon, too.
allowErrors(/favicon.ico/);

const USABLE_MS = 1500;
const HEAP_MB = 300;
// View's ROWS_MAX, and a chunk on its way in.
const ROWS = 8500;

const beside = (value, bound, unit) => `${value} ${unit} (bound ${bound}, ${(value / bound).toFixed(2)} of it)`;
const rounded = (value) => Math.round(value * 10) / 10;
const sleep = (ms) => new Promise((done) => { setTimeout(done, ms); });

// ---- in the page -----------------------------------------------------------

/* Runs before the page's own scripts. */
function instruments() {
  const quantile = (sorted, share) => Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? 0);
  const rowsIn = () => document.querySelector('#log .log-rows');
  const bench = globalThis.bench = {
    tasks: [],
    last: () => {
      const chunks = document.querySelectorAll('#log .chunk');
      return chunks[chunks.length - 1]?.lastElementChild?.row ?? null;
    },
    /** Numbers of the first and the last row that can be seen; null: none. */
    seen: () => {
      const rows = rowsIn();
      if (rows === null) return null;
      const { left, top, bottom } = rows.getBoundingClientRect();
      const at = (y) => document.elementFromPoint(left + 300, y)?.closest('.row')?.row?.n;
      const [first, last] = [at(top + 4), at(bottom - 6)];
      return first === undefined || last === undefined ? null : [first, last];
    },
    /** Can the row of this line, the last one that is there, be seen? */
    isAt: (n) => {
      const row = bench.last();
      return row !== null && row.n >= n
        && row.node.getBoundingClientRect().bottom < rowsIn().getBoundingClientRect().bottom + 2;
    },
    /** When frames begin, how late lines are that can be seen, long tasks. */
    record: () => {
      bench.gaps = [];
      bench.lags = [];
      bench.tasks = [];
      bench.on = true;
      let before = performance.now();
      let shown = 0;
      const tick = (now) => {
        bench.gaps.push(now - before);
        before = now;
        // What is there now was painted with the frame before.
        const row = bench.last();
        if (row !== null && row.n !== shown) {
          shown = row.n;
          const printed = /at (\d{13})/.exec(row.text);
          if (printed !== null) bench.lags.push(Date.now() - Number(printed[1]));
        }
        if (bench.on) requestAnimationFrame(tick);
      };
      requestAnimationFrame(tick);
    },
    recorded: () => {
      bench.on = false;
      const gaps = bench.gaps.toSorted((a, b) => a - b);
      const lags = bench.lags.toSorted((a, b) => a - b);
      return {
        frames: gaps.length,
        slow: gaps.filter((ms) => ms > 50).length,
        p50: quantile(gaps, 0.5), p95: quantile(gaps, 0.95), longest: quantile(gaps, 1),
        tasks: bench.tasks.length,
        longestTask: Math.round(Math.max(0, ...bench.tasks)),
        lag: { samples: lags.length, p50: quantile(lags, 0.5), p95: quantile(lags, 0.95), most: quantile(lags, 1) },
      };
    },
    /** Scrolls up so many windows each frame, to a line. How often was nothing there? */
    climb: (windows, to) => new Promise((done) => {
      const rows = rowsIn();
      const began = performance.now();
      let [frames, empty, wrong, before] = [0, 0, 0, Infinity];
      const step = () => {
        const now = bench.seen();
        frames += 1;
        if (now === null) empty += 1;
        else {
          if (now[0] > before || now[1] < now[0]) wrong += 1;
          before = now[0];
          rows.scrollTop -= windows * rows.clientHeight;
        }
        if (before > to) requestAnimationFrame(step);
        else done({ frames, empty, wrong, s: Math.round(performance.now() - began) / 1000 });
      };
      step();
    }),
  };
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) bench.tasks.push(duration);
  }).observe({ type: 'longtask' });
  // When was the last line painted for the first time? Known by the frame after.
  const look = () => {
    const wanted = Number(sessionStorage.getItem('bench-wanted'));
    if (wanted > 0 && bench.isAt(wanted)) {
      requestAnimationFrame((now) => { bench.paintedAt = now; });
    } else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}

// ---- the processes of the browser ---------------------------------------------

function processes() {
  const all = new Map();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      all.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch { /* it has just ended */ }
  }
  const isOurs = (pid) => pid === process.pid || (all.has(pid) && all.get(pid) > 1 && isOurs(all.get(pid)));
  return [...all.keys()].filter((pid) => pid !== process.pid && isOurs(pid));
}

/** Memory in MB: of the renderers (pages and worker), of all of the browser. */
function memory() {
  let [renderers, all] = [0, 0];
  for (const pid of processes()) {
    try {
      const pss = Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]) / 1024;
      all += pss;
      if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--type=renderer')) renderers += pss;
    } catch { /* gone, or not ours */ }
  }
  return `renderers ${Math.round(renderers)} MB, the whole browser ${Math.round(all)} MB`;
}

// ---- measuring ------------------------------------------------------------------

await run(async ({ page, context, ok, is, until }) => {
  page.setDefaultTimeout(LONG_MS);
  await page.addInitScript(instruments);
  const tools = await context.newCDPSession(page);
  await tools.send('Performance.enable');
  const metrics = async () => Object.fromEntries(
    (await tools.send('Performance.getMetrics')).metrics.map(({ name, value }) => [name, value]));
  const rested = async () => {
    await tools.send('HeapProfiler.collectGarbage');
    return metrics();
  };
  const rowCount = () => page.locator('#log .row').count();
  const heap = async (what) => {
    const { JSHeapUsedSize, Nodes } = await rested();
    const size = rounded(JSHeapUsedSize / MB);
    note(`${what}: heap ${beside(size, HEAP_MB, 'MB')}, ${Nodes} nodes, ${await rowCount()} rows; ${memory()}`);
    ok(size < HEAP_MB, `${what}: the heap is below its bound`);
    return size;
  };
  const begin = (name) => post(join(NOISY, name));
  const go = (name, mark) => writeFileSync(join(NOISY, name, `go-${mark}`), '');
  const seen = () => page.evaluate(() => bench.seen());
  const isAtLine = (n) => until(() => page.evaluate((line) => bench.isAt(line), n), LONG_MS, `line ${n} is in sight`);
  const textOf = async (id) => (await (await fetch(`${base}/api/project/builds/${id}/log`)).text()).split('\n');

  // The rows that are in the document are those of the log.
  const areRight = async (log, what) => {
    const rows = await page.$$eval('#log .row', (all) => all.map(({ row }) => [row.n, row.text]));
    const wrong = rows.filter(([n, text], i) => log[n - 1] !== text || (i > 0 && n <= rows[i - 1][0]));
    is(wrong.length, 0, `${what}: ${rows.length} rows are those of the log`);
    if (wrong.length > 0) note(JSON.stringify(wrong.slice(0, 3)));
  };

  const frames = async (what, body, isLive = false) => {
    const before = await metrics();
    await page.evaluate(() => bench.record());
    await body();
    const found = await page.evaluate(() => bench.recorded());
    const after = await metrics();
    const grew = (name) => after[name] - before[name];
    const per = (name) => (grew(name) / found.frames).toFixed(2);
    note(`${what}: ${found.frames} frames, ${found.slow} over 50 ms; between two p50 ${found.p50}, p95 ${found.p95}, `
      + `most ${found.longest} ms; ${found.tasks} long tasks, the longest ${found.longestTask} ms`);
    note(`... layouts a frame ${per('LayoutCount')}, styles ${per('RecalcStyleCount')}; script `
      + `${rounded(grew('ScriptDuration'))} s, layout ${rounded(grew('LayoutDuration'))} s, `
      + `style ${rounded(grew('RecalcStyleDuration'))} s, all tasks ${rounded(grew('TaskDuration'))} s`);
    const { lag } = found;
    if (isLive) note(`... from print to screen: p50 ${lag.p50}, p95 ${lag.p95}, most ${lag.most} ms (${lag.samples} frames)`);
    return found;
  };

  // ---- a finished log ------------------------------------------------------

  async function usable(id, lines) {
    await page.goto(`${base}/log.css`);
    await page.evaluate((n) => sessionStorage.setItem('bench-wanted', n), lines);
    await page.goto(`${base}/#build=${id}`);
    await page.waitForFunction(() => bench.paintedAt !== undefined, null, { polling: 'raf' });
    const painted = await page.evaluate(() => bench.paintedAt);
    const [top] = await seen();
    await page.focus('#log .log-rows');
    const pressed = await page.evaluate(() => performance.now());
    await page.keyboard.press('PageUp');
    await page.waitForFunction((n) => bench.seen()?.[0] < n, top, { polling: 'raf' });
    const answered = await page.evaluate(() => performance.now());
    return { painted, scrolled: answered - pressed };
  }

  async function finished() {
    const id = await begin('finished');
    go('finished', 'on');
    const { lines } = await whenOver(id);
    note(`finished: ${lines} lines`);
    const all = [];
    for (let visit = 0; visit < 6; visit += 1) all.push(await usable(id, lines));
    const first = all.shift();
    const middle = (name) => Math.round(all.map((one) => one[name]).sort((a, b) => a - b)[all.length >> 1]);
    const sum = ({ painted, scrolled }) => Math.round(painted + scrolled);
    note(`finished: first visit: usable after ${beside(sum(first), USABLE_MS, 'ms')}: `
      + `tail painted ${Math.round(first.painted)}, scrolling answered in ${Math.round(first.scrolled)} ms`);
    note(`finished: again (median of ${all.length}): usable after ${beside(middle('painted') + middle('scrolled'), USABLE_MS, 'ms')}: `
      + `tail painted ${middle('painted')}, scrolling answered in ${middle('scrolled')} ms`);
    const log = await textOf(id);
    await heap('finished, opened');
    await areRight(log, 'finished, opened');

    for (const [windows, to] of [[1, lines - 25000], [8, 1]]) {
      const what = `finished, scrolled up to line ${to}, ${windows} windows a frame`;
      let climbed;
      await frames(what, async () => {
        climbed = await page.evaluate((args) => bench.climb(...args), [windows, to]);
      });
      note(`... in ${climbed.s} s; ${climbed.empty} of ${climbed.frames} frames had to wait for lines`);
      is(climbed.wrong, 0, `${what}: in order`);
    }
    await areRight(log, 'finished, at the top');
    await heap('finished, scrolled through');

    await page.keyboard.press('End');
    await isAtLine(lines);
    const took = [];
    for (const share of [0.5, 0.1, 0.9, 0.3, 0.7, 0.2, 0.8]) {
      const began = Date.now();
      await page.evaluate((part) => {
        const rows = document.querySelector('#log .log-rows');
        rows.scrollTop = rows.scrollHeight * part;
      }, share);
      await page.waitForFunction(([n, near]) => Math.abs((bench.seen()?.[0] ?? -Infinity) - n) < near,
        [lines * share, lines * 0.02], { polling: 'raf' });
      took.push(Date.now() - began);
    }
    note(`finished, dragged to ${took.length} places: ${took.join(', ')} ms`);
    await areRight(log, 'finished, dragged');

    for (const [word, count] of [['unit 77777 ', '1 line'], ['unit 88888 ', '1 line'], ['error', '10 lines']]) {
      const began = Date.now();
      await page.fill('.finder input', word);
      await page.waitForFunction((text) => document.querySelector('.finder .count').textContent === text, count,
        { polling: 50, timeout: LONG_MS });
      note(`finished, all searched for "${word.trim()}" in ${Date.now() - began} ms`);
    }
    await page.fill('.finder input', '');
    await heap('finished, searched');
    ok(await rowCount() <= ROWS, 'finished: few rows are elements');
  }

  // ---- a burst ----------------------------------------------------------------

  /** A page that follows a build which is about to print. */
  async function follow(name) {
    const id = await begin(name);
    await recordWhen(id, ({ state }) => state === 'running');
    await page.goto(`${base}/log.css`);
    await page.goto(`${base}/#build=${id}`);
    await page.waitForSelector('#connection[data-state="live"]', { timeout: LONG_MS });
    await isAtLine(1);
    return id;
  }

  const ended = async (name, id, what) => {
    go(name, 'on');
    const record = await whenOver(id);
    await page.waitForSelector('#truth[data-truth]:not([data-truth="checking"])', { timeout: LONG_MS });
    const truth = await page.getAttribute('#truth', 'data-truth');
    is(truth, 'complete', `${what}: after the end the page says`);
    return record;
  };

  async function burst() {
    const id = await follow('burst');
    await frames('burst, before it', () => sleep(3000));
    await frames('burst, 20,000 lines a second for 15 s', async () => {
      go('burst', 0);
      await isAtLine(300000);
    }, true);
    ok(await rowCount() <= ROWS, 'burst: few rows are elements');
    await heap('burst, after it');
    await ended('burst', id, 'burst');
    await areRight(await textOf(id), 'burst');
  }

  // ---- a million ---------------------------------------------------------------

  async function million() {
    const id = await follow('million');
    const sizes = [await heap('million, before it')];
    let from = 0;
    for (const to of [100000, 300000, 1000000]) {
      const began = Date.now();
      await frames(`million, to ${to}`, async () => {
        go('million', from);
        await isAtLine(to);
      }, true);
      note(`... ${Math.round((to - from) / (Date.now() - began))} lines a ms`);
      sizes.push(await heap(`million, at ${to}`));
      ok(await rowCount() <= ROWS, `million, at ${to}: few rows are elements`);
      from = to;
    }
    ok(sizes[3] < sizes[1] + 20, `million: the heap is flat: ${sizes.join(', ')} MB`);

    const log = await textOf(id);
    await page.focus('#log .log-rows');
    const began = Date.now();
    await page.keyboard.press('Home');
    await page.waitForFunction(() => bench.seen()?.[0] === 1, null, { polling: 'raf', timeout: LONG_MS });
    note(`million, back at the start after ${Date.now() - began} ms`);
    await areRight(log, 'million, at the start');
    for (const n of [123456, 500000, 777777, 999000]) {
      const jump = Date.now();
      await page.evaluate((line) => { location.hash = location.hash.replace(/&L.*|$/, `&L${line}`); }, n);
      await page.waitForFunction((line) => [...document.querySelectorAll('#log .row.marked')]
        .some(({ row }) => row.n === line), n, { timeout: LONG_MS });
      note(`million, at line ${n} after ${Date.now() - jump} ms`);
      await areRight(log, `million, around line ${n}`);
    }
    await heap('million, after going about');
    const check = Date.now();
    const record = await ended('million', id, 'million');
    note(`million: ${record.lines} lines, ${rounded(record.bytes / MB)} MB compared within ${Date.now() - check} ms`);
    await heap('million, compared');
  }

  const all = { finished, burst, million };
  const machine = () => `${cpus().length} processors, load ${loadavg()[0].toFixed(1)}`;
  for (const name of ONLY.split(' ')) {
    note(`${name}: ${machine()}`);
    await all[name]();
  }
  note(`in the end: ${machine()}`);
}, { viewport: { width: 1440, height: 900 } });
