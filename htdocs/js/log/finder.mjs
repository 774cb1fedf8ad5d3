// SPDX-License-Identifier: Apache-2.0
// The search box at work: from what is typed to hits that are counted, gone to
// and painted.

import { amount } from './amounts.mjs';
import { TooSlow, matcherOf } from './matcher.mjs';
import { Search } from './search.mjs';

export class Finder {
  #t;
  #toolbar;
  #view;
  #going;
  #search;
  #painting = false;
  #hasComplained = false;

  constructor({ t, toolbar, view, model, going }) {
    this.#t = t;
    this.#toolbar = toolbar;
    this.#view = view;
    this.#going = going;
    this.#search = new Search(model, () => this.#counted());
  }

  /** What is asked for is different. */
  start() {
    const { query } = this.#toolbar;
    this.#search.clear();
    if (this.#hasComplained) this.#toolbar.say('');
    this.#hasComplained = false;
    this.paintLater();
    if (query === null) {
      this.#toolbar.counted('');
      return;
    }
    try {
      this.#search.start(matcherOf(query), this.#going.here.k);
      this.#counted();
    } catch (error) {
      this.#toolbar.counted(this.#t('log.badregex', { why: error.message }), true);
    }
  }

  /** Rows came, or went. */
  grown() {
    if (!this.#search.isOn) return;
    this.#search.grown();
    this.#counted();
  }

  /** To the next match (1), or the one before (-1). */
  async hit(step) {
    if (!this.#search.isOn) return;
    const { failure } = this.#search;
    if (failure !== null && !(failure instanceof TooSlow)) {
      this.start();
      return;
    }
    // The first one may be where the reader is.
    const { k, i } = this.#going.here;
    const hit = this.#search.next(this.#search.at ?? { k, i: i - step }, step);
    if (hit === null) return;
    this.#search.at = hit;
    this.#counted();
    await this.#going.toPlace(hit);
    this.paintLater();
  }

  paintLater() {
    if (this.#painting) return;
    this.#painting = true;
    requestAnimationFrame(() => {
      this.#painting = false;
      this.#search.paint(this.#search.isOn ? this.#view.seen() : []);
    });
  }

  close() {
    this.#search.clear();
    this.#search.paint([]);
  }

  #counted() {
    if (!this.#search.isOn) return;
    const text = this.#countText();
    const { failure, progress } = this.#search;
    this.#toolbar.counted(text, failure !== null);
    // There is more room for it below.
    if (failure !== null) {
      this.#toolbar.say(text);
      this.#hasComplained = true;
    } else if (progress === 1) {
      this.#toolbar.announceLater(text);
    }
    this.paintLater();
  }

  #countText() {
    const { count, rank, progress, failure } = this.#search;
    const one = count === 1 ? '.one' : '';
    if (failure instanceof TooSlow) return this.#t('log.tooslow');
    if (failure !== null) return this.#t('log.searchfailed', { why: failure.message });
    if (progress < 1) {
      return this.#t('log.searching', { n: amount(count), percent: Math.floor(progress * 100) });
    }
    if (count === 0) return this.#t('log.none');
    if (rank > 0) return this.#t(`log.found${one}`, { at: amount(rank), n: amount(count) });
    return this.#t(`log.counted${one}`, { n: amount(count) });
  }
}
