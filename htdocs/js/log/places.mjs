// SPDX-License-Identifier: Apache-2.0
// Places in the log that somebody may want to go to: problems, slow places,
// steps and groups. What was not seen yet is looked at for it. Who asks for
// another place makes void what was asked for before: that answer is undefined.

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
    const isDone = await this.#each(place.k, step, (k, rows) => {
      found = (step > 0 ? rows.find(isWrong) : rows.findLast(isWrong)) ?? null;
      return found !== null;
    }, (k) => !this.#model.isCalm(k));
    return isDone ? found : undefined;
  }

  /** The head of a step, or null. @param startedMs  about when it began */
  async step(number, startedMs) {
    const near = await this.#chunkAt(startedMs);
    if (near === undefined) return undefined;
    let found = null;
    const look = (k, rows) => {
      found = rows.find((row) => row.mark?.kind === 'step' && row.step === number) ?? null;
      return found !== null;
    };
    if (!await this.#each(near, 1, look)) return undefined;
    if (found === null && !await this.#each(near - 1, -1, look)) return undefined;
    return found;
  }

  // The first chunk that is not over before a time.
  async #chunkAt(ms) {
    const turn = this.#turn += 1;
    let { first: from, last: to } = this.#model;
    while (from < to) {
      const middle = (from + to) >> 1;
      const { lastMs } = await this.#model.rows(middle);
      if (turn !== this.#turn) return undefined;
      if (lastMs < ms) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  /** The longest pauses of the whole log: [{ k, i, n, ms }]. */
  async slow() {
    const isDone = await this.#each(this.#model.first, 1, () => false,
      (k) => this.#model.summary(k) === undefined);
    return isDone ? this.#model.pauses() : undefined;
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
  async fold(place, step) {
    const { folds } = this.#model;
    const isPast = (one) => step * (one.k - place.k || one.i - place.i) > 0;
    const next = () => (step > 0 ? folds.list.find(isPast) : folds.list.findLast(isPast)) ?? null;
    // It is the next one if all before it was seen.
    const isDone = await this.#each(place.k, step, (k) => step * (k - next()?.k) >= 0,
      (k) => this.#model.summary(k) === undefined || folds.list.some((one) => one.k === k));
    return isDone ? next() : undefined;
  }

  // @return was it done, and not made void?
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
    if (turn !== this.#turn) return false;
    this.#progress(1);
    return true;
  }
}
