// SPDX-License-Identifier: Apache-2.0
// origin.mjs - where the page takes its stream from (BuildLogStreamOrigin)
//
//   BASE_URL   the server, with TLS and HTTP/2
//   CERT       its certificate, which nobody has signed
//   ORIGIN     the other origin, as the server names it
//   USED       1: streams come from there; 0: they cannot
//   PROJECT    path of a project that prints some lines and succeeds
import { createHash, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { allowErrors, base, run } from './lib.mjs';

const { CERT, ORIGIN, PROJECT } = process.env;
const USED = process.env.USED === '1';
const WAIT_MS = 20000;

const key = new X509Certificate(await readFile(CERT)).publicKey.export({ type: 'spki', format: 'der' });
const args = [`--ignore-certificate-errors-spki-list=${createHash('sha256').update(key).digest('base64')}`];

// It is asked, and where it does not answer the browser says so.
allowErrors(/^request to another host: /);
if (!USED) allowErrors(/ERR_CONNECTION_REFUSED|ERR_UNSAFE_PORT|CORS policy|ERR_FAILED/);

await run(async ({ page, ok, is, until }) => {
  const asked = [];
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.pathname === '/api/log/push') asked.push(url.origin);
  });
  const own = new URL(base).origin;
  const state = () => page.getAttribute('#connection', 'data-state');

  await page.goto(base);
  is(await page.evaluate(() => performance.getEntriesByType('navigation')[0].nextHopProtocol),
    'h2', 'the page comes over HTTP/2');
  await until(() => asked.includes(ORIGIN), WAIT_MS, 'the page asks the other origin');
  await until(async () => await state() === 'live' && asked.at(-1) === (USED ? ORIGIN : own),
    WAIT_MS, USED ? 'and is live there' : 'and is live at its own');

  await page.fill('#path', PROJECT);
  await page.click('#build-button');
  await page.waitForURL(/#build=\d+$/);
  await until(async () => await state() === 'ended', WAIT_MS, 'a build is followed to its end');
  const id = /\d+$/.exec(page.url())[0];
  const log = await (await fetch(new URL(`/api/project/builds/${id}/log`, base))).text();
  const texts = await page.$$eval('#log .row .text', (all) => all.map((one) => one.textContent));
  is(texts.join('\n'), log.trimEnd(), 'each line once, in order');
  is(asked.at(-1), USED ? ORIGIN : own, 'from where streams come');
  if (!USED) {
    ok(asked.filter((origin) => origin === ORIGIN).length === 1,
      'what does not answer is not asked again');
  }
}, { args });
