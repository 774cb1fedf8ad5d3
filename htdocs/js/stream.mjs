// SPDX-License-Identifier: Apache-2.0
// The event stream of one build, or of all: opened, watched, reconnected.
//
// States: connecting, live, reconnecting, busy, ended, closed. The browser
// reconnects by itself as long as readyState says CONNECTING; when it has
// given up (closed), the owner finds out why and may open() again. Reopening
// goes on behind the last event seen.

import { isLater } from './event-id.mjs';

// Two pings of 15 s and some patience.
const SILENCE_MS = 35000;
const WATCH_MS = 2500;

// Over HTTP/2 the server ends each answer at once and is asked again after at
// most 5 s: this is how it works, and no loss of connection.
const POLL_PAUSE_MS = 6000;

// Other addresses that did not let a stream in: not asked again by this page.
const unusable = new Set();

export class LogStream {
  #build;
  #on;
  #origin = '';
  #reached = false; // a stream was open at this origin
  #source = null;
  #state = '';
  #opened = false;
  #lastId = '';
  #seen = new Map(); // build -> id of its last line
  #heardAt = 0;
  #watch = 0;
  #grace = 0;

  /**
   * @param build  id, or null for all builds
   * @param on     { line, build, end, gap, time, state }: functions
   * @param after  id of the event behind which the stream begins; '': a build
   *               from its start, all builds from now on
   */
  constructor(build, on, { after = '' } = {}) {
    this.#build = build;
    this.#on = on;
    this.#lastId = after;
  }

  /** Id of the last event seen. */
  get lastId() {
    return this.#lastId;
  }

  open() {
    this.#drop();
    this.#enter(this.#state === '' ? 'connecting' : 'reconnecting');
    this.#opened = false;
    this.#heardAt = Date.now();
    this.#source = new EventSource(this.#url(), { withCredentials: this.#origin !== '' });
    this.#listen(this.#source);
    this.#watch = setInterval(() => this.#look(), WATCH_MS);
  }

  close() {
    this.#drop();
  }

  /** Go on from another address of the same site. */
  moveTo(origin) {
    if (this.#origin === origin || this.#state === 'ended' || unusable.has(origin)) return;
    this.#origin = origin;
    this.#reached = false;
    if (this.#source !== null) this.open();
  }

  /** Everything is here: nothing more will come. */
  end() {
    this.#drop();
    this.#enter('ended');
  }

  /** What the server would answer now, which EventSource does not tell. 204: all was sent. */
  async status() {
    const stop = new AbortController();
    try {
      const headers = { Accept: 'text/event-stream' };
      const credentials = this.#origin === '' ? 'same-origin' : 'include';
      return (await fetch(this.#url(), { headers, credentials, signal: stop.signal })).status;
    } catch {
      return 0;
    } finally {
      stop.abort();
    }
  }

  #url() {
    const query = new URLSearchParams();
    if (this.#build !== null) query.set('build', this.#build);
    query.set('format', 'json');
    if (this.#lastId !== '') query.set('lastEventId', this.#lastId);
    return `${this.#origin}/api/log/push?${query}`;
  }

  #drop() {
    clearInterval(this.#watch);
    clearTimeout(this.#grace);
    this.#source?.close();
    this.#source = null;
  }

  #enter(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.#on.state(state);
  }

  #listen(source) {
    const on = (name, take) => source.addEventListener(name, (event) => {
      if (source !== this.#source) return;
      this.#heard(event, name);
      const value = parsed(event.data);
      if (value !== null) take(value);
    });
    on('message', (line) => this.#line(line));
    on('build', (record) => this.#on.build(record));
    on('gap', (gap) => this.#on.gap(gap));
    on('ping', (ping) => this.#on.time(ping.time));
    on('busy', () => this.#enter('busy'));
    on('end', (record) => {
      if (this.#build === null) {
        this.#on.build(record);
        return;
      }
      this.end();
      this.#on.end(record);
    });
    source.onopen = () => {
      if (source !== this.#source) return;
      this.#opened = true;
      this.#reached = true;
      this.#heardAt = Date.now();
      if (this.#state !== 'busy') this.#live();
    };
    source.onerror = () => {
      if (source === this.#source) this.#failed(source);
    };
  }

  #heard(event, name) {
    this.#heardAt = Date.now();
    if (event.lastEventId !== '') this.#lastId = event.lastEventId;
    if (name !== 'busy') this.#live();
  }

  #live() {
    clearTimeout(this.#grace);
    this.#enter('live');
  }

  #line(line) {
    if (!isLater(line.id, this.#seen.get(line.build) ?? '')) return;
    this.#seen.set(line.build, line.id);
    this.#on.line(line);
  }

  #failed(source) {
    if (this.#origin !== '' && !this.#reached) {
      // The other address does not let this page in, or is not there: the
      // page's own is.
      unusable.add(this.#origin);
      this.moveTo('');
      return;
    }
    if (source.readyState === EventSource.CLOSED) {
      this.#drop();
      this.#enter('closed');
      return;
    }
    const wait = this.#opened && this.#isPolled() ? POLL_PAUSE_MS : 0;
    this.#opened = false;
    if (this.#state === 'busy') return;
    clearTimeout(this.#grace);
    if (wait === 0) this.#enter('reconnecting');
    else this.#grace = setTimeout(() => this.#enter('reconnecting'), wait);
  }

  #isPolled() {
    const [page] = performance.getEntriesByType('navigation');
    return this.#origin === '' && /^h[23]/.test(page?.nextHopProtocol ?? '');
  }

  // A connection can be dead without anybody having said so.
  #look() {
    if (Date.now() - this.#heardAt > SILENCE_MS) this.open();
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
