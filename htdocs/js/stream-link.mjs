// SPDX-License-Identifier: Apache-2.0
// A page's line to the shared worker: made, watched, given up.

import { Patience } from './stream-patience.mjs';

// Pages and worker of different versions do not talk: the name says which.
const NAME = 'buildlog-stream-1';

// How long its welcome may take. A browser may for a moment still connect to a
// worker that has just ended, which says nothing.
const WELCOMES_MS = [1500, 3500, 10000];

// It says something each 5 s.
const SILENCE_MS = 20000;

let isHopeless = typeof SharedWorker !== 'function';

/** Is it worth a try? Not where it cannot be loaded. */
export function canShare() {
  return !isHopeless;
}

const ADDRESS = new URL('./stream-worker.mjs', import.meta.url).href;

// For the only address of a script that is made here; the page's
// Content-Security-Policy names it.
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
  #tries = 0;
  #welcome = 0;
  #isWelcome = false;
  #ended = new AbortController();
  #patience = new Patience(() => SILENCE_MS, () => this.#gone());

  /**
   * Throws where it cannot be made.
   * @param on  { hear(message), gone(), failed() }: gone: it had been there;
   *            failed: it does not answer, or cannot be loaded
   */
  constructor(on) {
    this.#on = on;
    this.#connect();
  }

  #connect() {
    let worker;
    try {
      worker = begin();
    } catch (problem) {
      isHopeless = true;
      throw problem;
    }
    this.#worker = worker;
    worker.addEventListener('error', () => {
      if (worker !== this.#worker) return;
      isHopeless = true;
      this.#fail();
    });
    worker.port.addEventListener('message', (event) => {
      if (worker === this.#worker) this.#hear(event.data);
    });
    worker.port.addEventListener('close', () => {
      if (worker === this.#worker) this.#lost();
    });
    worker.port.start();
    clearTimeout(this.#welcome);
    this.#welcome = setTimeout(() => this.#again(), WELCOMES_MS[this.#tries]);
    this.#tries += 1;
  }

  #again() {
    this.#worker.port.close();
    if (this.#tries < WELCOMES_MS.length) this.#connect();
    else this.#fail();
  }

  /** Its side is gone; before it was welcome, another try may do. */
  #lost() {
    if (this.#isWelcome) this.#gone();
  }

  /** Nothing before it was welcome: its first word is hello. */
  say(what, more = {}) {
    if (this.#isWelcome) this.#worker?.port.postMessage({ do: what, ...more });
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
    this.#patience.heard();
    if (message.say === 'beat') this.say('here');
    else if (message.say === 'welcome') this.#welcomed(message.lock);
    else this.#on.hear(message);
  }

  #welcomed(lock) {
    clearTimeout(this.#welcome);
    this.#isWelcome = true;
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
    this.#drop();
    this.#on.failed();
  }
}
