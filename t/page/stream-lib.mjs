// SPDX-License-Identifier: Apache-2.0
// stream-lib.mjs - what the tests of the streams share: the lab
// (stream-lab.html) in tabs, a network that can be broken, the server's
// processes, the shared worker
//
//   SERVER_URL   the server; the browser gets there through the proxy below
//   HTTPD_PID, ERROR_LOG   of that server
//   HOST         the name by which the browser calls it (default 127.0.0.1;
//                another one is no secure context)
import { appendFile, readFile, readdir } from 'node:fs/promises';
import net from 'node:net';
import { join } from 'node:path';

export const { SERVER_URL, HTTPD_PID, ERROR_LOG } = process.env;
export const WAIT_MS = 30000;
const HOST = process.env.HOST ?? '127.0.0.1';

// ---- the network --------------------------------------------------------------

const PUSH = /^GET \/api\/log\/push\?/;

// Between the browser and the server; counts streams, and breaks them.
class Proxy {
  most = 0; // streams at one time since reset()
  asked = 0; // since then
  received = 0; // bytes, by the browser
  #pairs = new Set();
  #dead = false;
  #refusing = false;
  #server = net.createServer((client) => this.#connect(client));

  async listen() {
    await new Promise((done) => { this.#server.listen(0, '127.0.0.1', done); });
    this.#server.unref();
    return this.#server.address().port;
  }

  #connect(client) {
    client.on('error', () => {});
    if (this.#refusing) {
      client.destroy();
      return;
    }
    const { hostname, port } = new URL(SERVER_URL);
    const server = net.connect(Number(port), hostname);
    const pair = { client, server, stream: false, answered: false };
    this.#pairs.add(pair);
    server.on('error', () => {});
    client.on('data', (data) => {
      if (PUSH.test(data.toString('latin1', 0, 100))) {
        pair.stream = true;
        pair.answered = false;
        this.asked += 1;
        this.most = Math.max(this.most, this.streams);
      }
      if (!this.#dead) server.write(data);
    });
    server.on('data', (data) => {
      if (this.#dead) return;
      this.received += data.length;
      // A refusal is no stream, and its connection may be kept.
      if (!pair.answered) pair.stream &&= data.toString('latin1', 0, 13) === 'HTTP/1.1 200 ';
      pair.answered = true;
      if (!client.write(data)) {
        server.pause();
        client.once('drain', () => server.resume());
      }
    });
    const end = () => {
      this.#pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    client.on('close', end);
    // What the server said last is still to be sent.
    server.on('end', () => client.end());
    server.on('close', () => { if (!this.#dead) client.end(); });
  }

  get streams() {
    return [...this.#pairs].filter((pair) => pair.stream).length;
  }

  reset() {
    this.most = this.streams;
    this.asked = 0;
  }

  cut() {
    for (const { client, server } of this.#pairs) {
      client.destroy();
      server.destroy();
    }
  }

  /** No new connections, as when the server is down. */
  refuse(on) {
    this.#refusing = on;
  }

  /** Connections stay and nothing passes, as when a cable is pulled. */
  die() {
    this.#dead = true;
    for (const { server } of this.#pairs) server.destroy();
  }

  /** New connections work; the old ones stay dead. */
  heal() {
    this.#dead = false;
  }
}

export const proxy = new Proxy();
process.env.BASE_URL = `${new URL(SERVER_URL).protocol}//${HOST}:${await proxy.listen()}`;

const lib = await import('./lib.mjs');
export const { allowErrors, base, note } = lib;

// Where the network is broken the browser says so.
allowErrors(/net::ERR_(CONNECTION_(CLOSED|RESET|REFUSED)|HTTP2_PROTOCOL_ERROR|EMPTY_RESPONSE|INCOMPLETE_CHUNKED_ENCODING|INTERNET_DISCONNECTED|NETWORK_CHANGED|SOCKET_NOT_CONNECTED)/);

export const run = (test, { args = [], ...options } = {}) => lib.run(
  ({ page, ...more }) => test({ first: page, ...more }),
  {
    ...options,
    args: [
      ...args, `--host-resolver-rules=MAP ${HOST} 127.0.0.1`,
      // A page by that name may use the loopback, where the server is.
      '--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests',
    ],
  });

// ---- tabs -------------------------------------------------------------------------

const FILES = { '/stream-lab.html': 'text/html', '/stream-lab.mjs': 'text/javascript' };

/** All pages of the context may open the lab. */
export async function prepare(context) {
  for (const [path, contentType] of Object.entries(FILES)) {
    const body = await readFile(new URL(`.${path}`, import.meta.url));
    await context.route(new URL(path, base).href, (route) => route.fulfill({ body, contentType }));
  }
}

export async function openLab(page) {
  await page.goto(new URL('/stream-lab.html', base).href);
  await page.waitForFunction(() => globalThis.lab !== undefined);
  return page;
}

export async function newLab(context) {
  return openLab(await context.newPage());
}

export const follow = (page, build, options) => page.evaluate(
  ([id, how]) => lab.follow(id, how), [build, options]);

/** The tab's thread stands still, as if it slept. @return a function that wakes it */
export async function freeze(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('Debugger.enable');
  const stands = new Promise((done) => { session.once('Debugger.paused', done); });
  await session.send('Debugger.pause');
  await stands; // when its next timer is due
  return async () => {
    await session.send('Debugger.resume');
    await session.detach();
  };
}

export const count = (page) => page.evaluate(() => lab.count);
export const state = (page) => page.evaluate(() => lab.state);
export const stateIs = async (page, name) => (await state(page))?.name === name;
export const states = (page) => page.evaluate(() => lab.states);
export const all = async (pages, condition) => (await Promise.all(pages.map(condition))).every(Boolean);
export const haveLines = (pages, lines) => all(pages, async (page) => await count(page) >= lines);

// ---- the server ------------------------------------------------------------------------

export const cue = (path, ...lines) => appendFile(join(path, 'cue'), lines.map((one) => `${one}\n`).join(''));

/** A build of this project. @return its id */
export async function build(path) {
  const body = new URLSearchParams({ projectPath: path });
  const response = await fetch(new URL('/api/project/build', SERVER_URL), { method: 'POST', body });
  return String((await response.json()).build.id);
}

export async function record(id) {
  return (await fetch(new URL(`/api/project/builds/${id}`, SERVER_URL))).json();
}

/** Ids of the lines that the server has of a build. */
export async function storedIds(id) {
  const url = new URL(`/api/project/builds/${id}/log?format=json`, SERVER_URL);
  return (await (await fetch(url)).text()).split('\n').filter(Boolean).map((line) => JSON.parse(line).id);
}

export async function generations() {
  return (await readFile(ERROR_LOG, 'utf8')).split('resuming normal operations').length - 1;
}

export const graceful = () => process.kill(Number(HTTPD_PID), 'SIGUSR1');

/** A signal to httpd's children, not to the runner. @return their pids */
export async function signalChildren(signal) {
  const found = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
    const [, name, parent] = /^\d+ \((.*)\) \S (\d+)/.exec(stat) ?? [];
    if (parent === HTTPD_PID && name !== 'buildlog-runner') found.push(Number(pid));
  }
  found.forEach((pid) => process.kill(pid, signal));
  return found;
}

export const killChildren = () => signalChildren('SIGKILL');

// ---- the shared worker -----------------------------------------------------------------

/** The browser's shared worker, as a target of this session; undefined: there is none. */
async function workerTarget(session) {
  const { targetInfos } = await session.send('Target.getTargets');
  return targetInfos.find(({ type }) => type === 'shared_worker')?.targetId;
}

export async function killWorker(context, page) {
  const session = await context.newCDPSession(page);
  const targetId = await workerTarget(session);
  await session.send('Target.closeTarget', { targetId });
  await session.detach();
}

export async function hasWorker(context, page) {
  const session = await context.newCDPSession(page);
  const targetId = await workerTarget(session);
  await session.detach();
  return targetId !== undefined;
}

/** Bytes of the worker's heap that are in use. */
export async function workerHeap(context, page) {
  const session = await context.newCDPSession(page);
  const targetId = await workerTarget(session);
  const { sessionId } = await session.send('Target.attachToTarget', { targetId });
  let last = 0;
  const answers = new Map();
  session.on('Target.receivedMessageFromTarget', ({ message }) => {
    const { id, result } = JSON.parse(message);
    answers.get(id)?.(result);
  });
  const ask = (method) => new Promise((done) => {
    last += 1;
    answers.set(last, done);
    session.send('Target.sendMessageToTarget', {
      sessionId, message: JSON.stringify({ id: last, method, params: {} }),
    });
  });
  await ask('HeapProfiler.collectGarbage');
  const { usedSize } = await ask('Runtime.getHeapUsage');
  await session.detach();
  return usedSize;
}
