// SPDX-License-Identifier: Apache-2.0
// What the shared worker does: one EventSource for all tabs of a browser that
// follow the same stream.
//
//                       at the feed's place
//   hello ----------------------------------------------> joined <---+
//     |   elsewhere                                         | too    | join,
//     +-----------> waiting --one of few tickets--> on its  | slow   | when it
//                      ^                            own ----|--------+ is near
//                      +------------------------------------+
//
// H1  The worker keeps no lines. A tab that is elsewhere, or does not take
//     what it gets, catches up by a connection of its own, where the server
//     waits for it; so no queue grows with a tab that sleeps.
// H2  A tab that has joined gets each event behind the place that it was told,
//     in order, until it is told that it was too slow.
// H3  At most OPEN_MOST feeds and TICKETS tabs have a connection over HTTP/1.1,
//     where a browser has six for all tabs: one is left for other requests.
// H4  A feed is there as long as a tab has joined it. The first one says where
//     it begins.
//
// A tab is gone when it says so, when its lock is free (only where there are
// locks), when its port closes (only newer browsers tell), or when it has not
// answered for long.

import { isLater } from './event-id.mjs';
import { Source } from './stream-source.mjs';

const OPEN_MOST = 3;
const TICKETS = 2;

// Characters that a tab may leave unread.
const UNREAD_MOST = 4 * 1024 * 1024;

// As much at once; a tab draws between two of them.
const BATCH_CHARS = 256 * 1024;

const TICK_MS = 1000;
const BEAT_MS = 5000;
const GONE_MS = 60000;

// When others wait: how long a connection is kept.
const TURN_MS = 3000;
const TICKET_MS = 20000;

// A tab that is so little ahead of a feed waits for it.
const AHEAD_US = 2000000n;

class Feed {
  key;
  build;
  where;
  joined = new Set();
  turnAt = 0; // when it got its connection, or lost it
  #source;
  #open = false;
  #at; // where it goes on, while it is not open
  #place; // id of the last event that is no ping
  #records = new Map(); // builds that wait or run -> what was said of them last
  #list = [];
  #chars = 0;
  #flushing = false;
  #state = ['connecting', {}];
  #hub;

  constructor(key, where, at, hub) {
    this.key = key;
    this.build = where.build;
    this.where = where;
    this.#at = at;
    this.#place = at;
    this.#hub = hub;
    this.#source = new Source(where, {
      event: (name, id, data) => this.#take(name, id, data),
      state: (name, detail) => this.#tell(name, detail),
    });
  }

  get isOpen() {
    return this.#open;
  }

  get isSeen() {
    return [...this.joined].some((member) => member.visible);
  }

  /** Where somebody stands: here, behind, or ahead. */
  find(at) {
    const end = this.#open ? this.#source.at : this.#at;
    if (at === this.#place || at === end) return 'here';
    // From now on: now is where this is.
    if (this.build === null && at === '') return 'here';
    // All builds, and it is not known yet where that begins.
    if (this.build === null && end === '') return 'ahead';
    if (isLater(this.#place, at)) return 'behind';
    if (!isLater(at, end)) return 'here';
    return end !== '' && BigInt(at) - BigInt(end) < AHEAD_US ? 'here' : 'ahead';
  }

  open() {
    if (this.#open) return;
    this.#open = true;
    this.turnAt = Date.now();
    this.#source.open(this.#at);
  }

  /** Others have their turn. */
  pause() {
    this.close();
    this.#tell('reconnecting', { at: 0 });
  }

  close() {
    this.#flush();
    if (!this.#open) return;
    this.#open = false;
    this.turnAt = Date.now();
    this.#at = this.#source.at;
    this.#source.close();
  }

  retry() {
    if (this.#open) this.#source.retry();
  }

  admit(member) {
    this.#flush(); // H2: what came before is not for it
    member.unread = 0;
    this.joined.add(member);
    member.say('joined', {
      place: this.#place, records: [...this.#records.values()], state: this.#state,
    });
  }

  #take(name, id, data) {
    if (id !== '' && name !== 'ping') this.#place = id;
    if (name === 'build' || name === 'end') this.#remember(data);
    this.#list.push(name, id, data);
    this.#chars += data.length;
    if (this.#chars >= BATCH_CHARS) this.#flush();
    else if (!this.#flushing) {
      this.#flushing = true;
      setTimeout(() => this.#flush(), 0);
    }
    if (name !== 'end' || this.build === null) return;
    this.#flush();
    this.#hub.remove(this);
  }

  #remember(data) {
    let record;
    try {
      record = JSON.parse(data);
    } catch {
      return;
    }
    if (record.state === 'queued' || record.state === 'running') this.#records.set(record.id, data);
    else this.#records.delete(record.id);
  }

  #flush() {
    this.#flushing = false;
    if (this.#list.length === 0) return;
    const list = this.#list;
    const chars = this.#chars;
    this.#list = [];
    this.#chars = 0;
    for (const member of this.joined) {
      if (member.unread > UNREAD_MOST) {
        this.joined.delete(member);
        this.#hub.tooSlow(member);
      } else {
        member.unread += chars;
        member.say('events', { list, chars });
      }
    }
    if (this.joined.size === 0) this.#hub.remove(this);
  }

  #tell(name, detail) {
    this.#flush();
    this.#state = [name, detail];
    for (const member of this.joined) member.say('state', { state: this.#state });
    if (name === 'closed' || name === 'unreachable') this.#hub.remove(this);
  }
}

class Member {
  port;
  where = null; // null: it follows nothing
  feed = null;
  at = '';
  visible = false;
  waiting = false; // for a ticket
  ticketAt = 0; // 0: it has none
  unread = 0;
  heardAt = Date.now();

  constructor(port) {
    this.port = port;
  }

  get key() {
    return JSON.stringify([this.where.build, this.where.origin]);
  }

  say(what, more = {}) {
    this.port.postMessage({ say: what, ...more });
  }
}

export class Hub {
  #feeds = new Map();
  #members = new Set(); // in the order in which they began to wait
  #lock = `buildlog-stream-${Math.random()}`;
  #ready;
  #ticks = 0;

  constructor() {
    this.#ready = this.#hold();
    setInterval(() => this.#tick(), TICK_MS);
  }

  /** Who waits for this lock learns that the worker is gone. */
  async #hold() {
    if (!navigator.locks) return;
    await new Promise((done) => {
      navigator.locks.request(this.#lock, () => {
        done();
        return new Promise(() => {});
      }).catch(done);
    });
  }

  async connect(port) {
    const member = new Member(port);
    port.addEventListener('message', (event) => this.#hear(member, event.data));
    port.addEventListener('close', () => this.#end(member));
    port.start();
    // Not before the lock is held: it would seem free.
    await this.#ready;
    member.say('welcome', { lock: this.#lock });
  }

  remove(feed) {
    if (this.#feeds.get(feed.key) !== feed) return;
    this.#feeds.delete(feed.key);
    feed.close();
    for (const member of feed.joined) member.feed = null;
    feed.joined.clear();
    this.#share();
  }

  /** It gets no more, and goes on from where it is when it is awake. */
  tooSlow(member) {
    member.feed = null;
    member.say('behind');
    if (member.ticketAt === 0) this.#wait(member);
  }

  // ---- what tabs say ----------------------------------------------------

  #hear(member, message) {
    member.heardAt = Date.now();
    if (message.do === 'hello') {
      this.#leave(member);
      this.#members.add(member);
      member.where = message.where;
      member.visible = message.visible;
      this.#hello(member, message.at);
    } else if (message.do === 'bye') {
      this.#end(member);
    } else if (message.do === 'lock') {
      navigator.locks?.request(message.name, () => this.#end(member)).catch(() => {});
    } else if (member.where === null) {
      // It was thought gone, and had only slept.
      member.say('unknown');
    } else if (message.do === 'join') {
      this.#join(member, message.at);
    } else if (message.do === 'merged') {
      member.ticketAt = 0;
      // It was too slow again, and has no connection to go on with.
      if (member.feed === null) this.#wait(member);
      this.#share();
    } else if (message.do === 'took') {
      member.unread -= message.chars;
    } else if (message.do === 'seen') {
      member.visible = message.visible;
      this.#share();
    } else if (message.do === 'retry') {
      member.feed?.retry();
    }
  }

  #hello(member, at) {
    const feed = this.#feeds.get(member.key);
    if (feed === undefined || feed.find(at) === 'here') this.#admit(member, at);
    else this.#wait(member);
    this.#share();
  }

  /** It is on its own, near the end of what there is. */
  #join(member, at) {
    const feed = this.#feeds.get(member.key);
    // Without a ticket it was told to give its connection back meanwhile: what
    // is between here and the feed's place would be missing.
    if (member.feed !== null || member.ticketAt === 0) return;
    if (feed?.find(at) === 'ahead') member.say('later');
    else this.#admit(member, at);
    this.#share();
  }

  #admit(member, at) {
    let feed = this.#feeds.get(member.key);
    if (feed === undefined) {
      feed = new Feed(member.key, member.where, at, this);
      this.#feeds.set(feed.key, feed);
    }
    member.feed = feed;
    member.waiting = false;
    feed.admit(member);
  }

  #wait(member) {
    member.waiting = true;
    member.ticketAt = 0;
    // Behind those who wait already.
    this.#members.delete(member);
    this.#members.add(member);
    member.say('wait');
    this.#share();
  }

  #leave(member) {
    const { feed } = member;
    member.feed = null;
    member.waiting = false;
    member.ticketAt = 0;
    member.where = null;
    if (feed === null) return;
    feed.joined.delete(member);
    if (feed.joined.size === 0) this.remove(feed);
  }

  #end(member) {
    this.#forget(member);
    member.port.close();
  }

  // Its port stays: it may only have slept.
  #forget(member) {
    this.#leave(member);
    this.#members.delete(member);
    this.#share();
  }

  // ---- who has a connection (H3) -----------------------------------------

  #share() {
    this.#shareTickets();
    this.#shareTurns();
  }

  #shareTickets() {
    let free = TICKETS;
    for (const member of this.#members) free -= member.ticketAt !== 0;
    const waiting = [...this.#members].filter((member) => member.waiting);
    waiting.sort((a, b) => b.visible - a.visible);
    for (const member of waiting.slice(0, Math.max(free, 0))) {
      member.waiting = false;
      member.ticketAt = Date.now();
      member.say('go');
    }
    if (waiting.length <= free) return;
    const now = Date.now();
    for (const member of this.#members) {
      if (member.ticketAt !== 0 && now - member.ticketAt > TICKET_MS && member.feed === null) {
        member.say('yield');
        member.ticketAt = 0;
        member.waiting = true;
        this.#members.delete(member);
        this.#members.add(member);
        return; // another one in the next tick
      }
    }
  }

  #shareTurns() {
    const feeds = [...this.#feeds.values()];
    for (const feed of feeds) if (feed.where.polled) feed.open();
    const counted = feeds.filter((feed) => !feed.where.polled);
    const shut = counted.filter((feed) => !feed.isOpen)
      .sort((a, b) => b.isSeen - a.isSeen || a.turnAt - b.turnAt);
    for (const feed of shut) {
      const open = counted.filter((one) => one.isOpen);
      if (open.length >= OPEN_MOST) {
        const other = open.filter((one) => yields(one, feed))
          .sort((a, b) => a.isSeen - b.isSeen || a.turnAt - b.turnAt)[0];
        if (other === undefined) continue;
        other.pause();
      }
      feed.open();
    }
  }

  #tick() {
    this.#ticks += 1;
    if (this.#ticks % (BEAT_MS / TICK_MS) === 0) {
      for (const member of this.#members) {
        if (Date.now() - member.heardAt > GONE_MS) this.#forget(member);
        else member.say('beat');
      }
    }
    this.#share();
  }
}

/** One that nobody looks at makes room for one that is looked at; others after a while. */
function yields(open, shut) {
  if (shut.isSeen && !open.isSeen) return true;
  return shut.isSeen >= open.isSeen && Date.now() - open.turnAt > TURN_MS;
}
