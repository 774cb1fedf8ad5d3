// SPDX-License-Identifier: Apache-2.0
// log-lab.mjs - a log in a page of its own, with a server that is none: runs in
// the browser, as globalThis.lab
//
//   lab.make({ records, ended, delayMs, fail, most, room })  what the server
//         has: records is a list, or { count, make(n) } for whole lines made when
//         asked for; an answer has at most so many lines, and so many records:
//         there it ends, within a line if need be
//   lab.open(build, options)  a pane on it
//   lab.feed(lines)           a stream: lines without id, time and build get them
import * as words from '/js/log/words.mjs';
import { LogPane } from '/js/log/pane.mjs';

const START_MS = Date.parse('2026-11-22T10:00:00Z');
const settings = new Map();

const lab = globalThis.lab = {
  build: 1,
  windows: [], // what was asked for
  events: [],
  kept: settings,
  server: { records: [], delayMs: 0, fail: null },
  pane: null,
  language: 'en',
};

const t = (key, values = {}) => {
  const text = words[lab.language][key];
  if (text === undefined) throw new Error(`no text ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    if (values[name] === undefined) throw new Error(`no value ${name} for ${key}`);
    return values[name];
  });
};

/** A record as the server sends it: its place gives what it lacks. */
function whole(record, at) {
  const ms = record.ms ?? START_MS + at * 10;
  const id = String(1000 * START_MS + at);
  const { ms: _, ...line } = record;
  return {
    build: lab.build, id, time: new Date(ms).toISOString(), stream: 'stdout', text: '', ...line,
  };
}

lab.make = ({ records = [], delayMs = 0, fail = null, most = 5000, room = Infinity }) => {
  lab.server = { delayMs, fail, most, room, ...stored(records) };
  lab.windows = [];
};

// count(): lines; range(first, end): records of these numbers.
function stored(records) {
  if (!Array.isArray(records)) {
    return {
      count: () => records.count,
      range: (first, end) => {
        const length = Math.max(0, Math.min(end, records.count + 1) - first);
        return Array.from({ length }, (_, i) => ({
          line: first + i, ...whole(records.make(first + i), first + i - 1),
        }));
      },
    };
  }
  const all = [];
  let n = 1;
  const add = (record) => {
    all.push({ line: n, ...whole(record, all.length) });
    if (!record.partial) n += 1;
  };
  records.forEach(add);
  return {
    add,
    all,
    count: () => n - 1,
    range: (first, end) => all.filter(({ line }) => line >= first && line < end),
  };
}

async function fetchWindow(build, asked) {
  const { server } = lab;
  lab.windows.push(asked);
  if (server.delayMs > 0) await new Promise((done) => { setTimeout(done, server.delayMs); });
  if (server.fail !== null) throw new Error(server.fail);
  const total = server.count();
  const count = Math.min(asked.count ?? asked.last ?? 1000, server.most);
  let first = asked.first ?? Math.max(1, total + 1 - count);
  // The last ones: those that there is room for.
  while (asked.last && first < total && server.range(first, total + 2).length > server.room) first += 1;
  let end = Math.max(first, Math.min(first + count, total + 1));
  // The end of a log may be a line in pieces.
  let lines = server.range(first, end === total + 1 ? end + 1 : end)
    .filter((line) => asked.after === undefined || BigInt(line.id) > BigInt(asked.after));
  const more = lines.length > server.room;
  if (more) {
    end = lines[server.room].line;
    lines = lines.slice(0, server.room);
  }
  return {
    build, first, next: end, ended: true, after: lines.at(-1)?.id ?? asked.after ?? null, ...(more && { more }),
    // As it comes over the wire; of which build is said once, above.
    lines: lines.map(({ build: _, ...line }) => JSON.parse(JSON.stringify(line))),
  };
}

lab.open = async (build = 1, options = {}) => {
  const element = document.getElementById('log');
  if (lab.pane === null) {
    lab.pane = new LogPane(element, {
      t,
      fetchWindow,
      settings: {
        get: (name, otherwise) => (settings.has(name) ? settings.get(name) : otherwise),
        set: (name, value) => settings.set(name, value),
      },
    });
    for (const name of ['range', 'follow']) {
      element.addEventListener(name, ({ detail }) => lab.events.push({ name, ...detail }));
    }
  }
  lab.fed = 0;
  return lab.pane.open(build, options);
};

/** Lines of the stream, after what the server has. */
lab.feed = (lines) => {
  const from = lab.server.all?.length ?? lab.server.count();
  for (const line of lines) {
    lab.pane.take(whole(line, from + lab.fed));
    lab.fed += 1;
  }
};

/** The record of an ended build, as it follows from the records. */
lab.final = async (records) => {
  const text = records.map((one) => (one.partial ? one.text : `${one.text}\n`)).join('');
  const bytes = new TextEncoder().encode(text);
  const digest = await crypto.subtle.digest('SHA-256', bytes);
  return {
    id: lab.build, state: 'succeeded', lines: records.filter((one) => !one.partial).length,
    bytes: bytes.length,
    sha256: [...new Uint8Array(digest)].map((b) => b.toString(16).padStart(2, '0')).join(''),
  };
};

/** How long frames took, while work runs: counts those over 50 ms. */
lab.frames = async (work) => {
  const gaps = [];
  let last = performance.now();
  let on = true;
  const tick = (now) => {
    gaps.push(now - last);
    last = now;
    if (on) requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
  await work();
  on = false;
  return {
    frames: gaps.length, slow: gaps.filter((ms) => ms > 50).length,
    longest: Math.round(Math.max(...gaps)),
  };
};

/** A stream of count lines at a rate (0: as fast as can be), some at a time. */
lab.burst = async (count, perSecond, make) => {
  const began = performance.now();
  for (let sent = 0; sent < count;) {
    const due = perSecond === 0 ? sent + 1000
      : Math.floor((performance.now() - began) * perSecond / 1000);
    const lines = [];
    for (; sent < Math.min(count, due); sent += 1) lines.push(make(sent));
    lab.feed(lines);
    await new Promise((done) => { setTimeout(done, perSecond === 0 ? 0 : 5); });
  }
};
