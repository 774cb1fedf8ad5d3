// SPDX-License-Identifier: Apache-2.0
// stream-breaks.mjs - what breaks between a browser and the server, and what is
// told of it; with a shared worker, and without
//
//   WATCHED   path of a puppet without cues; BuildLogPing is 1s
import {
  all, build, count, cue, follow, graceful, haveLines, newLab, note, openLab, prepare, proxy, run, state,
  stateIs, states, storedIds, WAIT_MS,
} from './stream-lib.mjs';

const { WATCHED, SHARED, HOST } = process.env;
const isShared = SHARED === '1';
const how = isShared ? 'shared' : 'alone';

await run(async ({ first, context, ok, is, until }) => {
  await prepare(context);
  if (!isShared) await context.addInitScript(() => { delete globalThis.SharedWorker; });
  const tabs = [await openLab(first), await newLab(context)];
  if (HOST) is(await first.evaluate(() => isSecureContext), false, 'no secure context');
  const id = await build(WATCHED);
  await Promise.all(tabs.map((tab) => follow(tab, id)));
  let lines = 1;
  const goOn = async (name) => {
    await cue(WATCHED, 'count 5');
    lines += 5;
    await until(() => haveLines(tabs, lines), WAIT_MS, `${how}: ${name}`);
    await until(() => all(tabs, (tab) => stateIs(tab, 'live')), WAIT_MS, `${how}: live`);
  };
  const is_ = (name, ms, text) => until(() => all(tabs, (tab) => stateIs(tab, name)), ms, `${how}: ${text}`);
  await goOn('lines come');
  is(proxy.streams, isShared ? 1 : 2, `${how}: connections`);

  // ---- an end that is none ------------------------------------------------------
  const toldBefore = (await states(first)).length;
  graceful();
  await goOn('a graceful restart');
  const told = (await states(first)).slice(toldBefore);
  is(told.length, 0, `${how}: of which nothing is told`);
  note(JSON.stringify(told));

  // ---- it is cut, and nobody answers ----------------------------------------------
  proxy.refuse(true);
  proxy.cut();
  await is_('reconnecting', 10000, 'nobody answers');
  const seen = await until(async () => {
    const { detail } = await state(first);
    return detail.at > Date.now() ? detail.at - Date.now() : 0;
  }, 10000, `${how}: it is told when the next try is`);
  ok(seen < 60000, `${how}: in ${Math.round(seen)} ms`);
  await until(async () => (await states(first)).filter((one) => one.detail.at > 0).length >= 2, 20000,
    `${how}: each is`);
  proxy.refuse(false);
  await goOn('it comes back, and no line is missing');

  // ---- the line is dead, and nobody says so ------------------------------------------
  // Two pings were seen, so their interval is known.
  await until(() => all(tabs, async (tab) => await tab.evaluate(() => lab.times) > 7), WAIT_MS, `${how}: pings come`);
  const died = Date.now();
  proxy.die();
  await is_('reconnecting', 15000, 'silence longer than two pings is noticed');
  const noticed = Math.max(...await Promise.all(tabs.map(async (tab) => (await state(tab)).ms))) - died;
  ok(noticed > 1000, `${how}: and not sooner, after ${noticed} ms`);
  proxy.heal();
  proxy.cut();
  await goOn('it comes back');

  // ---- offline ----------------------------------------------------------------------------
  await context.setOffline(true);
  proxy.refuse(true);
  proxy.cut();
  await cue(WATCHED, 'count 5');
  lines += 5;
  await is_('reconnecting', 15000, 'offline');
  await until(() => all(tabs, async (tab) => (await state(tab)).detail.at > Date.now() + 8000), 90000,
    `${how}: it tries again seldom`);
  const next = Math.min(...await Promise.all(tabs.map(async (tab) => (await state(tab)).detail.at)));
  proxy.refuse(false);
  const before = Date.now();
  await context.setOffline(false);
  await is_('live', WAIT_MS, 'online');
  const live = Math.max(...await Promise.all(tabs.map(async (tab) => (await state(tab)).ms)));
  ok(live < next, `${how}: at once, ${next - live} ms before the next try was due`);
  note(`${live - before} ms`);
  await goOn('and no line is missing');

  await cue(WATCHED, 'exit 0');
  await is_('ended', WAIT_MS, 'the end');
  const want = (await storedIds(id)).join(' ');
  for (const tab of tabs) is(await tab.evaluate((one) => lab.ids(one), id) === want, true, `${how}: each line once`);
  note(JSON.stringify((await states(first)).map(({ name, detail }) => [name, detail])));
});
