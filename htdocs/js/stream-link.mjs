// SPDX-License-Identifier: Apache-2.0
// A page's line to the shared worker: made, watched, given up.

import { Patience } from './stream-patience.mjs';

// Pages and worker of different versions do not talk: the name says which.
const NAME = 'buildlog-stream-1';

const WELCOME_MS = 5000;

// It says something each 5 s.
const SILENCE_MS = 20000;

// A browser in which it did not work is not asked again for so long.
const AGAIN_MS = 60000;
let failedAt = -AGAIN_MS;

export function canShare() {
  return typeof SharedWorker === 'function' && performance.now() - failedAt >= AGAIN_MS;
}

const ADDRESS = new URL('./stream-worker.mjs', import.meta.url).href;

// The only policy that the page's Content-Security-Policy allows, for the only
// address of a script that is made here.
let policy;

function begin() {
  if (globalThis.trustedTypes) {
    policy ??= trustedTypes.createPolicy('buildlog-stream', { createScriptURL: () => ADDRESS });
  }
  return new SharedWorker(policy?.createScriptURL('') ?? ADDRESS, { name: NAME, type: 'module' });
}

export class Link {
  #on;
  #worker = null;
  #welcome = 0;
  #ended = new AbortController();
  #patience = new Patience(() => SILENCE_MS, () => this.#gone());

  /**
   * Throws where it cannot be made.
   * @param on  { hear(message), gone(), failed() }: gone: it had been there;
   *            failed: it does not work here
   */
  constructor(on) {
    this.#on = on;
    try {
      this.#worker = begin();
    } catch (problem) {
      failedAt = performance.now();
      throw problem;
    }
    const { port } = this.#worker;
    port.addEventListener('message', (event) => this.#hear(event.data));
    port.addEventListener('close', () => this.#gone());
    this.#worker.addEventListener('error', () => this.#fail());
    this.#welcome = setTimeout(() => this.#fail(), WELCOME_MS);
    port.start();
  }

  say(what, more = {}) {
    this.#worker?.port.postMessage({ do: what, ...more });
  }

  close() {
    if (this.#worker === null) return;
    this.say('bye');
    this.#drop();
  }

  #drop() {
    clearTimeout(this.#welcome);
    this.#patience.stop();
    this.#ended.abort();
    this.#worker?.port.close();
    this.#worker = null;
  }

  #hear(message) {
    if (this.#worker === null) return;
    this.#patience.heard();
    if (message.say === 'beat') this.say('here');
    else if (message.say === 'welcome') this.#welcomed(message.lock);
    else this.#on.hear(message);
  }

  #welcomed(lock) {
    clearTimeout(this.#welcome);
    this.#patience.start();
    this.#on.hear({ say: 'welcome' });
    if (!navigator.locks) return;
    const { signal } = this.#ended;
    // Ours is free when this page is gone, its when the worker is.
    const name = `buildlog-tab-${Math.random()}`;
    navigator.locks.request(name, () => new Promise((done) => {
      if (signal.aborted) done();
      signal.addEventListener('abort', done);
      this.say('lock', { name });
    })).catch(() => {});
    navigator.locks.request(lock, { mode: 'shared', signal }, () => this.#gone()).catch(() => {});
  }

  #gone() {
    if (this.#worker === null) return;
    this.#drop();
    this.#on.gone();
  }

  #fail() {
    if (this.#worker === null) return;
    failedAt = performance.now();
    this.#drop();
    this.#on.failed();
  }
}
