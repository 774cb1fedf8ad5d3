// SPDX-License-Identifier: Apache-2.0
// Places in the log that somebody may want to go to: problems, slow places,
// steps and groups. What was not seen yet is looked at for it.

// A pause shorter than this is none.
const PAUSE_MS = 100;

export class Places {
  #model;
  #progress;
  #turn = 0;

  /** @param progress  share of what there is to look at, of 1 */
  constructor(model, progress) {
    this.#model = model;
    this.#progress = progress;
  }

  /** The next row with a problem, or of standard error, or null. */
  async problem(place, step) {
    let found = null;
    const isPast = (row) => step * (row.k - place.k || row.i - place.i) > 0;
    const isWrong = (row) => (row.problem || row.stderr) && isPast(row);
    await this.#each(place.k, step, (k, rows) => {
      found = (step > 0 ? rows.find(isWrong) : rows.findLast(isWrong)) ?? null;
      return found !== null;
    }, (k) => !this.#model.isCalm(k));
    return found;
  }

  /** The longest pauses of the whole log: [{ k, i, n, ms }]. */
  async slow() {
    await this.#each(this.#model.first, 1, () => false,
      (k) => this.#model.summary(k) === undefined);
    return this.#model.pauses().filter(({ ms }) => ms >= PAUSE_MS);
  }

  /** Look until the end of a fold is known. */
  async endOf(fold) {
    const { folds } = this.#model;
    const isKnown = () => {
      const now = folds.list.find((one) => one.key === fold.key);
      return now === undefined || (now.sure && now.end !== null);
    };
    if (!isKnown()) await this.#each(fold.k, 1, isKnown);
  }

  /** The fold that begins next behind a place (step 1), or before (-1). */
  fold(place, step) {
    const isPast = (one) => step * (one.k - place.k || one.i - place.i) > 0;
    const { list } = this.#model.folds;
    return (step > 0 ? list.find(isPast) : list.findLast(isPast)) ?? null;
  }

  async #each(from, step, visit, isOfInterest = () => true) {
    const turn = this.#turn += 1;
    const order = [];
    const { first, last } = this.#model;
    for (let k = from; k >= first && k <= last; k += step) if (isOfInterest(k)) order.push(k);
    let looked = 0;
    await this.#model.each(order, (k, rows) => {
      looked += 1;
      this.#progress(looked / order.length);
      return visit(k, rows);
    }, () => turn === this.#turn);
    if (turn === this.#turn) this.#progress(1);
  }
}
