// SPDX-License-Identifier: Apache-2.0
// told.mjs - a server that refuses, changes its mind, stands still; what the
// whole page tells of it, and how often it asks
//
//   PATHS       of puppets without cues, separated by spaces; BuildLogPing is
//               1s, BuildLogKeep count=3
//   NOW_CONF    configuration that counts from the next reload on
//   ACCESS_LOG  "%>s %r"
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import {
  allowErrors, base, build, cue, generations, graceful, note, proxy, record, run, signalChildren, storedIds,
} from './stream-lib.mjs';

const { NOW_CONF, ACCESS_LOG } = process.env;
const [A, B, C] = process.env.PATHS.split(' ');
const OTHER = `${dirname(NOW_CONF)}/htdocs/other.html`;
const WAIT_MS = 60000;
// Longer than the page waits before it asks again what it asks again.
const WATCH_MS = 7000;

allowErrors(/status of (401|403|404|503)/, /EventSource's response has a MIME type/, /net::ERR_EMPTY_RESPONSE/,
  /net::ERR_ABORTED/, /CORS/, /^request to another host/);

async function configure(text) {
  const before = await generations();
  await writeFile(NOW_CONF, text);
  graceful();
  for (const end = Date.now() + WAIT_MS; await generations() === before && Date.now() < end;) {
    await new Promise((done) => { setTimeout(done, 20); });
  }
}

const prepare = (path, ...cues) => writeFile(join(path, 'cue'), cues.map((one) => `${one}\n`).join(''));
/** How often somebody asked for a build. */
const asked = async (id) => (await readFile(ACCESS_LOG, 'utf8')).split('\n')
  .filter((line) => line.includes(`build=${id}&`) || line.includes(`/builds/${id}`)).length;

/** The same, when httpd has logged what it has answered. */
async function settled(id) {
  for (let last = -1, now = await asked(id); ; last = now, now = await asked(id)) {
    if (now === last) return now;
    await new Promise((done) => { setTimeout(done, 1000); });
  }
}

await run(async ({ first: home, context, ok, is, like, until }) => {
  const pill = (page) => page.getAttribute('#connection', 'data-state');
  const refusal = async (page) => (await page.isVisible('#refusal') ? page.textContent('#refusal-text') : '');
  const pillIs = (page, state, name) => until(async () => await pill(page) === state, WAIT_MS, name);
  const rows = (page) => page.$$eval('#log .row', (all) => all.length);
  const watch = async (path) => {
    const id = await build(path);
    await cue(path, 'count 10');
    const page = await context.newPage();
    await page.goto(`${base}/#build=${id}`);
    await until(async () => await pill(page) === 'live' && await rows(page) >= 11, WAIT_MS, 'a build is watched');
    return { id, page };
  };
  const complete = async (page, name) => {
    await pillIs(page, 'ended', `${name}: it comes to its end`);
    await until(async () => await page.getAttribute('#truth', 'data-truth') === 'complete', WAIT_MS, `${name}: complete`);
  };

  await home.goto(base);
  await pillIs(home, 'live', 'home');
  const { id, page } = await watch(A);

  // ---- refused, and asked no more --------------------------------------------
  const REFUSED = [
    ['403', '<Location "/api/log/push">\nRequire all denied\n</Location>', /^This is not permitted\./],
    ['401', 'Redirect 401 "/api/"',
      /^You are not signed in, or no longer: load the page again\./],
    ['another address, where one signs in', 'RedirectMatch 302 "^/api/" "/login.html"', /^You are not signed in/],
    ['the project is not hers any more', `<Directory "${A}">\nRequire all denied\n</Directory>`, /^It is not there, or not for you\./],
  ];
  for (const [name, text, why] of REFUSED) {
    await configure(text);
    await pillIs(page, 'closed', `${name}: refused`);
    like(await refusal(page), why, `${name}: and why`);
    ok(!(await refusal(page)).includes('tries again'), `${name}: it is not tried again`);
    is(await page.isVisible('#retry'), true, `${name}: but by the button`);
    const before = await settled(id);
    await new Promise((done) => { setTimeout(done, WATCH_MS); });
    is(await asked(id), before, `${name}: nobody asks`);
    await cue(A, 'count 10');
    await configure('');
    await page.click('#retry');
    await pillIs(page, 'live', `${name}: not any more, and the button is pressed`);
    await until(async () => {
      // Not where it is but one project.
      if (await pill(home) === 'closed' && await home.isVisible('#retry')) await home.click('#retry');
      return await pill(home) === 'live';
    }, WAIT_MS, `${name}: home, too`);
    is(await refusal(page), '', `${name}: nothing is said any more`);
  }

  // ---- refused for a while -----------------------------------------------------
  const PASSING = [
    ['503', 'Redirect 503 "/api/log/push"', /^The server cannot do this now\. The page tries again by itself\.$/],
    ['something else answers', `Alias "/api/log/push" "${OTHER}"
      <Location "/api/log/push">
        SetHandler default-handler
        ForceType text/html
      </Location>`, /cannot be read: something between .* The page tries again by itself\.$/],
  ];
  await writeFile(OTHER, '<p>Welcome to our network.\n');
  for (const [name, text, why] of PASSING) {
    await configure(text);
    await until(async () => why.test(await refusal(page)), WAIT_MS, `${name}: why`);
    is(await pill(page), 'reconnecting', `${name}: it is tried again`);
    like(await page.textContent('#connection'), /^Reconnecting( in \d+ s)?$/, `${name}: and when`);
    await cue(A, 'count 10');
    await configure('');
    await pillIs(page, 'live', `${name}: it comes back by itself`);
    is(await refusal(page), '', `${name}: nothing is said any more`);
  }
  await pillIs(home, 'live', 'home, too');

  // ---- it stands still ------------------------------------------------------------
  const other = await watch(B);
  const held = await signalChildren('SIGSTOP');
  await other.page.evaluate((hash) => { location.hash = hash; }, `build=${id}`);
  await pillIs(page, 'reconnecting', 'it stands still: that is noticed');
  await pillIs(home, 'reconnecting', 'at home, too');
  await until(async () => await refusal(other.page) === 'The server has not answered yet.', WAIT_MS,
    'and said where something was asked of it');
  held.forEach((pid) => process.kill(pid, 'SIGCONT'));
  await cue(A, 'count 10');
  for (const one of [page, home, other.page]) await pillIs(one, 'live', 'it goes on');
  is(await refusal(other.page), '', 'and nothing is said any more');
  await cue(B, 'exit 0');

  // ---- removed while it is watched --------------------------------------------------
  const old = await watch(C);
  proxy.refuse(true);
  proxy.cut();
  await cue(C, 'exit 0');
  await prepare(B, 'exit 0');
  for (let i = 0; i < 3; i += 1) {
    await until(async () => (await record(old.id)).state !== 'running', WAIT_MS, 'meanwhile it ends');
    const next = await build(B);
    await until(async () => (await record(next)).state === 'succeeded', WAIT_MS, 'and others do');
  }
  await until(async () => (await record(old.id)).status === 404, WAIT_MS, 'it is kept no longer');
  proxy.refuse(false);
  await pillIs(old.page, 'closed', 'that is no reason to ask for ever');
  like(await refusal(old.page), /^It is not there, or not for you\./, 'and said');

  await cue(A, 'exit 0');
  await complete(page, 'after all of this');
  note(`${(await storedIds(id)).length} lines`);
});
