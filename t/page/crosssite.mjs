// SPDX-License-Identifier: Apache-2.0
// crosssite.mjs - what a page of another site can do in a visitor's browser
//
//   BASE_URL   the server
//   FRIEND     an origin that it allows; a port of this test
//   PROJECT    path of a project
//   BUILD      number of a build of it that has ended
//   RUNNING    number of one that runs
//
// Attacks come from two names that lead to this machine: one of a site that the
// server knows nothing of, and, later, the same name leading to the server
// itself (DNS rebinding). The friend shows that an attack would be seen.
import http from 'node:http';

import { allowErrors, base, run } from './lib.mjs';

const { BUILD, FRIEND, PROJECT, RUNNING } = process.env;
const WAIT_MS = 10000;
const target = new URL(base);

// What browsers say when they refuse, and whom we visit, is the test.
allowErrors(/./);

const server = http.createServer((request, response) => {
  response.setHeader('Content-Type', 'text/html; charset=utf-8');
  response.end('<!DOCTYPE html><title>another site</title><body></body>');
});
const friendPort = Number(new URL(FRIEND).port);
await new Promise((done) => { server.listen(friendPort, '127.0.0.1', done); });
server.unref();
const evil = `http://evil.example.com:${friendPort}`;
const rebound = `http://evil.example.com:${target.port}`;

async function api(path) {
  const answer = await fetch(`${base}/api/project/${path}`);
  return answer.json();
}
const builds = async () => (await api('builds?limit=200')).builds.length;

// Each of these runs in a page. They tell what the page could learn.
const attacks = {
  form: (to, fields, type) => new Promise((resolve) => {
    const frame = document.createElement('iframe');
    frame.name = `f${Math.random()}`;
    const form = document.createElement('form');
    Object.assign(form, { method: 'POST', action: to, target: frame.name, enctype: type });
    for (const [name, value] of Object.entries(fields)) {
      const input = document.createElement('input');
      Object.assign(input, { type: 'hidden', name, value });
      form.append(input);
    }
    document.body.append(frame, form);
    // That of the empty frame was while it was added.
    frame.onload = () => resolve('sent');
    form.submit();
    setTimeout(resolve, 60000, 'no answer');
  }),
  fetch: async (to, options) => {
    try {
      const answer = await fetch(to, options);
      return `${answer.type} ${answer.status} ${(await answer.text()).slice(0, 300)}`;
    } catch (error) {
      return error.name;
    }
  },
  events: (to, credentials) => new Promise((resolve) => {
    const source = new EventSource(to, { withCredentials: credentials });
    const end = (text) => { source.close(); resolve(text); };
    source.onmessage = (event) => end(`read: ${event.data}`);
    source.addEventListener('ping', () => end('read: ping'));
    source.onerror = () => { if (source.readyState === 2) end('closed'); };
    setTimeout(end, 60000, 'nothing');
  }),
  element: (name, to) => new Promise((resolve) => {
    const element = document.createElement(name);
    element.onload = () => resolve('loaded');
    element.onerror = () => resolve('refused');
    element.src = to;
    document.body.append(element);
    setTimeout(resolve, 60000, 'nothing');
  }),
};
const attack = (page, name, ...values) => page.evaluate(
  ([code, args]) => (0, eval)(`(${code})`)(...args), [attacks[name].toString(), values]);

// The text of all frames.
async function framed(page) {
  const text = page.frames().slice(1).map((frame) => frame.evaluate(() => document.documentElement.textContent));
  return (await Promise.all(text)).join('\n');
}

const form = 'application/x-www-form-urlencoded';
const json = JSON.stringify({ projectPath: PROJECT });

async function writes(page, to, { ok, is, name, expected }) {
  const before = await builds();
  for (const type of [form, 'text/plain', 'multipart/form-data']) {
    is(await attack(page, 'form', `${to}/api/project/build`, { projectPath: PROJECT }, type), 'sent', `${name}: a form, ${type}`);
  }
  await attack(page, 'form', `${to}/api/project/builds/${RUNNING}/cancel`, {}, form);
  for (const [mode, type, body] of [['no-cors', form, `projectPath=${PROJECT}`], ['no-cors', 'text/plain', json],
    ['cors', form, `projectPath=${PROJECT}`], ['cors', 'application/json', json]]) {
    const got = await attack(page, 'fetch', `${to}/api/project/build`,
      { method: 'POST', mode, credentials: 'include', headers: { 'Content-Type': type }, body });
    ok(expected.test(got), `${name}: fetch, ${mode}, ${type}: ${got.slice(0, 60)}`);
  }
  const got = await attack(page, 'fetch', `${to}/api/project/builds/${RUNNING}/cancel`, { method: 'POST', mode: 'no-cors', credentials: 'include' });
  ok(expected.test(got), `${name}: cancel: ${got.slice(0, 60)}`);
  is(await builds(), before, `${name}: no build has begun`);
  is((await api(`builds/${RUNNING}`)).state, 'running', `${name}: none has ended`);
}

await run(async ({ page, context, ok, is, like, until }) => {
  const paths = [`project/builds/${BUILD}`, `project/builds/${BUILD}/log`, `project/builds/${BUILD}/lines`, 'project/projects', 'project/builds'];

  // ---- its own page, and a friend's: this is how it looks when it works
  await page.goto(base);
  like(await attack(page, 'fetch', `${base}/api/project/projects`, {}), /^basic 200 /, 'its own page reads');
  await attack(page, 'element', 'iframe', `${base}/api/project/builds/${BUILD}`);
  ok((await framed(page)).includes('hello'), 'and frames');
  await page.goto(`${FRIEND}/`);
  like(await attack(page, 'fetch', `${base}/friends/api/project/builds/${BUILD}/log`, { credentials: 'include' }), /^cors 200 .*hello/s, 'a friend reads');
  like(await attack(page, 'events', `${base}/friends/api/log/push?build=${BUILD}`, true), /^read: /, 'a friend reads a stream, with credentials');
  const before = await builds();
  like(await attack(page, 'fetch', `${base}/friends/api/project/build`,
    { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: json }), /^cors 202 /, 'a friend starts a build');
  await attack(page, 'form', `${base}/friends/api/project/build`, { projectPath: PROJECT }, form);
  await until(async () => await builds() > before + 1, WAIT_MS, 'a friend starts builds, by fetch and by a form');
  is(await attack(page, 'fetch', `${base}/api/project/projects`, {}), 'TypeError', 'a friend is one only where he is named');

  // ---- another site
  for (const [origin, name, to] of [[evil, 'another site', base], [evil, 'another site, where a friend is named', `${base}/friends`]]) {
    await page.goto(`${origin}/`);
    await writes(page, to, { ok, is, name, expected: /^(opaque 0 $|TypeError)/ });
    for (const path of paths) {
      is(await attack(page, 'fetch', `${to}/api/${path}`, { credentials: 'include' }), 'TypeError', `${name}: cannot read ${path}`);
      is(await attack(page, 'fetch', `${to}/api/${path}`, { mode: 'no-cors', credentials: 'include' }), 'TypeError', `${name}: not even blindly`);
      for (const element of ['script', 'img']) {
        is(await attack(page, 'element', element, `${to}/api/${path}`), 'refused', `${name}: nor as a part of itself, <${element}>`);
      }
    }
    for (const credentials of [false, true]) {
      is(await attack(page, 'events', `${to}/api/log/push?build=${BUILD}`, credentials), 'closed', `${name}: no stream`);
      is(await attack(page, 'events', `${to}/api/log/push`, credentials), 'closed', `${name}: nor that of all builds`);
    }
    // Who clicks in it clicks in the other.
    await attack(page, 'element', 'iframe', `${to}/api/project/builds/${BUILD}`);
    ok(!(await framed(page)).includes('hello'), `${name}: cannot frame a page of it`);
  }

  // ---- nobody: the origin is "null"
  await page.goto(`${evil}/`);
  await page.evaluate(() => {
    const frame = document.createElement('iframe');
    frame.setAttribute('sandbox', 'allow-scripts allow-forms');
    frame.srcdoc = '<!DOCTYPE html><body></body>';
    document.body.append(frame);
  });
  const inside = await until(async () => page.frames().find((f) => f !== page.mainFrame()), WAIT_MS, 'a frame in a sandbox');
  is(await inside.evaluate(() => self.origin), 'null', 'its origin is null');
  for (const to of [base, `${base}/friends`]) {
    await writes(inside, to, { ok, is, name: 'null', expected: /^(opaque 0 $|TypeError)/ });
    is(await attack(inside, 'fetch', `${to}/api/project/projects`, {}), 'TypeError', 'null: cannot read');
  }

  // ---- its name leads here now
  await page.goto(`${rebound}/`);
  is(await page.evaluate(() => self.origin), rebound, 'another name that leads to the server');
  await writes(page, '', { ok, is, name: 'rebound', expected: /^(basic 421 .*ServerAlias|opaque 421|basic 421)/s });
  for (const path of paths) {
    like(await attack(page, 'fetch', `/api/${path}`, {}), /^basic 421 /, `rebound: cannot read ${path}`);
  }
  is(await attack(page, 'events', '/api/log/push', false), 'closed', 'rebound: no stream');
  like(await attack(page, 'fetch', `${base}/api/project/projects`, {}), /^TypeError/, 'rebound: nor by its address, where it is another site');

  await context.close();
}, { args: ['--host-resolver-rules=MAP evil.example.com 127.0.0.1, MAP friend.example.org 127.0.0.1'] });
