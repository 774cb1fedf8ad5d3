// SPDX-License-Identifier: Apache-2.0
// The page: what the address says is followed. "#build=42" is one build,
// anything else all of them.

import { getBuild, getProjects } from './api.mjs';
import { Assembly } from './assembly.mjs';
import { BuildView, isFinal, nameOf, outcome } from './build-view.mjs';
import { ConnectionView } from './connection-view.mjs';
import { byId } from './dom.mjs';
import { LogView } from './log-view.mjs';
import { ProjectForm } from './project-form.mjs';
import { LogStream } from './stream.mjs';

const RETRY_FIRST_MS = 5000;
const RETRY_MOST_MS = 60000;

const EMPTY_ALL = 'Nothing printed yet. Start a build, or wait for one: its lines appear here.';
const EMPTY_ONE = 'Waiting for the first line.';
const EMPTY_ENDED = 'This build printed nothing.';

const milestones = byId('milestones');
const log = new LogView();
const build = new BuildView();
const connection = new ConnectionView(reopen);
const form = new ProjectForm(follow);

const states = new Map(); // build -> its state as last told
let followed = null;
let stream = null;
let streamOrigin = ''; // '': the page's own
let lines = null;
let retryMs = RETRY_FIRST_MS;
let retryTimer = 0;

function idInAddress() {
  const id = new URLSearchParams(location.hash.slice(1)).get('build');
  return id !== null && /^[1-9]\d{0,18}$/.test(id) ? id : null;
}

/** A build was accepted: show it. */
function follow(record) {
  location.hash = `build=${record.id}`;
  show();
  build.show(record);
}

/** Show what the address says, from the beginning. */
function show() {
  clearTimeout(retryTimer);
  stream?.close();
  followed = idInAddress();
  retryMs = RETRY_FIRST_MS;
  byId('all-builds').setAttribute('aria-current', followed === null ? 'page' : 'false');
  milestones.textContent = '';
  log.clear(followed, followed === null ? EMPTY_ALL : EMPTY_ONE);
  build.clear(followed);
  lines = new Assembly((row) => log.holds(row));
  stream = new LogStream(followed, {
    line: takeLine,
    build: takeRecord,
    end: takeRecord,
    gap: takeGap,
    time: (text) => build.setTime(text),
    state: takeState,
  });
  stream.moveTo(streamOrigin);
  stream.open();
}

function takeLine(line) {
  const { row, fresh } = lines.take(line);
  if (fresh) log.add(row);
  else log.update(row);
}

function takeGap() {
  lines.reset();
  log.add({
    gap: true, note: true, node: null, time: null,
    text: 'Lines are missing here: the server no longer has them in this stream.',
  });
}

function takeRecord(record) {
  form.note(record);
  if (followed !== null) {
    build.show(record);
    if (isFinal(record)) log.setEmptyText(EMPTY_ENDED);
  }
  if (states.get(record.id) === record.state) return;
  states.set(record.id, record.state);
  if (record.state === 'running') milestones.textContent = `${nameOf(record)} started.`;
  else if (isFinal(record)) milestones.textContent = `${nameOf(record)} ${outcome(record)}.`;
}

function takeState(state) {
  connection.show(state);
  if (state === 'live') retryMs = RETRY_FIRST_MS;
  if (state === 'closed') explain(stream);
}

/** The browser gave up on the stream: find out why, and say what to do. */
async function explain(closed) {
  let text;
  let hopeless = false;
  try {
    if (followed === null) {
      await getProjects();
    } else {
      const record = await getBuild(followed);
      const sentAll = isFinal(record) && await closed.status() === 204;
      if (closed !== stream) return;
      takeRecord(record);
      if (sentAll) {
        stream.end();
        return;
      }
    }
    text = 'The server closed the stream and did not say why.';
  } catch (problem) {
    text = problem.message;
    hopeless = problem.status >= 400 && problem.status < 500;
  }
  if (closed !== stream) return;
  if (!hopeless) {
    text += ' The page tries again by itself.';
    retryTimer = setTimeout(reopen, retryMs);
    retryMs = Math.min(retryMs * 2, RETRY_MOST_MS);
  } else {
    log.setEmptyText('No log to show.');
  }
  connection.refuse(text);
}

function reopen() {
  clearTimeout(retryTimer);
  stream.open();
}

addEventListener('hashchange', () => {
  if (idInAddress() === followed) return;
  form.forget();
  show();
});
addEventListener('pageshow', (event) => {
  if (event.persisted) show();
});

form.load().then((origin) => {
  if (origin === null || origin === location.origin) return;
  streamOrigin = origin;
  stream.moveTo(origin);
});
show();
