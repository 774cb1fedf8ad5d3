// SPDX-License-Identifier: Apache-2.0
// stream-hub.mjs - what tabs and the shared worker say to each other crosses:
// no tab is left without a connection, none misses a line (promise 1)
//
// The hub is alone, in a page; its tabs and its EventSource are not real.
import { base, run } from './lib.mjs';

const WAIT_MS = 10000;

/** In the page: globalThis.hub, ports that keep what they hear, a feed. */
async function prepare() {
  const sources = [];
  globalThis.EventSource = class extends EventTarget {
    constructor(url) {
      super();
      this.url = url;
      sources.push(this);
    }

    close() {
      this.isClosed = true;
    }
  };
  const { Hub } = await import('/js/stream-hub.mjs');
  const hub = new Hub();
  globalThis.bench = {
    sources,
    /** Date.now() is so far ahead. */
    later: (ms) => {
      const now = Date.now.bind(Date);
      Date.now = () => now() + ms;
    },
    /** An event for those who share. */
    event: (id, bytes = 0) => {
      const data = JSON.stringify({ build: 1, id, text: 'x'.repeat(bytes) });
      const event = new MessageEvent('message', { data, lastEventId: id });
      sources.find((one) => !one.isClosed).dispatchEvent(event);
    },
    tab: async () => {
      const heard = [];
      let listener = null;
      const port = {
        addEventListener: (name, on) => { if (name === 'message') listener = on; },
        start() {},
        close() {},
        postMessage: ({ say }) => { if (say !== 'beat') heard.push(say); },
      };
      await hub.connect(port);
      const say = (what, more = {}) => listener({ data: { do: what, ...more } });
      const hello = (at) => say('hello', { where: { build: '1', origin: '', polled: false }, at, visible: true });
      return { heard, say, hello, said: () => heard.splice(0).join(' ') };
    },
  };
}

await run(async ({ page, is, until }) => {
  await page.goto(base);
  await page.evaluate(prepare);

  // One that follows; another one comes from behind, by a connection of its own.
  const began = await page.evaluate(async () => {
    [bench.first, bench.second] = [await bench.tab(), await bench.tab()];
    bench.first.hello('');
    bench.event('1000');
    bench.event('2000');
    bench.second.hello('500');
    return [bench.first.said(), bench.second.said()];
  });
  is(began[0], 'welcome joined state state', 'the first tab shares');
  is(began[1], 'welcome wait go', 'one that is behind gets a connection of its own');

  // It has caught up, and is too slow at once: what it says of the first is on
  // its way when it is told of the second.
  const crossed = await page.evaluate(async () => {
    const { first, second } = bench;
    second.say('join', { at: '1900' });
    const joined = second.said();
    const most = 5;
    for (let i = 0; i < most; i += 1) {
      bench.event(String(3000 + i), 1024 * 1024);
      await new Promise((done) => { setTimeout(done, 20); });
      first.say('took', { chars: 1024 * 1024 });
    }
    bench.event('4000');
    await new Promise((done) => { setTimeout(done, 20); });
    const behind = second.said();
    second.say('merged');
    return [joined, behind, second.said()];
  });
  is(crossed[0], 'joined', 'it joins the others');
  is(crossed[1].replace(/^(events )+/, ''), 'behind', 'it is too slow');
  is(crossed[2], 'wait go', 'it had given its connection back: it gets another one');

  // Two have connections of their own for long, a third one waits for one.
  await page.evaluate(async () => {
    bench.others = [await bench.tab(), await bench.tab()];
    for (const one of bench.others) one.hello('700');
    bench.second.said();
    bench.later(30000);
  });
  await until(() => page.evaluate(() => bench.second.heard.includes('yield')), WAIT_MS, 'others have their turn');
  const late = await page.evaluate(() => {
    const { second } = bench;
    second.said();
    second.say('join', { at: '3900' });
    return second.said();
  });
  is(late, '', 'who gave its connection back does not join from where it was');
  await page.evaluate(() => bench.later(30000));
  await until(() => page.evaluate(() => bench.second.heard.includes('go')), WAIT_MS, 'its turn comes again');
});
