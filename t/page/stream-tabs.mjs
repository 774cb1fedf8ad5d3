// SPDX-License-Identifier: Apache-2.0
// stream-tabs.mjs - ten tabs of one browser over HTTP/1.1
//
//   WATCHED   path of a puppet (BuildLog::Puppet) whose first cues are prepared;
//             the others are given here
import {
  all, allowErrors, build, count, cue, follow, generations, graceful, haveLines, killChildren, killWorker, newLab, note,
  openLab, prepare, proxy, run, state, stateIs, states, storedIds, WAIT_MS, workerHeap,
} from './stream-lib.mjs';

const { WATCHED } = process.env;
const TABS = 10;
const BURST = 20000;
const ANSWER_MS = 30000;

// A tab is made to crash.
allowErrors(/Target crashed/);

await run(async ({ first, context, ok, is, until }) => {
  await prepare(context);
  const id = await build(WATCHED);
  const tabs = [await openLab(first)];
  while (tabs.length < TABS) tabs.push(await newLab(context));
  const allHave = (lines, name) => until(() => haveLines(tabs, lines), WAIT_MS, name);
  const allLive = () => all(tabs, (tab) => stateIs(tab, 'live'));
  const shared = (streams, name) => until(() => proxy.streams === streams, WAIT_MS, name);

  // The command is a line, too.
  let lines = 501;
  await Promise.all(tabs.map((tab) => follow(tab, id)));
  await allHave(lines, `${TABS} tabs have the first lines`);
  await until(allLive, WAIT_MS, 'all are live');
  await shared(1, 'by one connection');
  ok(proxy.most <= 5, `there were never more than a browser allows (${proxy.most})`);
  const answered = await tabs[9].evaluate(async (ms) => (await fetch('/favicon.svg',
    { cache: 'no-store', signal: AbortSignal.timeout(ms) })).status, ANSWER_MS);
  is(answered, 200, 'and the tenth gets other things from the server');

  await cue(WATCHED, 'slow 30 20');
  lines += 30;
  await allHave(lines, 'lines come to all while they are printed');

  // ---- those that come later -----------------------------------------------
  const stored = await storedIds(id);
  const after = stored[249];
  const late = await newLab(context);
  const middle = await newLab(context);
  const latest = await newLab(context);
  await cue(WATCHED, 'slow 150 10');
  lines += 150;
  await Promise.all([
    follow(late, id), follow(middle, id, { after }), follow(latest, id, { after: stored.at(-1) }),
  ]);
  tabs.push(late);
  await allHave(lines, 'a late tab catches up while lines come');
  await until(async () => await count(middle) === lines - 250 && await count(latest) === lines - stored.length,
    WAIT_MS, 'and those that begin in the middle');
  await shared(1, 'and they share the one connection');
  // One that ends may be there for a moment when the next one begins.
  ok(proxy.most <= 4, `there were few beside it (${proxy.most - 1})`);
  proxy.reset();
  await cue(WATCHED, 'count 10');
  lines += 10;
  await allHave(lines, 'what comes then is for them, too');
  is(proxy.asked, 0, 'without another connection');

  // Lines that are so young that it asks to be merged with the first of them.
  const mark = (await storedIds(id)).at(-1);
  for (const [i, tab] of [latest, middle].entries()) {
    await cue(WATCHED, 'count 2000', 'slow 200 5');
    await until(() => haveLines([first], lines + 2000), WAIT_MS, 'many lines come at once');
    await follow(tab, id, { after: mark });
    lines += 2200;
    await allHave(lines, 'and some more');
    await until(async () => await count(tab) >= 2200 * (i + 1), WAIT_MS, 'a tab comes between them');
    const all = await storedIds(id);
    is(await tab.evaluate((one) => lab.ids(one), id) === all.slice(all.indexOf(mark) + 1).join(' '), true,
      'and has each line once');
  }

  // ---- breaks in the middle of a burst ------------------------------------------
  const before = await workerHeap(context, first);
  await cue(WATCHED, `count ${BURST}`);
  await until(() => haveLines([first], lines + 2000), WAIT_MS, 'a burst begins');
  await killChildren();
  lines += BURST;
  await allHave(lines, 'the children are killed in it, and it comes to its end');
  await until(allLive, WAIT_MS, 'all are live again');
  const grown = await workerHeap(context, first) - before;
  ok(grown < 2e6, `the worker has not grown (${Math.round(grown / 1000)} kB)`);
  for (let i = 1; i <= 2; i += 1) {
    const generation = await generations();
    await cue(WATCHED, 'slow 100 10');
    lines += 100;
    graceful();
    await until(async () => await generations() > generation, WAIT_MS, `graceful restart ${i}`);
    await allHave(lines, 'no line is missing');
  }
  await shared(1, 'and there is one connection');

  // ---- tabs that leave, with and without a word ------------------------------------
  await follow(latest, null);
  await shared(2, 'a tab follows all builds, by another connection');
  const session = await context.newCDPSession(latest);
  session.send('Page.crash').catch(() => {});
  await shared(1, 'it crashes, and its connection ends');
  await follow(middle, null);
  await shared(2, 'another one does');
  await middle.close();
  await shared(1, 'it is closed, and its connection ends');
  await tabs.pop().close();
  // The one that the worker began for.
  const [gone] = tabs.splice(3, 1);
  await openLab(gone);
  await cue(WATCHED, 'count 10');
  lines += 10;
  await allHave(lines, 'the others go on');
  await follow(gone, id);
  tabs.push(gone);
  await allHave(lines, 'and so does one that was loaded anew');

  // ---- the worker is gone ---------------------------------------------------------------
  await cue(WATCHED, 'slow 100 10');
  lines += 100;
  await killWorker(context, first);
  await allHave(lines, 'the worker ends: no line is missing');
  await until(allLive, WAIT_MS, 'all are live');
  await shared(1, 'by one connection');

  await cue(WATCHED, 'exit 0');
  await until(() => all(tabs, (tab) => stateIs(tab, 'ended')), WAIT_MS, 'the build is over in all tabs');
  await shared(0, 'and the connection');
  const want = (await storedIds(id)).join(' ');
  for (const [i, tab] of tabs.entries()) {
    is(await tab.evaluate((build) => lab.ids(build), id) === want, true, `tab ${i + 1}: each line once, in order`);
  }
  is(await first.evaluate(() => lab.ends.map((end) => end.state).join()), 'succeeded', 'the end is told once');
  const told = [...new Set((await states(first)).map(({ name }) => name))];
  note(`told: ${told.join(' ')}`);
  is(told.filter((name) => name === 'closed' || name === 'busy').length, 0, 'nothing else was told');
  note(JSON.stringify(await state(first)));
});
