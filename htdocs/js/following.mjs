// SPDX-License-Identifier: Apache-2.0
// A stream as the views use it: shown by the pill, and, when the browser has
// given it up, explained and tried again, with more patience each time.

import { byId } from './dom.mjs';
import { t } from './i18n.mjs';
import { Pill } from './pill.mjs';
import { LogStream } from './stream.mjs';

const RETRY_FIRST_MS = 5000;
const RETRY_MOST_MS = 60000;

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
  #timer = 0;

  constructor() {
    refusal.hidden = true;
    pill.show('connecting');
  }

  /**
   * @param build  id, or null
   * @param on  as LogStream's, without state, and why(stream): finds out why the
   *            stream was refused: rejects with a Problem, or answers true when
   *            all is here and nothing is the matter
   */
  open(build, on, after = '') {
    const { why, ...events } = on;
    this.#stream = new LogStream(build, {
      ...events,
      state: (state, detail) => this.#take(state, detail, why),
    }, { after });
    current = this.#stream;
    this.#stream.moveTo(origin);
    this.#stream.open();
  }

  /** All is here, and no stream was needed. */
  ended() {
    clearTimeout(this.#timer);
    refusal.hidden = true;
    pill.show('ended');
  }

  /** Something failed before there was a stream: say it, and do it again later. */
  failed(problem, act) {
    this.#explain(problem, act);
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#stream?.close();
    if (current === this.#stream) current = null;
  }

  #take(state, detail, why) {
    if (this.#closed) return;
    pill.show(state, detail ?? {});
    if (state === 'live' || state === 'catching' || state === 'ended') {
      refusal.hidden = true;
      if (state !== 'ended') this.#retryMs = RETRY_FIRST_MS;
    }
    // The browser comes back by itself: there is nothing to press.
    if (state === 'busy') this.#say(t('pill.busyhelp'), false);
    if (state === 'closed') this.#ask(why);
  }

  async #ask(why) {
    const reopen = () => this.#stream.open();
    try {
      if (await why(this.#stream)) {
        if (!this.#closed) this.#stream.end();
        return;
      }
      this.#explain(new Error(t('problem.silent')), reopen);
    } catch (problem) {
      this.#explain(problem, reopen);
    }
  }

  #explain(problem, act) {
    if (this.#closed) return;
    pill.show('closed');
    again = () => {
      clearTimeout(this.#timer);
      if (!this.#closed) act();
    };
    let text = problem.message;
    if (!problem.isHopeless) {
      text += ` ${t('problem.retrying')}`;
      this.#timer = setTimeout(again, this.#retryMs);
      pill.show('reconnecting', { at: Date.now() + this.#retryMs });
      this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MOST_MS);
    }
    this.#say(text, true);
  }

  #say(text, canRetry) {
    refusalText.textContent = text;
    retry.hidden = !canRetry;
    refusal.hidden = false;
  }
}
