// SPDX-License-Identifier: Apache-2.0
// A stream as the views use it: shown by the pill, and, when the browser has
// given it up, explained and tried again, with more patience each time.

import { byId } from './dom.mjs';
import { t } from './i18n.mjs';
import { Pill } from './pill.mjs';
import { LogStream } from './stream.mjs';

const RETRY_FIRST_MS = 5000;
const RETRY_MOST_MS = 60000;

// Then it is said that nothing was answered.
const SILENT_MS = 10000;

// So often it may be refused, and let in when it is asked why, without a word.
const PASSING_MOST = 1;

const refusal = byId('refusal');
const refusalText = byId('refusal-text');
const retry = byId('retry');
const pill = new Pill();

let origin = ''; // where streams are taken from; '': the page's own
let current = null;
let again = null;

retry.addEventListener('click', () => {
  refusal.hidden = true;
  again?.();
});

/** Streams are better taken from there. */
export function moveStreams(to) {
  if (to === null || to === location.origin) return;
  origin = to;
  current?.moveTo(to);
}

export class Following {
  #stream = null;
  #closed = false;
  #retryMs = RETRY_FIRST_MS;
  #refusals = 0; // since it was live
  #isBusy = false;
  #timer = 0;
  #silent = 0;

  constructor() {
    this.#silence();
    this.connecting();
  }

  /** Something is asked that comes before the stream. */
  connecting() {
    pill.show('connecting');
    clearTimeout(this.#silent);
    this.#silent = setTimeout(() => this.#say(t('problem.waiting'), false), SILENT_MS);
  }

  /**
   * @param build  id, or null
   * @param on  as LogStream's, without state
   * @param options  as LogStream's
   */
  open(build, on, options = {}) {
    clearTimeout(this.#silent);
    this.#silence();
    this.#stream = new LogStream(build, {
      ...on,
      state: (state, detail) => this.#take(state, detail),
    }, options);
    current = this.#stream;
    this.#stream.moveTo(origin);
    this.#stream.open();
  }

  /** All is here, and no stream was needed. */
  ended() {
    clearTimeout(this.#timer);
    clearTimeout(this.#silent);
    this.#silence();
    pill.show('ended');
  }

  /** Something failed before there was a stream: say it, and do it again later. */
  failed(problem, act) {
    this.#explain(problem, () => {
      this.connecting();
      act();
    });
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#silent);
    this.#stream?.close();
    if (current === this.#stream) current = null;
  }

  #take(state, detail) {
    if (this.#closed) return;
    if (state === 'closed') {
      this.#refused(detail.problem);
      return;
    }
    pill.show(state, detail);
    if (state === 'live' || state === 'catching' || state === 'ended') {
      this.#silence();
      this.#refusals = 0;
      this.#retryMs = RETRY_FIRST_MS;
    }
    // The browser comes back by itself: there is nothing to press.
    if (state === 'busy') this.#say(t('pill.busyhelp'), false);
    else if (this.#isBusy) this.#silence();
    this.#isBusy = state === 'busy';
  }

  /** @param problem  null: it would be let in now */
  #refused(problem) {
    this.#refusals += 1;
    const reopen = () => this.#stream.open();
    if (problem !== null || this.#refusals > PASSING_MOST) {
      this.#explain(problem ?? new Error(t('problem.silent')), reopen);
    } else {
      this.#later(reopen);
    }
  }

  #explain(problem, act) {
    if (this.#closed) return;
    clearTimeout(this.#silent);
    let text = problem.message;
    if (problem.isHopeless) {
      pill.show('closed');
      this.#again(act);
    } else {
      text += ` ${t('problem.retrying')}`;
      this.#later(act, problem.retryAfter);
    }
    this.#say(text, true);
  }

  /** @param seconds  what the server asked for, if it did */
  #later(act, seconds = null) {
    this.#again(act);
    const wait = Math.min(Math.max(this.#retryMs, 1000 * (Number(seconds) || 0)), RETRY_MOST_MS);
    this.#timer = setTimeout(again, wait);
    pill.show('reconnecting', { at: Date.now() + wait });
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MOST_MS);
  }

  /** By the button, or when it is time. */
  #again(act) {
    clearTimeout(this.#timer);
    again = () => {
      clearTimeout(this.#timer);
      if (!this.#closed) act();
    };
  }

  #say(text, canRetry) {
    refusalText.textContent = text;
    retry.hidden = !canRetry;
    refusal.hidden = false;
  }

  #silence() {
    refusal.hidden = true;
  }
}
