// SPDX-License-Identifier: Apache-2.0
// stream-slow.mjs - a tab that sleeps while another one follows a flood, and
// tabs that follow more builds than a browser has connections
//
//   WATCHED   path of a puppet without cues
//   OTHERS    paths of others, separated by spaces
import {
  all, build, count, cue, follow, freeze, haveLines, newLab, note, openLab, prepare, proxy, run, state, stateIs,
  states, storedIds, WAIT_MS, workerHeap,
} from './stream-lib.mjs';

const { WATCHED } = process.env;
const OTHERS = process.env.OTHERS.split(' ');
const FLOOD_BYTES = 12e6;

await run(async ({ first, context, ok, is, until }) => {
  await prepare(context);
  const sleeper = await newLab(context);
  const reader = await openLab(first);
  const pair = [reader, sleeper];
  const complete = async (tab, id, name) => is(
    await tab.evaluate((one) => lab.ids(one), id) === (await storedIds(id)).join(' '), true, name);

  // ---- one that sleeps -------------------------------------------------------
  const id = await build(WATCHED);
  await Promise.all(pair.map((tab) => follow(tab, id)));
  await cue(WATCHED, 'count 10');
  await until(() => haveLines(pair, 11), WAIT_MS, 'two tabs follow a build');
  const before = await workerHeap(context, reader);
  proxy.reset();
  const wake = await freeze(sleeper);
  await cue(WATCHED, `flood ${FLOOD_BYTES}`, 'out behind the flood');
  const lines = 12 + Math.ceil(FLOOD_BYTES / (500 * 50)) * 500;
  await until(async () => await count(reader) > lines * 0.9, WAIT_MS, 'one takes a flood, while the other sleeps');
  const heap = await workerHeap(context, reader) - before;
  ok(heap < 3e6, `the worker keeps nothing for it (${Math.round(heap / 1000)} kB)`);
  is(proxy.streams, 1, 'and there is one connection');
  await wake();
  await until(async () => await count(sleeper) === await count(reader), WAIT_MS, 'it wakes up, and catches up');
  ok(proxy.asked >= 1, 'by a connection of its own');
  const told = await states(sleeper);
  note(JSON.stringify(told.map(({ name, detail }) => [name, detail])));
  ok(told.some(({ name, detail }) => name === 'catching' && detail.lines >= 0), 'it says so');
  await until(() => proxy.streams === 1, WAIT_MS, 'which ends');
  await until(() => all(pair, (tab) => stateIs(tab, 'live')), WAIT_MS, 'both are live');
  proxy.reset();
  await cue(WATCHED, 'count 10', 'exit 0');
  await until(() => all(pair, (tab) => stateIs(tab, 'ended')), WAIT_MS, 'to the end');
  is(proxy.asked, 0, 'by the connection that there was');
  await complete(reader, id, 'each line once, in order');
  await complete(sleeper, id, 'also where it slept');

  // ---- all of it at once, and from its middle ---------------------------------
  const stored = await storedIds(id);
  const after = stored[Math.round(stored.length / 2)];
  await follow(reader, id);
  await follow(sleeper, id, { after });
  await until(() => all(pair, (tab) => stateIs(tab, 'ended')), WAIT_MS, 'an ended build, from its start and middle');
  await complete(reader, id, 'from the start');
  is(await sleeper.evaluate((one) => lab.ids(one), id) === stored.slice(stored.indexOf(after) + 1).join(' '), true,
    'from the middle');
  is(await sleeper.evaluate(() => lab.ends.length), 1, 'the end is told once');

  // ---- more builds than connections -----------------------------------------------
  proxy.reset();
  const tabs = [reader, sleeper];
  while (tabs.length < OTHERS.length) tabs.push(await newLab(context));
  const ids = await Promise.all(OTHERS.map((path) => build(path)));
  await Promise.all(tabs.map((tab, i) => follow(tab, ids[i])));
  for (const path of OTHERS) await cue(path, 'slow 50 100');
  await until(() => haveLines(tabs, 51), 2 * WAIT_MS, `${tabs.length} tabs follow a build each`);
  ok(proxy.most <= 5, `by few connections (${proxy.most})`);
  const answer = await reader.evaluate(async () => (await fetch('/favicon.svg',
    { cache: 'no-store', signal: AbortSignal.timeout(30000) })).status);
  is(answer, 200, 'and other things come');
  for (const path of OTHERS) await cue(path, 'count 100', 'exit 0');
  await until(() => all(tabs, (tab) => stateIs(tab, 'ended')), 2 * WAIT_MS, 'to their ends');
  for (const [i, tab] of tabs.entries()) await complete(tab, ids[i], `build ${i + 1}: each line once, in order`);
  note(JSON.stringify(await state(reader)));
});
