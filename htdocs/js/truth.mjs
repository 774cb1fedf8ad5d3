// SPDX-License-Identifier: Apache-2.0
// After the end: is what is here what the server stored? "Complete" is said
// only when it was compared.

import { byId, make } from './dom.mjs';
import { amount, t } from './i18n.mjs';
import { milestone } from './telling.mjs';

// A log up to this is fetched as a whole to be compared, without being asked.
const WHOLE_MAX_BYTES = 4 * 1024 * 1024;

export class Truth {
  #element = byId('truth');
  #pane;
  #again;
  #turn = 0;

  /** @param again  () loads the build again */
  constructor(pane, again) {
    this.#pane = pane;
    this.#again = again;
  }

  clear() {
    this.#turn += 1;
    this.#element.hidden = true;
    this.#element.replaceChildren();
  }

  /** @param record  the final one */
  async check(record, whole = record.bytes <= WHOLE_MAX_BYTES) {
    this.#turn += 1;
    const turn = this.#turn;
    this.#show('checking', t('truth.checking'), '');
    let found;
    try {
      found = await this.#pane.verify({ whole });
    } catch (problem) {
      if (turn === this.#turn) this.#say('part', t('truth.failed', { why: problem.message }), '', record);
      return;
    }
    if (turn !== this.#turn) return;
    // All was asked for, and still there is nothing to compare.
    if (found === 'part' && whole) found = 'gap';
    const values = { n: amount(record.lines ?? 0) };
    this.#say(found, t(`truth.${found}`), t(`truth.${found}help`, values), record);
    if (found === 'incomplete') milestone(t('truth.incompletehelp', values));
  }

  #say(found, text, help, record) {
    this.#show(found, text, help);
    if (found === 'part') this.#offer('truth.check', () => this.check(record, true));
    if (found === 'incomplete') this.#offer('truth.again', this.#again);
  }

  #show(found, text, help) {
    this.#element.hidden = false;
    this.#element.dataset.truth = found;
    this.#element.title = help;
    this.#element.replaceChildren(make('span', {}, text));
  }

  #offer(key, act) {
    this.#element.append(' ', make('button', { type: 'button', class: 'small', onclick: act }, t(key)));
  }
}
