// SPDX-License-Identifier: Apache-2.0
// stream-told.mjs - a server that is full, builds that are over, what is
// refused; a worker that cannot be had; a page that is hidden or left
//
//   WATCHED   path of a puppet without cues; BuildLogMaxClients is 1
import {
  allowErrors, build, count, cue, follow, hasWorker, haveLines, newLab, openLab, prepare, proxy, record, run,
  SERVER_URL, state, stateIs, states, storedIds, WAIT_MS, base,
} from './stream-lib.mjs';

const { WATCHED } = process.env;

allowErrors(/status of 404/, /TrustedScriptURL|Trusted ?Type/i, /status of 500/);

await run(async ({ first: tab, context, ok, is, like, until }) => {
  await prepare(context);
  await openLab(tab);
  const is_ = (name, text, ms = WAIT_MS) => until(() => stateIs(tab, name), ms, text);
  const complete = async (id, name) => is(
    await tab.evaluate((one) => lab.ids(one), id) === (await storedIds(id)).join(' '), true, name);

  // ---- the server is full -----------------------------------------------------
  const id = await build(WATCHED);
  await cue(WATCHED, 'count 10');
  const stop = new AbortController();
  const url = new URL('/api/log/push', SERVER_URL);
  const blocker = await fetch(url, { headers: { Accept: 'text/event-stream' }, signal: stop.signal });
  is(blocker.status, 200, 'somebody else is there');
  await follow(tab, id);
  await is_('busy', 'the server is full');
  const { detail, ms } = await state(tab);
  ok(detail.at > ms && detail.at < ms + 6000, 'and has said when to come back');
  like((await states(tab)).map(({ name }) => name).join(' '), /^connecting( busy)+$/, 'nothing else is told');
  stop.abort();
  await is_('live', 'when there is room it is let in', 15000);
  await until(() => haveLines([tab], 11), WAIT_MS, 'and has all lines');

  // ---- over -------------------------------------------------------------------
  await cue(WATCHED, 'exit 0');
  await is_('ended', 'the build is over');
  await complete(id, 'each line once');
  is(await tab.evaluate(() => lab.ends.length), 1, 'the end is told once');
  const { ended } = await record(id);
  ok(ended, 'as the record says');
  const last = await tab.evaluate(() => lab.stream.lastId);
  await follow(tab, id, { after: last });
  await is_('ended', 'who has everything is told that it is over (204)');
  is(await tab.evaluate(() => lab.ends[0]?.state), 'succeeded', 'and how');
  is(await count(tab), 0, 'without a line');
  is((await states(tab)).map(({ name }) => name).join(' '), 'connecting ended', 'and nothing else');

  await follow(tab, '999999');
  await is_('closed', 'no such build');
  is((await state(tab)).detail.status, 404, 'and why');
  await new Promise((done) => { setTimeout(done, 1000); });
  is((await states(tab)).length, 2, 'it is not asked for again');

  // ---- no worker --------------------------------------------------------------------
  const goesAlone = async (page, name) => {
    await follow(page, null);
    await until(() => stateIs(page, 'live'), WAIT_MS, `${name}: live all the same`);
    await until(() => proxy.streams === 1, 5000, `${name}: by a connection of its own`);
  };
  await tab.close();
  const html = new URL('/stream-lab.html', base).href;
  const strict = await context.newPage();
  await strict.route(html, async (route) => {
    const response = await fetch(new URL('/index.html', SERVER_URL));
    const policy = /content="(default-src[^"]*)"/.exec(await response.text())[1];
    await route.fulfill({
      contentType: 'text/html',
      body: `<meta http-equiv="Content-Security-Policy" content="${policy.replace(/trusted-types [^;]*/, "trusted-types 'none'")}">
        <script type="module" src="/stream-lab.mjs"></script>`,
    });
  });
  await openLab(strict);
  await goesAlone(strict, 'a policy that forbids it');
  is(await hasWorker(context, strict), false, 'there is no worker');
  await strict.close();

  const broken = await context.newPage();
  await broken.addInitScript(() => {
    const Real = SharedWorker;
    globalThis.SharedWorker = function Broken(_, options) {
      return new Real('/js/there-is-none.mjs', options);
    };
  });
  await broken.route(html, (route) => route.fulfill({
    contentType: 'text/html', body: '<script type="module" src="/stream-lab.mjs"></script>',
  }));
  await openLab(broken);
  await goesAlone(broken, 'one that cannot be loaded');

  // ---- hidden -----------------------------------------------------------------------------
  await broken.close();
  const hidden = await context.newPage();
  await hidden.addInitScript(() => { delete globalThis.SharedWorker; });
  await hidden.clock.install();
  await openLab(hidden);
  const see = (visible) => hidden.evaluate((value) => {
    Object.defineProperty(document, 'visibilityState', { value, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  }, visible ? 'visible' : 'hidden');
  await goesAlone(hidden, 'none');
  await see(false);
  await hidden.clock.fastForward(25000);
  is(proxy.streams, 1, 'a hidden page keeps its connection for a while');
  await hidden.clock.fastForward(10000);
  await until(() => proxy.streams === 0, 5000, 'and gives it back');
  const next = await build(WATCHED);
  await cue(WATCHED, 'count 10', 'exit 0');
  await until(async () => (await record(next)).state === 'succeeded', WAIT_MS, 'a build ends meanwhile');
  await see(true);
  await until(() => haveLines([hidden], 12), WAIT_MS, 'seen again: the lines of it come');
  is(await hidden.evaluate((one) => lab.ids(one), next) === (await storedIds(next)).join(' '), true, 'each once');
  await hidden.close();

  // ---- left and come back -----------------------------------------------------------------
  const left = await newLab(context);
  await follow(left, null);
  await until(() => stateIs(left, 'live'), WAIT_MS, 'a page');
  await left.evaluate(() => dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true })));
  await until(() => proxy.streams === 0, 5000, 'that is left has no connection');
  await left.evaluate(() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })));
  await until(() => stateIs(left, 'live'), WAIT_MS, 'and is live when one comes back');
});
