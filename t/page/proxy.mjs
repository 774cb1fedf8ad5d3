// SPDX-License-Identifier: Apache-2.0
// proxy.mjs - the page behind a proxy that speaks HTTP/2 to it: each line is on
// the screen before the next one is printed
//
//   BASE_URL   the proxy
//   CERT       its certificate, which nobody has signed
//   PROJECT    path of a puppet that has printed "line 1"
import { createHash, X509Certificate } from 'node:crypto';
import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { base, run } from './lib.mjs';

const { CERT, PROJECT } = process.env;
const WAIT_MS = 20000;

const key = new X509Certificate(await readFile(CERT)).publicKey.export({ type: 'spki', format: 'der' });
const args = [`--ignore-certificate-errors-spki-list=${createHash('sha256').update(key).digest('base64')}`];
const cue = (...lines) => appendFile(join(PROJECT, 'cue'), lines.map((line) => `${line}\n`).join(''));

await run(async ({ page, ok, is, until }) => {
  const texts = () => page.$$eval('#log .row .text', (all) => all.map((one) => one.textContent));

  await page.goto(base);
  is(await page.evaluate(() => performance.getEntriesByType('navigation')[0].nextHopProtocol), 'h2', 'the page comes over HTTP/2');
  await page.fill('#path', PROJECT);
  await page.click('#build-button');
  await page.waitForURL(/#build=\d+$/);
  await until(async () => (await texts()).includes('line 1'), WAIT_MS, 'the first line is on the screen');
  for (let n = 2; n <= 6; n += 1) {
    await cue(`out line ${n}`);
    await until(async () => (await texts()).includes(`line ${n}`), WAIT_MS, `line ${n}, before the next one is printed`);
  }
  is(await page.getAttribute('#connection', 'data-state'), 'live', 'and the page says that it is live');
  await cue('exit 0');
  await until(async () => await page.getAttribute('#connection', 'data-state') === 'ended', WAIT_MS, 'the build is followed to its end');
  ok(await page.waitForSelector('#truth[data-truth="complete"]'), 'and complete');
}, { args });
