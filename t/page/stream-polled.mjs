// SPDX-License-Identifier: Apache-2.0
// stream-polled.mjs - over HTTP/2 each answer ends at once: nothing of that is
// told
//
//   WATCHED   path of a puppet without cues
//   CERT      the server's certificate, which nobody has signed
//   SHARED    0: without a shared worker
import { createHash, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import {
  all, build, count, cue, follow, graceful, haveLines, newLab, openLab, prepare, run, stateIs, states, storedIds,
  WAIT_MS,
} from './stream-lib.mjs';

const { WATCHED, CERT, SHARED } = process.env;
const key = new X509Certificate(await readFile(CERT)).publicKey.export({ type: 'spki', format: 'der' });
const args = [`--ignore-certificate-errors-spki-list=${createHash('sha256').update(key).digest('base64')}`];

await run(async ({ first, context, is, until }) => {
  await prepare(context);
  if (SHARED === '0') await context.addInitScript(() => { delete globalThis.SharedWorker; });
  const tabs = [await openLab(first), await newLab(context)];
  const id = await build(WATCHED);
  await Promise.all(tabs.map((tab) => follow(tab, id)));
  await cue(WATCHED, 'count 20', 'slow 80 50');
  await until(() => haveLines(tabs, 101), WAIT_MS, 'lines come');
  const late = await newLab(context);
  await follow(late, id);
  tabs.push(late);
  // Longer than the longest pause between two polls.
  await new Promise((done) => { setTimeout(done, 6500); });
  await cue(WATCHED, 'slow 20 50');
  await until(() => haveLines(tabs, 121), WAIT_MS, 'and come, after nothing came for a while');
  graceful();
  await cue(WATCHED, 'count 500');
  await until(() => haveLines(tabs, 621), WAIT_MS, 'and come, after a graceful restart');
  await cue(WATCHED, 'exit 0');
  await until(() => all(tabs, (tab) => stateIs(tab, 'ended')), WAIT_MS, 'to the end');
  const want = (await storedIds(id)).join(' ');
  for (const [i, tab] of tabs.entries()) {
    is((await states(tab)).map(({ name }) => name).join(' '), 'connecting live ended', `tab ${i + 1}: what is told`);
    is(await tab.evaluate((one) => lab.ids(one), id) === want, true, `tab ${i + 1}: each line once`);
  }
  is(await count(late), want.split(' ').length, 'no line twice');
}, { args });
