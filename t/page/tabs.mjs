// SPDX-License-Identifier: Apache-2.0
// tabs.mjs - seven tabs watch one build over HTTP/2, and an eighth builds
//
//   BASE_URL   the server, with TLS and HTTP/2
//   CERT       its certificate, which nobody has signed
//   WATCHED    path of a puppet (BuildLog::Puppet) whose first lines are
//              prepared; the rest of its cues is given here
//   PRESSED    path of a project that ends by itself
//   PRESSES    how often it is built, each time while the server restarts
//   HTTPD_PID, ERROR_LOG   of that server
//   SHARED     1: the tabs share a stream; 0: the browser cannot do that
//
// A request that is on its way in the moment of a graceful restart may fail at
// once, whatever it asks for: a child that ends takes a connection and closes
// it, or mod_http2, after it has said that it ends, closes a connection with an
// error instead of refusing the stream (2.4.71: h2_session_shutdown_notice,
// on_begin_headers_cb; in its log "The user callback function failed"). The
// server has not looked at such a request. Here it is made again, as a person
// would; one that hangs is a failure.
import { createHash, X509Certificate } from 'node:crypto';
import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { allowErrors, base, note, run } from './lib.mjs';

const { CERT, WATCHED, PRESSED, HTTPD_PID, ERROR_LOG } = process.env;
const PRESSES = Number(process.env.PRESSES);
const TABS = 7;
// A site that hangs, hangs longer.
const ANSWER_MS = 30000;
const LINES_MS = 20000;

allowErrors(/net::ERR_(HTTP2_PROTOCOL_ERROR|CONNECTION_CLOSED|CONNECTION_RESET)\b/);

// The browser takes this one for good. One that it is told to overlook
// (ignoreHTTPSErrors) costs a second connection each time, and requests fail.
const key = new X509Certificate(await readFile(CERT)).publicKey.export({ type: 'spki', format: 'der' });
const args = [`--ignore-certificate-errors-spki-list=${createHash('sha256').update(key).digest('base64')}`];

const cue = (...lines) => appendFile(join(WATCHED, 'cue'), lines.map((line) => `${line}\n`).join(''));

async function generations() {
  return (await readFile(ERROR_LOG, 'utf8')).split('resuming normal operations').length - 1;
}

const texts = (page) => page.$$eval('#log .row .text', (all) => all.map((one) => one.textContent));
const rows = (page) => page.$$eval('#log .row', (all) => all.length);
const connection = (page) => page.getAttribute('#connection', 'data-state');

/** In a tab: how long it takes to get a small file, how often that failed, and what came of it. */
async function ask(limit) {
  const began = performance.now();
  const signal = AbortSignal.timeout(limit);
  let failed = 0;
  let status = 'no answer in time';
  while (status !== 200 && !signal.aborted) {
    try {
      const response = await fetch('/favicon.svg', { cache: 'no-store', signal });
      await response.text();
      status = response.status;
    } catch {
      failed += 1;
    }
  }
  return { ms: performance.now() - began, failed, status };
}

/** Ask in these tabs again and again. @return a function that ends it: { count, failed, ms (the worst), wrong } */
function askAllTheTime(pages) {
  const told = { count: 0, failed: 0, ms: 0, wrong: [] };
  let going = true;
  const asking = pages.map(async (page) => {
    while (going) {
      // A page that is closed when the test fails is no answer either.
      const answer = await page.evaluate(ask, ANSWER_MS).catch((error) => {
        going = false;
        return { ms: 0, failed: 0, status: String(error) };
      });
      told.count += 1;
      told.failed += answer.failed;
      told.ms = Math.max(told.ms, answer.ms);
      if (answer.status !== 200) told.wrong.push(answer);
    }
  });
  return async () => {
    going = false;
    await Promise.all(asking);
    return told;
  };
}

/** Press the button until the server has heard it. @return the new build's id */
async function press(page, path) {
  const before = page.url();
  await page.evaluate(() => { location.hash = ''; });
  await page.fill('#path', path);
  for (let tries = 0; tries < 3; tries += 1) {
    await page.click('#build-button');
    const error = await Promise.race([
      page.waitForURL((url) => url.href !== before && /#build=\d+$/.test(url.href)),
      page.waitForSelector('#path-error:not(:empty)'),
    ]);
    if (!error) return /\d+$/.exec(page.url())[0];
    note(`not heard: ${await error.textContent()}`);
  }
  throw new Error('the button does nothing');
}

await run(async ({ page, context, ok, is, until }) => {
  if (process.env.SHARED === '0') {
    await context.addInitScript(() => { delete globalThis.SharedWorker; });
  }
  await page.goto(base);
  is(await page.evaluate(() => performance.getEntriesByType('navigation')[0].nextHopProtocol),
    'h2', 'the page comes over HTTP/2');
  const id = await press(page, WATCHED);

  const tabs = [page];
  while (tabs.length < TABS) {
    const tab = await context.newPage();
    await tab.goto(new URL(`/#build=${id}`, base).href);
    tabs.push(tab);
  }
  const all = async (condition) => (await Promise.all(tabs.map(condition))).every(Boolean);
  const haveLines = (count) => all(async (tab) => await rows(tab) >= count);
  // The command is a line, too.
  await until(() => haveLines(201), LINES_MS, `${TABS} tabs show the first lines`);
  const stop = askAllTheTime([tabs[0], tabs[TABS - 1]]);

  await cue('slow 100 20');
  await until(() => haveLines(220), LINES_MS, 'lines come while they are printed');
  const before = await generations();
  process.kill(HTTPD_PID, 'SIGUSR1');
  await until(async () => await generations() > before, LINES_MS, 'graceful, while lines are printed');
  await cue('slow 50 20');
  await until(() => haveLines(351), LINES_MS, 'the tabs go on');

  // The button, each time in the moment in which all streams have to come back.
  const builder = await context.newPage();
  await builder.goto(base);
  const ids = new Set([id]);
  for (let i = 1; i <= PRESSES; i += 1) {
    const generation = await generations();
    // The restart overtakes the press, or the press the restart.
    if (i % 2) process.kill(HTTPD_PID, 'SIGUSR1');
    const pressed = press(builder, PRESSED);
    if (i % 2 === 0) process.kill(HTTPD_PID, 'SIGUSR1');
    ids.add(await pressed);
    await cue('slow 10 10', 'count 40');
    await builder.waitForSelector('#build[data-state="succeeded"]');
    await builder.waitForSelector('#connection[data-state="ended"]');
    await until(async () => await generations() > generation, LINES_MS, `press ${i}, during a restart`);
  }
  is(ids.size, PRESSES + 1, 'each press began a build of its own');

  await cue('exit 0');
  await until(() => all(async (tab) => await connection(tab) === 'ended'), LINES_MS,
    `the build is over in all ${TABS} tabs`);
  const asked = await stop();
  note(`${asked.count} requests beside, ${asked.failed} made again, the slowest took ${Math.round(asked.ms)} ms`);
  ok(asked.wrong.length === 0 && asked.count > 20 && asked.ms < ANSWER_MS,
    'other requests were answered all the time');
  // Each of the restarts may take what was on its way, in two tabs.
  ok(asked.failed <= 4 * (PRESSES + 1), 'and few had to be made again');
  asked.wrong.slice(0, 5).forEach((one) => note(JSON.stringify(one)));

  const log = await (await fetch(new URL(`/api/project/builds/${id}/log`, base))).text();
  const stored = log.split('\n').slice(0, -1);
  is(stored.length, 352 + 50 * PRESSES, 'the log has all lines');
  // What was received last may wait for a frame.
  await until(() => haveLines(stored.length), LINES_MS, 'all tabs have as many lines');
  for (const [i, tab] of tabs.entries()) {
    is((await texts(tab)).join('\n'), stored.join('\n'), `tab ${i + 1}: each line once, in order`);
    is(await tab.getAttribute('#build', 'data-state'), 'succeeded', `tab ${i + 1}: how it ended`);
  }
}, { args });
