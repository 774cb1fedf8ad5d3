// SPDX-License-Identifier: Apache-2.0
// The event stream of one build, or of all, for one page: each line once, and
// how the connection stands.
//
// All tabs of a browser share one connection for each stream, in a shared
// worker (stream-hub.mjs). A tab that is not where the others are, or was too
// slow, catches up by a connection of its own and then joins them. Where there
// is no shared worker each tab has its own, and gives it back while the page
// is hidden for long.
//
//   joining --> joined                    the worker's events
//      |          | too slow   ^
//      v          v            |          (merging: its own events up to the
//   waiting --> own --> merging           worker's place, which hold back the
//      ^         |                        worker's)
//      +---------+  others wait
//   alone                                 no worker
//
// States told: connecting, live, catching { lines }, reconnecting { at },
// busy { at }, ended, closed { problem }: why it was refused; null: it is not,
// any more.

import { askStream, getBuild } from './api.mjs';
import { isLater } from './event-id.mjs';
import { canShare, Link } from './stream-link.mjs';
import { Source, streamUrl } from './stream-source.mjs';

// How far behind the server's clock a line is that is not late.
const LAG_MS = 2000;

// A stream in which nothing comes for so long is at its end.
const QUIET_MS = 400;

// Being late is told when it lasts, and when it is many lines.
const CATCHING_MS = 300;
const CATCHING_LINES = 200;
const CATCHING_TELL_MS = 250;

const LATER_MS = 1000;

// Workers that ended: then it goes on alone, and looks for another one later.
const DEATHS_MOST = 5;
const ALONE_MS = 60000;

// So long a hidden page without a worker keeps its connection.
const HIDDEN_MS = 30000;

// Other addresses that did not let a stream in: not asked again by this page.
const unusable = new Set();

export class LogStream {
  #build;
  #on;
  #origin = '';
  #mode = ''; // '': not open
  #link = null;
  #deaths = 0; // of workers
  #source = null;
  #held = []; // from the worker, while merging
  #mergeAt = ''; // the worker's place
  #joinAsked = 0; // when
  #state = '';
  #detail = '';
  #lastId;
  #floor; // what is behind it is here, also of builds that #seen does not know
  #seen = new Map(); // build -> id of its last line
  #aheadMs = 0; // the server's clock minus ours
  #eventAt = 0;
  #late = { lines: 0, since: 0, toldAt: 0 };
  #asked = null; // why the server closed it
  #watch = 0;
  #hide = 0;
  #ask = 0;
  #listeners = null;

  /**
   * @param build  id, or null for all builds
   * @param on     { line, build, end, gap, time, state }: functions
   * @param after  id behind which the stream begins; '': a build from its
   *               start, all builds from now
   */
  constructor(build, on, { after = '' } = {}) {
    this.#build = build === null ? null : String(build);
    this.#on = on;
    this.#lastId = after;
    this.#floor = after;
  }

  /** Of the last event seen: open() goes on behind it. */
  get lastId() {
    return this.#lastId;
  }

  open() {
    this.#drop();
    this.#enter(this.#state === '' ? 'connecting' : 'reconnecting', { at: 0 });
    this.#eventAt = Date.now();
    this.#begin();
    this.#watch = setInterval(() => this.#look(), QUIET_MS / 2);
    this.#listen();
  }

  close() {
    this.#drop();
  }

  /** Go on from another address of the same site. */
  moveTo(origin) {
    if (this.#origin === origin || this.#state === 'ended' || unusable.has(origin)) return;
    this.#origin = origin;
    if (this.#mode !== '') this.open();
  }

  /** Everything is here: nothing more will come. */
  end() {
    this.#drop();
    this.#enter('ended');
  }

  #where() {
    const [page] = performance.getEntriesByType('navigation');
    const polled = this.#origin === '' && /^h[23]/.test(page?.nextHopProtocol ?? '');
    return { build: this.#build, origin: this.#origin, polled };
  }

  // ---- shared or alone ------------------------------------------------------

  #begin() {
    this.#mode = 'joining';
    if (!this.#connect()) this.#goAlone();
  }

  #connect() {
    if (!canShare()) return false;
    try {
      this.#link = new Link({
        hear: (message) => this.#hear(message),
        gone: () => this.#workerGone(),
        failed: () => this.#workerFailed(),
      });
    } catch {
      return false;
    }
    return true;
  }

  #drop() {
    clearInterval(this.#watch);
    clearTimeout(this.#hide);
    clearTimeout(this.#ask);
    this.#listeners?.abort();
    this.#leave();
    this.#mode = '';
  }

  #leave() {
    this.#link?.close();
    this.#link = null;
    this.#shut();
    this.#held = [];
  }

  /** Its own connection. */
  #shut() {
    this.#source?.close();
    this.#source = null;
  }

  #goOwn() {
    this.#shut();
    this.#joinAsked = 0;
    this.#eventAt = Date.now();
    const source = new Source(this.#where(), {
      event: (name, id, data) => {
        if (source === this.#source) this.#ownEvent(name, id, data);
      },
      state: (name, detail) => {
        if (source === this.#source) this.#connectionIs(name, detail);
      },
    });
    this.#source = source;
    source.open(this.#lastId);
  }

  #goAlone() {
    this.#leave();
    this.#mode = 'alone';
    this.#goOwn();
    this.#seenOrNot();
    this.#askAgain();
  }

  /** Perhaps there will be a worker later. */
  #askAgain() {
    clearTimeout(this.#ask);
    this.#ask = setTimeout(() => {
      if (this.#mode === 'alone') this.#connect();
    }, ALONE_MS);
  }

  #workerFailed() {
    this.#link = null;
    if (this.#mode === 'alone') this.#askAgain();
    else this.#goAlone();
  }

  #workerGone() {
    this.#deaths += 1;
    this.#leave();
    this.#enter('reconnecting', { at: 0 });
    if (this.#deaths < DEATHS_MOST) this.#begin();
    else this.#goAlone();
  }

  #hello() {
    clearTimeout(this.#hide);
    this.#shut();
    this.#held = [];
    this.#mode = 'joining';
    this.#link.say('hello', { where: this.#where(), at: this.#lastId, visible: isVisible() });
  }

  // ---- what the worker says ---------------------------------------------------

  #hear(message) {
    switch (message.say) {
      case 'welcome':
      case 'unknown':
        this.#hello();
        break;
      case 'joined':
        this.#joined(message);
        break;
      case 'events':
      case 'state':
        if (this.#mode === 'merging') this.#held.push(message);
        else if (this.#mode === 'joined') this.#workerSays(message);
        break;
      case 'behind':
        this.#held = [];
        this.#mode = this.#source === null ? 'waiting' : 'own';
        this.#joinAsked = Date.now();
        if (this.#state === 'live') this.#enter('catching', { lines: this.#late.lines });
        break;
      case 'later':
        break;
      case 'wait':
        this.#mode = 'waiting';
        break;
      case 'go':
        this.#mode = 'own';
        this.#goOwn();
        break;
      case 'yield':
        this.#shut();
        this.#mode = 'waiting';
        break;
      default:
    }
  }

  #joined({ place, records, state }) {
    this.#mergeAt = place;
    this.#held = [{ say: 'state', state }];
    this.#mode = 'merging';
    if (this.#source === null) records.forEach((data) => this.#event('build', '', data));
    this.#merge();
  }

  /** All that the worker has sent before its place is here: go on with what it sends. */
  #merge() {
    if (this.#source !== null) {
      if (isLater(this.#mergeAt, this.#lastId)) return;
      this.#shut();
      this.#link.say('merged');
    }
    this.#mode = 'joined';
    this.#floor = this.#lastId;
    const held = this.#held;
    this.#held = [];
    for (const message of held) {
      if (this.#mode === 'joined') this.#workerSays(message);
    }
  }

  #workerSays({ say, list, chars, state }) {
    if (say === 'state') {
      this.#connectionIs(...state);
      return;
    }
    for (let i = 0; i < list.length && this.#mode === 'joined'; i += 3) {
      this.#event(list[i], list[i + 1], list[i + 2]);
    }
    this.#link?.say('took', { chars });
  }

  // ---- its own connection --------------------------------------------------------

  #ownEvent(name, id, data) {
    this.#event(name, id, data);
    if (this.#mode === 'merging') this.#merge();
    else if (this.#mode === 'own' && this.#lag(id) < LAG_MS) this.#askToJoin();
  }

  #askToJoin() {
    if (Date.now() - this.#joinAsked < LATER_MS) return;
    this.#joinAsked = Date.now();
    this.#link.say('join', { at: this.#lastId });
  }

  // ---- events ------------------------------------------------------------------------

  #event(name, id, data) {
    const value = parsed(data);
    if (value === null) return;
    this.#eventAt = Date.now();
    const isKnown = id !== '' && !isLater(id, this.#floor);
    if (id !== '' && !isKnown) this.#lastId = id;
    switch (name) {
      case 'message':
        this.#line(value);
        break;
      case 'build':
        if (!isKnown) this.#on.build(value);
        break;
      case 'gap':
        // The log may come once more from its start.
        this.#floor = '';
        this.#on.gap(value);
        break;
      case 'ping':
        this.#aheadMs = (Date.parse(value.time) || Date.now()) - Date.now();
        this.#on.time(value.time);
        break;
      case 'end':
        if (isKnown) break;
        if (this.#build !== null) this.end();
        if (this.#build !== null) this.#on.end(value);
        else this.#on.build(value);
        break;
      default:
    }
  }

  #line(line) {
    if (!isLater(line.id, this.#seen.get(line.build) ?? this.#floor)) return;
    this.#seen.set(line.build, line.id);
    this.#countLate(line.id);
    this.#on.line(line);
  }

  // ---- how it stands ------------------------------------------------------------------

  /** How long ago, by the server's clock, an event was; '': now. */
  #lag(id) {
    return id === '' ? Infinity : Date.now() + this.#aheadMs - Number(id) / 1000;
  }

  #countLate(id) {
    const late = this.#late;
    if (this.#lag(id) < LAG_MS) {
      this.#caughtUp();
      return;
    }
    const now = Date.now();
    if (late.lines === 0) late.since = now;
    late.lines += 1;
    if (late.lines < CATCHING_LINES || now - late.since < CATCHING_MS
        || now - late.toldAt < CATCHING_TELL_MS) return;
    if (this.#state !== 'live' && this.#state !== 'catching') return;
    late.toldAt = now;
    this.#enter('catching', { lines: late.lines });
  }

  #caughtUp() {
    this.#late.lines = 0;
    if (this.#state === 'catching') this.#enter('live');
  }

  #connectionIs(name, detail) {
    if (name === 'unreachable') {
      // The other address does not let this page in, or is not there: the
      // page's own is.
      unusable.add(this.#origin);
      this.moveTo('');
    } else if (name === 'closed') {
      this.#closed();
    } else if (name === 'open') {
      if (this.#state !== 'catching') this.#enter('live');
    } else if (name !== 'connecting') {
      this.#enter(name, detail);
    }
  }

  /** EventSource does not say why. */
  async #closed() {
    this.#drop();
    this.#mode = 'asking';
    const asked = this.#asked = {};
    let record = null;
    let problem = null;
    try {
      const credentials = this.#origin === '' ? 'same-origin' : 'include';
      const status = await askStream(streamUrl(this.#where(), this.#lastId), credentials);
      if (status === 204 && this.#build !== null) record = await getBuild(this.#build);
    } catch (refused) {
      problem = refused;
    }
    if (this.#mode !== 'asking' || asked !== this.#asked) return;
    this.#mode = '';
    if (record === null) {
      this.#enter('closed', { problem });
      return;
    }
    this.end();
    this.#on.end(record);
  }

  #look() {
    if (Date.now() - this.#eventAt < QUIET_MS) return;
    if (this.#mode !== 'joined' && this.#source?.state !== 'open') return;
    if (this.#mode === 'own') this.#askToJoin();
    this.#caughtUp();
  }

  #enter(state, detail = {}) {
    const text = JSON.stringify(detail);
    if (state === this.#state && text === this.#detail) return;
    this.#state = state;
    this.#detail = text;
    this.#on.state(state, detail);
  }

  // ---- the page -----------------------------------------------------------------------

  #listen() {
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    document.addEventListener('visibilitychange', () => this.#seenOrNot(), { signal });
    addEventListener('online', () => this.#link?.say('retry'), { signal });
    // A page that the browser keeps has no connections, and may come back.
    addEventListener('pagehide', () => {
      this.#leave();
      this.#mode = 'away';
    }, { signal });
    addEventListener('pageshow', () => {
      if (this.#mode === 'away') this.open();
    }, { signal });
    this.#seenOrNot();
  }

  #seenOrNot() {
    clearTimeout(this.#hide);
    if (this.#mode !== 'alone' && this.#link !== null) {
      this.#link.say('seen', { visible: isVisible() });
    } else if (isVisible()) {
      if (this.#mode === 'asleep') this.open();
    } else {
      this.#hide = setTimeout(() => this.#sleep(), HIDDEN_MS);
    }
  }

  #sleep() {
    if (this.#mode !== 'alone') return;
    this.#leave();
    this.#mode = 'asleep';
    this.#enter('reconnecting', { at: 0 });
  }
}

const isVisible = () => document.visibilityState === 'visible';

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
