// SPDX-License-Identifier: Apache-2.0
// One EventSource to the server, kept alive: in a page or in a worker.
//
//   connecting --event--> open --error--> (the browser tries) --event--> open
//                          |                    | fails
//                          | silent             v
//                          +----------> reconnecting <--+ each time later
//                                               +-------+
//   busy: let in later, the browser asks again. closed: the server refused, or
//   has nothing more. unreachable: another address that never let a stream in.
//
// The first try after a break is the browser's, for it knows how long the
// server wants it to wait (retry:). When that fails the next ones are ours, so
// that it can be told when they are.

import { Patience } from './stream-patience.mjs';

const NAMES = ['message', 'build', 'gap', 'ping', 'busy', 'end'];

// As long as BuildLogPing is not known: twice its default and some time.
const SILENCE_MS = 35000;
const SILENCE_MOST_MS = 600000;
const PING_SLACK_MS = 2000;
const PING_GAPS = 5;

// A request that nobody answers.
const ANSWER_MS = 20000;

// Over HTTP/2 the server ends each answer at once and is asked again after at
// most 5 s; others come back after at most 2 s. That is how it works, and no
// loss of connection.
const POLL_PAUSE_MS = 6000;
const PAUSE_MS = 2300;

const RETRY_FIRST_MS = 1000;
const RETRY_MOST_MS = 30000;

const BUSY_MS = 5000;

// States in which somebody who knows better may have it try at once.
const RETRIED = new Set(['connecting', 'open', 'reconnecting']);

// A machine without a network still has this.
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** Where a stream is asked for. at: the id behind which it begins. */
export function streamUrl({ build, origin }, at) {
  const query = new URLSearchParams();
  if (build !== null) query.set('build', build);
  query.set('format', 'json');
  if (at !== '') query.set('from', at);
  return `${origin}/api/log/push?${query}`;
}

export class Source {
  #where;
  #on;
  #source = null;
  #at = '';
  #seenId = ''; // by this EventSource
  #state = '';
  #answered = false; // this connection has been
  #reached = false; // some connection has been
  #fails = 0;
  #timer = 0;
  #patience = new Patience(() => this.#limit(), () => this.#silent());
  #pings = []; // ms between two of them
  #pingAt = 0;
  #pingCount = 0; // of this connection
  #silences = 0;
  #online = () => this.retry();
  #offline = () => this.#lost();

  /**
   * @param where  { build, origin, polled }: polled over HTTP/2, where an
   *               answer ends at once
   * @param on     { event(name, id, data), state(name, detail) }; id '' for an
   *               event that has none of its own
   */
  constructor(where, on) {
    this.#where = where;
    this.#on = on;
  }

  /** The place behind which it would go on. */
  get at() {
    return this.#at;
  }

  get state() {
    return this.#state;
  }

  open(at) {
    this.close();
    this.#at = at;
    this.#fails = 0;
    this.#reached = false;
    this.#enter('connecting');
    addEventListener('online', this.#online);
    addEventListener('offline', this.#offline);
    this.#connect();
  }

  close() {
    this.#drop();
    removeEventListener('online', this.#online);
    removeEventListener('offline', this.#offline);
    this.#state = '';
  }

  /** Now, not later: something speaks for it. */
  retry() {
    if (!RETRIED.has(this.#state)) return;
    this.#fails = 0;
    this.#again();
  }

  #drop() {
    clearTimeout(this.#timer);
    this.#patience.stop();
    this.#source?.close();
    this.#source = null;
  }

  #enter(name, detail = {}) {
    this.#state = name;
    this.#on.state(name, detail);
  }

  #connect() {
    this.#drop();
    this.#answered = false;
    this.#seenId = '';
    this.#pingCount = 0;
    const source = new EventSource(streamUrl(this.#where, this.#at),
      { withCredentials: this.#where.origin !== '' });
    this.#source = source;
    for (const name of NAMES) {
      source.addEventListener(name, (event) => {
        if (source === this.#source) this.#take(name, event);
      });
    }
    source.addEventListener('open', () => {
      if (source !== this.#source) return;
      this.#answered = true;
      this.#patience.heard();
    });
    source.addEventListener('error', () => {
      if (source === this.#source) this.#failed(source);
    });
    this.#patience.start();
  }

  #take(name, event) {
    this.#patience.heard();
    if (name === 'busy') {
      this.#busy(event.data);
      return;
    }
    this.#reached = true;
    this.#silences = 0;
    this.#fails = 0;
    if (name === 'ping') this.#learn();
    // An event without an id comes with that of the one before.
    const id = event.lastEventId === this.#seenId ? '' : event.lastEventId;
    this.#seenId = event.lastEventId;
    if (id !== '') this.#at = id;
    clearTimeout(this.#timer);
    if (this.#state !== 'open') this.#enter('open');
    this.#on.event(name, id, event.data);
  }

  // The ping that a connection begins with is out of step.
  #learn() {
    const now = Date.now();
    this.#pingCount += 1;
    if (this.#pingCount > 2) {
      this.#pings.push(now - this.#pingAt);
      if (this.#pings.length > PING_GAPS) this.#pings.shift();
    }
    this.#pingAt = now;
  }

  #limit() {
    if (!this.#answered) return ANSWER_MS;
    // Too soon, perhaps: each time it gets longer, until two pings are seen.
    if (this.#pings.length === 0) return Math.min(SILENCE_MS * 2 ** this.#silences, SILENCE_MOST_MS);
    const sorted = [...this.#pings].sort((a, b) => a - b);
    return 2 * sorted[sorted.length >> 1] + PING_SLACK_MS;
  }

  #silent() {
    if (!this.#answered) {
      this.#later();
      return;
    }
    this.#silences += 1;
    this.#again();
  }

  #again() {
    if (this.#state !== 'connecting') this.#enter('reconnecting', { at: 0 });
    this.#connect();
  }

  #busy(data) {
    let wait = BUSY_MS;
    try {
      wait = JSON.parse(data).retry ?? wait;
    } catch { /* as usual, then */ }
    this.#reached = true;
    clearTimeout(this.#timer);
    this.#enter('busy', { at: Date.now() + wait });
  }

  #failed(source) {
    if (this.#where.origin !== '' && !this.#reached) {
      this.#judge();
    } else if (source.readyState === EventSource.CLOSED) {
      this.close();
      this.#enter('closed');
    } else if (!this.#answered) {
      this.#later();
    } else {
      this.#answered = false;
      this.#pingCount = 0;
      this.#patience.heard();
      if (this.#state !== 'open') return;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#enter('reconnecting', { at: 0 }),
        this.#where.polled ? POLL_PAUSE_MS : PAUSE_MS);
    }
  }

  // Nothing came from another address: because it does not let this page in, or
  // because it has nothing to say (a build that ended meanwhile: 204)?
  async #judge() {
    this.#drop();
    const stop = new AbortController();
    let answers = true;
    try {
      const headers = { Accept: 'text/event-stream' };
      await fetch(streamUrl(this.#where, this.#at), { headers, credentials: 'include', signal: stop.signal });
    } catch {
      answers = false;
    } finally {
      stop.abort();
    }
    if (this.#state === '' || this.#source !== null) return;
    this.close();
    this.#enter(answers ? 'closed' : 'unreachable');
  }

  /** Try again later, each time more so; not all in the same moment. */
  #later(least = RETRY_FIRST_MS) {
    const most = Math.min(least * 2 ** this.#fails, RETRY_MOST_MS);
    const wait = Math.round(most * (0.75 + Math.random() / 2));
    this.#fails += 1;
    this.#drop();
    this.#enter('reconnecting', { at: Date.now() + wait });
    this.#timer = setTimeout(() => this.#again(), wait);
  }

  // The machine has no network: its connections are dead, without a word. What
  // it says may be wrong, so now and then it is tried.
  #lost() {
    if (!RETRIED.has(this.#state) || LOOPBACK.test(location.hostname)) return;
    this.#later(RETRY_MOST_MS);
  }
}
