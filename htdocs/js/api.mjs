// SPDX-License-Identifier: Apache-2.0
// Requests to the server, and what went wrong with them.

import { hasWord, language, t } from './i18n.mjs';

const OF_PAGE = { Accept: 'application/json, application/problem+json' };

// A server that stands still, or a network that loses what is sent, says
// nothing. But the browser may be asking for a password meanwhile.
const ANSWER_MS = 120000;

// It took too long; there were too many.
const PASSING = new Set([408, 429]);

/** A refusal: its message is for people; status 0: no answer at all. */
export class Problem extends Error {
  constructor(status, message, retryAfter = null) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }

  /** Would the same request fail again, whenever it is made? */
  get isHopeless() {
    return this.status >= 400 && this.status < 500 && !PASSING.has(this.status);
  }
}

/** @return {"msg", "build"} */
export function startBuild(projectPath) {
  return request('/api/project/build', {
    method: 'POST',
    body: new URLSearchParams({ projectPath }),
  });
}

/** @return {"build"} */
export function cancelBuild(id) {
  return request(`/api/project/builds/${id}/cancel`, { method: 'POST' });
}

/** @return the record */
export function getBuild(id) {
  return request(`/api/project/builds/${id}`);
}

/**
 * @return { builds: newest first, next: for before, or null,
 *           after: where a stream goes on, or null, incomplete }
 */
export function getBuilds(query) {
  return request(`/api/project/builds?${new URLSearchParams(query)}`);
}

/** Lines by number: { first, count, after } or { last }. */
export function getWindow(id, range) {
  // A build that has ended does not change: the browser may keep it.
  return request(`/api/project/builds/${id}/lines?${new URLSearchParams(range)}`,
    { cache: 'default' });
}

/**
 * @return { projects: array of {"path", "title", "last", "average"},
 *           streamOrigin: where streams are better taken from, or null,
 *           user: who this is to the server, or null }
 */
export function getProjects() {
  return request('/api/project/projects');
}

/**
 * What the server says to a stream, which EventSource does not tell: rejects
 * with the Problem. @return 200, or 204: all was sent
 */
export async function askStream(url, credentials) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), ANSWER_MS);
  try {
    const headers = { Accept: 'text/event-stream' };
    const response = await answered(url, { headers, credentials, signal: stop.signal });
    if (response.status === 200
      && !/^text\/event-stream\b/.test(response.headers.get('Content-Type'))) throw unreadable(response);
    return response.status;
  } finally {
    clearTimeout(timer);
    stop.abort(); // what would follow
  }
}

async function request(url, options = {}) {
  const signal = AbortSignal.timeout(ANSWER_MS);
  const response = await answered(url, { signal, ...options, headers: OF_PAGE });
  try {
    return await response.json();
  } catch {
    throw signal.aborted ? new Problem(0, t('problem.0')) : unreadable(response);
  }
}

async function answered(url, options) {
  let response;
  try {
    // Nothing here leads elsewhere, but to where one signs in.
    response = await fetch(url, { cache: 'no-store', redirect: 'manual', ...options });
  } catch {
    throw new Problem(0, t('problem.0'));
  }
  if (response.type === 'opaqueredirect') throw new Problem(401, t('problem.401'));
  if (!response.ok) throw await refusal(response);
  return response;
}

const unreadable = ({ status }) => new Problem(status, t('problem.unreadable'));

async function refusal(response) {
  const { status } = response;
  const retryAfter = response.headers.get('Retry-After');
  let told = '';
  try {
    const { title, detail } = await response.json();
    told = detail ?? title ?? '';
  } catch {
    // Not the module's answer: the status has to do.
  }
  return new Problem(status, inWords(status, told, retryAfter), retryAfter);
}

// Ours in the reader's language; the server's own, in English, says more.
function inWords(status, told, retryAfter) {
  const key = `problem.${status}`;
  const ours = hasWord(key) ? t(key) : t('problem.other', { status });
  const parts = [ours];
  if (told !== '') parts.push(language === 'en' ? sentence(told) : t('problem.told', { told }));
  if (retryAfter) parts.push(t('problem.wait', { s: retryAfter }));
  return parts.join(' ');
}

const sentence = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);
