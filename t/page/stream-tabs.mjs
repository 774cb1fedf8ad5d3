// SPDX-License-Identifier: Apache-2.0
// stream-tabs.mjs - ten tabs of one browser over HTTP/1.1
//
//   WATCHED   path of a puppet (BuildLog::Puppet) whose first cues are prepared;
//             the others are given here
import {
  all, build, count, cue, follow, generations, graceful, haveLines, killChildren, newLab, note, openLab,
  prepare, proxy, record, run, state, stateIs, storedIds, WAIT_MS, worker, workerHeap,
} from './stream-lib.mjs';

const { WATCHED } = process.env;
const TABS = 10;
const BURST = 20000;

await run(async ({ first, context, ok, is, until }) => {
  await prepare(context);
  const id = await build(WATCHED);
  const tabs = [await openLab(first)];
  while (tabs.length < TABS) tabs.push(await newLab(context));
  await Promise.all(tabs.map((tab) => follow(tab, id)));
  await until(() => haveLines(tabs, 501), WAIT_MS, `${TABS} tabs have the first lines`);
  await until(() => all(tabs, (tab) => stateIs(tab, 'live')), WAIT_MS, 'all are live');
  await until(() => proxy.streams === 1, WAIT_MS, 'by one connection');
  ok(proxy.most <= 5, `there were never more than five at a time (${proxy.most})`);
  const w = await worker(context, first);
  note(await w.evaluate('location.href'));
  note(await workerHeap(context, first));
}, {});
