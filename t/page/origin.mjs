// SPDX-License-Identifier: Apache-2.0
// origin.mjs - where the page takes its stream from (BuildLogStreamOrigin)
//
//   BASE_URL   the server, with TLS and HTTP/2
//   CERT       its certificate, which nobody has signed
//   ORIGIN     the other origin, as the server names it: a port of this test,
//              which counts what comes
//   BEHIND     the port where it goes on; '': nothing is there
//   USED       1: streams come from there; 0: they cannot
//   PROJECT    path of a project that prints some lines and succeeds
import { createHash, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import net from 'node:net';

import { allowErrors, base, run } from './lib.mjs';

const { BEHIND, CERT, ORIGIN, PROJECT } = process.env;
const USED = process.env.USED === '1';
const WAIT_MS = 20000;

const key = new X509Certificate(await readFile(CERT)).publicKey.export({ type: 'spki', format: 'der' });
const args = [`--ignore-certificate-errors-spki-list=${createHash('sha256').update(key).digest('base64')}`];

// It is asked, and where it does not answer the browser says so.
allowErrors(/^request to another host: /);
if (!USED) allowErrors(/ERR_CONNECTION_REFUSED|ERR_UNSAFE_PORT|CORS policy|ERR_FAILED|ERR_CONNECTION_CLOSED|ERR_CONNECTION_RESET/);

// Connections that came, and those that are there.
let came = 0;
const open = new Set();
const server = net.createServer((client) => {
  came += 1;
  open.add(client);
  client.on('error', () => {});
  client.on('close', () => open.delete(client));
  if (BEHIND === '') {
    client.destroy();
    return;
  }
  const there = net.connect(Number(BEHIND), '127.0.0.1');
  there.on('error', () => client.destroy());
  client.on('close', () => there.destroy());
  client.pipe(there).pipe(client);
});
await new Promise((done) => { server.listen(Number(new URL(ORIGIN).port), '127.0.0.1', done); });
server.unref();

await run(async ({ page, ok, is, until }) => {
  const state = () => page.getAttribute('#connection', 'data-state');

  await page.goto(base);
  is(await page.evaluate(() => performance.getEntriesByType('navigation')[0].nextHopProtocol),
    'h2', 'the page comes over HTTP/2');
  await until(() => came > 0, WAIT_MS, 'the page asks the other origin');
  await until(async () => await state() === 'live' && (open.size > 0) === USED,
    WAIT_MS, USED ? 'and is live there' : 'and is live at its own');
  const before = came;

  await page.fill('#path', PROJECT);
  await page.click('#build-button');
  await page.waitForURL(/#build=\d+$/);
  await until(async () => await state() === 'ended', WAIT_MS, 'a build is followed to its end');
  const id = /\d+$/.exec(page.url())[0];
  const log = await (await fetch(new URL(`/api/project/builds/${id}/log`, base))).text();
  const rows = () => page.$$eval('#log .row .text', (all) => all.map((one) => one.textContent).join('\n'));
  // What was received last may wait for a frame.
  await until(async () => (await rows()).length >= log.trimEnd().length, WAIT_MS, 'all lines are there');
  is(await rows(), log.trimEnd(), 'each line once, in order');
  if (USED) ok(came > before, 'its stream came from there, too');
  else is(came, before, 'what does not answer is not asked again');
}, { args });
