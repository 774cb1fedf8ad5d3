// SPDX-License-Identifier: Apache-2.0
// How the page stands with the server, in a word.

import { byId, setText } from './dom.mjs';
import { amount, hasWord, t } from './i18n.mjs';

const TICK_MS = 500;

export class Pill {
  #element = byId('connection');
  #tick = 0;

  /** @param detail  { lines } for catching; { at }, a time of Date.now(), for what comes again */
  show(state, detail = {}) {
    clearInterval(this.#tick);
    this.#element.dataset.state = state;
    const help = `pill.${state}help`;
    this.#element.title = hasWord(help) ? t(help) : '';
    this.#say(state, detail);
    if (detail?.at > Date.now()) {
      this.#tick = setInterval(() => this.#say(state, detail), TICK_MS);
    }
  }

  #say(state, detail) {
    const s = Math.ceil(((detail?.at ?? 0) - Date.now()) / 1000);
    let text = t(`pill.${state}`);
    if (s > 0 && hasWord(`pill.${state}in`)) text = t(`pill.${state}in`, { s });
    if (state === 'catching' && detail?.lines > 0) {
      text = t('pill.catchingn', { n: amount(detail.lines) });
    }
    setText(this.#element.firstElementChild, text);
  }
}
