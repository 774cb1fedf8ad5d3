// SPDX-License-Identifier: Apache-2.0
// The log of a build as rows, wherever they are: in use (put together), packed,
// or still with the server. Of each chunk that was seen there is a summary that
// stays: when it began and ended, its longest pauses, whether there is trouble.

import { Folds } from './folds.mjs';
import { Records, chunkOf } from './records.mjs';
import { Rows } from './rows.mjs';

// Chunks behind the end that stay put together, so that a frame that comes
// late still has them.
const RECENT = 12;
const PAUSES = 10;
// What is shorter is no pause.
const PAUSE_MS = 100;
// How long a search may keep the page from drawing.
const SLICE_MS = 12;

export class Model {
  #records;
  #build;
  #rows = new Map(); // k -> Rows that are in use, or new
  #held = new Set(); // k that somebody uses
  #sums = []; // k -> summary, sparse
  #lost = 0; // chunks before this one are gone for good (all builds)

  folds;

  /** @param build  null: all builds, of which nothing is kept */
  constructor(build, fetchWindow) {
    this.#build = build;
    this.#records = new Records(build === null ? null : (range) => fetchWindow(build, range));
    this.folds = new Folds((k) => this.#sums[k] !== undefined || k === this.last);
    this.#rows.set(0, new Rows(0));
  }

  get isAll() {
    return this.#build === null;
  }

  /** The number that the next line will have. */
  get next() {
    return this.#records.next;
  }

  get first() {
    return this.#lost;
  }

  /** The chunk at the end. */
  get last() {
    return this.#records.tailChunk;
  }

  get records() {
    return this.#records;
  }

  async open(count) {
    const after = await this.#records.open(count);
    const rows = new Rows(this.last);
    for (const record of await this.#records.chunk(this.last)) rows.take(record);
    this.#rows = new Map([[this.last, rows]]);
    rows.changed.clear();
    this.folds.take(this.last, rows.all);
    // The last chunk may be one row: what is shown first is at hand.
    const before = this.last - 1;
    if (before >= 0) this.#rows.set(before, await this.rows(before));
    return after;
  }

  /** A line came. @return its row */
  take(line) {
    const record = this.#records.append(line);
    const k = this.last;
    let rows = this.#rows.get(k);
    if (rows === undefined) {
      const before = this.#rows.get(k - 1);
      this.#end(k - 1, before);
      rows = new Rows(k, before?.lastMs);
      this.#rows.set(k, rows);
      this.#release(k - RECENT);
    }
    const row = rows.take(record);
    if (row.mark !== null && !this.isAll) this.folds.take(k, rows.all, row.i, true);
    return row;
  }

  /** The rows of a chunk if they are at hand. */
  at(k) {
    return this.#rows.get(k);
  }

  /** The rows of a chunk. */
  async rows(k) {
    const there = this.#rows.get(k);
    if (there !== undefined) return there;
    const records = await this.#records.chunk(k);
    // Somebody else may have been faster.
    const now = this.#rows.get(k);
    if (now !== undefined) return now;
    const rows = new Rows(k, this.#sums[k - 1]?.lastMs);
    for (const record of records) rows.take(record);
    rows.changed.clear();
    this.#end(k, rows);
    return rows;
  }

  /** Keep these rows as they are, for they are on the screen. */
  hold(k, rows) {
    this.#held.add(k);
    this.#rows.set(k, rows);
  }

  letGo(k) {
    this.#held.delete(k);
    this.#release(k);
  }

  /**
   * visit(k, rows) for each chunk, in this order, until it returns true. Lets
   * the page draw in between. @return the chunk where it stopped, or -1
   */
  async each(order, visit, isWanted = () => true) {
    let since = performance.now();
    for (const k of order) {
      const rows = await this.rows(k);
      if (!isWanted()) return -1;
      if (visit(k, rows.all)) return k;
      if (performance.now() - since > SLICE_MS) {
        await new Promise((resolve) => { setTimeout(resolve); });
        since = performance.now();
      }
    }
    return -1;
  }

  summary(k) {
    if (k === this.last) return summarise(this.#rows.get(k));
    return this.#sums[k];
  }

  /** Is nothing of this chunk of interest? Not known: false. */
  isCalm(k) {
    return this.summary(k)?.calm ?? false;
  }

  /** The longest pauses of what was seen: [{ k, i, n, ms }], longest first. */
  pauses() {
    const found = [];
    for (let k = this.#lost; k <= this.last; k += 1) {
      const sum = this.summary(k);
      if (sum === undefined) continue;
      found.push(...sum.pauses);
      const lead = sum.firstMs - this.summary(k - 1)?.lastMs;
      if (lead >= PAUSE_MS && sum.first !== null) found.push({ ...sum.first, ms: lead });
    }
    return longest(found);
  }

  /** Time of the first record, if that was seen. */
  get startMs() {
    return this.summary(0)?.firstMs ?? NaN;
  }

  /** A row by its number: the one that has it as its own, or covers it. */
  async find(n) {
    const k = Math.min(chunkOf(Math.max(1, n)), this.last);
    const { all } = await this.rows(k);
    return all.find((row) => row.n === n && !row.taken)
      ?? all.find((row) => row.from <= n && n <= row.n)
      ?? all.findLast((row) => row.n < n) ?? all[0] ?? null;
  }

  #end(k, rows) {
    if (k < 0 || rows === undefined) return;
    if (this.isAll) return;
    this.#sums[k] = summarise(rows);
    this.folds.take(k, rows.all);
    this.folds.forget();
  }

  #release(k) {
    if (this.#held.has(k) || k > this.last - RECENT || k < 0) return;
    this.#rows.delete(k);
    if (this.isAll && !this.#held.has(k)) this.#lost = Math.max(this.#lost, k + 1);
  }
}

function summarise(rows) {
  const { all } = rows;
  const within = all.filter((row) => row.i > 0 && row.pause >= PAUSE_MS).map(pauseOf);
  return {
    firstMs: all[0]?.ms ?? NaN,
    lastMs: rows.lastMs,
    first: all.length > 0 ? pauseOf(all[0]) : null,
    pauses: longest(within),
    calm: !all.some((row) => row.problem || row.stderr),
  };
}

const pauseOf = ({ k, i, n, pause }) => ({ k, i, n, ms: pause });

function longest(pauses) {
  return pauses.sort((a, b) => b.ms - a.ms || a.k - b.k || a.i - b.i).slice(0, PAUSES);
}
