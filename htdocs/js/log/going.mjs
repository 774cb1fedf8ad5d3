// SPDX-License-Identifier: Apache-2.0
// Where the reader goes: lines, problems, slow places, steps and groups, the
// ends; and what is folded on the way.

import { rangeOf } from './columns.mjs';
import { strip } from './escapes.mjs';
import { Places } from './places.mjs';
import { shown } from './rows.mjs';

const TEXT_MAX = 120;

export class Going {
  #t;
  #toolbar;
  #view;
  #model;
  #nodes;
  #columns;
  #failed;
  #chosen;
  #places;
  #place = null; // where the reader went last: { k, i }

  /**
   * @param failed  (error, again)
   * @param chosen  ({ first, last }): the reader wants these lines
   */
  constructor({ t, toolbar, view, model, nodes, columns, failed, chosen }) {
    this.#t = t;
    this.#toolbar = toolbar;
    this.#view = view;
    this.#model = model;
    this.#nodes = nodes;
    this.#columns = columns;
    this.#failed = failed;
    this.#chosen = chosen;
    this.#places = new Places(model, (share) => this.#looking(share));
  }

  /** The place that the reader went to, if it can be seen; else the top. */
  get here() {
    const place = this.#place;
    if (place !== null && this.#view.isSeen(place)) return place;
    return this.#view.topRow() ?? { k: this.#model.first, i: -1 };
  }

  /** Go to lines, and mark them. @return were they there? */
  async toLines({ first, last = first }) {
    if (this.#model.isAll || first >= this.#model.next) {
      this.#toolbar.say(this.#t('log.noline', { n: first }));
      return false;
    }
    return this.#try(async () => {
      const row = await this.#model.find(first);
      await this.toRow(row);
      this.#mark({ first, last }, row);
    });
  }

  /** To the head of a step (from 1). @param startedMs  when it began @return was it there? */
  async toStep(number, startedMs) {
    let there = false;
    await this.#try(async () => {
      const row = await this.#places.step(number, startedMs);
      if (row === undefined) return;
      there = row !== null;
      if (!there) {
        this.#toolbar.say(this.#t('log.nostep', { n: number }));
        return;
      }
      const fold = this.#model.folds.of(row);
      if (fold !== undefined && this.#model.folds.isFolded(fold)) await this.toggle(row);
      await this.toRow(row, true);
      this.#mark({ first: row.n, last: row.n }, row);
    });
    return there;
  }

  /** Lines as somebody wrote them. @return was it a range? */
  toText(text) {
    const range = rangeOf(text);
    if (range === null) return false;
    this.toLines(range).then((there) => {
      if (there) this.#choose(range);
    });
    return true;
  }

  async toRow(row, isHead = false) {
    if (row === null) return;
    this.#place = { k: row.k, i: row.i };
    await this.#view.reveal(row, isHead);
  }

  async toPlace({ k, i, n }) {
    await this.#try(async () => {
      const { all } = await this.#model.rows(k);
      const row = all[i] ?? null;
      await this.toRow(row);
      if (n !== undefined) this.#mark({ first: n, last: n }, row);
    });
  }

  /** To the start (1), or to the end and follow it (-1). */
  async ends(step) {
    this.#place = null;
    if (step < 0) this.#view.toEnd();
    else await this.#try(() => this.#view.toStart());
  }

  async problem(step, from = this.here) {
    await this.#try(async () => {
      const row = await this.#places.problem(from, step);
      if (row === undefined) return;
      if (row === null) {
        this.#toolbar.say(this.#t('log.noproblem'));
        return;
      }
      await this.toRow(row);
      this.#mark({ first: row.n, last: row.n }, row);
      const text = strip(shown(row)).trim().slice(0, TEXT_MAX);
      this.#toolbar.say(this.#t('log.problemat', { n: row.n, text }));
    });
  }

  async firstProblem() {
    await this.problem(1, { k: this.#model.first, i: -1 });
  }

  async slow() {
    await this.#try(async () => {
      const pauses = await this.#places.slow();
      if (pauses !== undefined) this.#toolbar.slow(pauses);
    });
  }

  async fold(step, from = this.here) {
    await this.#try(async () => {
      const fold = await this.#places.fold(from, step);
      if (fold) await this.toPlace({ k: fold.k, i: fold.i });
    });
  }

  /** Fold what a row begins, or unfold it. */
  async toggle(row) {
    const { folds } = this.#model;
    const fold = folds.of(row);
    if (fold === undefined) return;
    const folded = !folds.isFolded(fold);
    this.#place = { k: fold.k, i: fold.i };
    await this.#try(async () => {
      if (folded) await this.#places.endOf(fold);
      folds.set(fold, folded);
      this.#view.refold(row);
    });
  }

  /** The same for the one around the reader. */
  async toggleHere() {
    const { k, i } = this.here;
    const fold = this.#model.folds.list.findLast((one) => one.k < k || (one.k === k && one.i <= i));
    if (fold !== undefined) await this.toggle((await this.#model.rows(fold.k)).all[fold.i]);
  }

  foldAll(on) {
    this.#model.folds.setAll(on);
    this.#view.refold();
  }

  /** Fold all, or unfold all if all is folded. */
  toggleAll() {
    const { folds } = this.#model;
    this.foldAll(!folds.list.every((fold) => folds.isFolded(fold)));
  }

  /** A line's number was clicked. @param more  from where it began before */
  number(row, more) {
    const { marked } = this.#columns;
    if (row.taken) return;
    if (!more || marked === null) {
      this.#mark({ first: row.n, last: row.n }, row);
    } else {
      const [first, last] = [Math.min(marked.first, row.n), Math.max(marked.first, row.n)];
      this.#mark({ first, last }, first === row.n ? row : marked);
    }
    this.#choose(this.#columns.marked);
  }

  // The reader chose lines.
  #choose({ first, last }) {
    this.#toolbar.say(first === last ? this.#t('log.line', { n: first })
      : this.#t('log.lines', { first, last }));
    this.#chosen({ first, last });
  }

  #mark({ first, last }, row) {
    this.#columns.marked = { first, last, k: row?.k, i: row?.i };
    for (const one of this.#view.rows()) this.#nodes.mark(one);
  }

  #looking(share) {
    if (share === 1) this.#toolbar.say('');
    else this.#toolbar.say(this.#t('log.looking', { percent: Math.floor(share * 100) }));
  }

  // @return was it done?
  async #try(act) {
    try {
      await act();
      return true;
    } catch (error) {
      this.#failed(error, () => this.#try(act));
      return false;
    }
  }
}
