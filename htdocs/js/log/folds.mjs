// SPDX-License-Identifier: Apache-2.0
// Which rows are folded: from the marks of the chunks that were seen to ranges
// of rows. A place is a row's chunk and its index there.

// A log that prints more markers than this is not made more legible by them.
const MARKS_MAX = 20000;
const DEPTH_MAX = 6;
const TROUBLES_MAX = 20; // of one chunk

const placeOf = (k, i) => k * 65536 + i;

export class Folds {
  #marks = []; // k -> marks of that chunk, sparse
  #troubles = []; // k -> places of rows that tell of a problem, sparse
  #count = 0;
  #folds = null; // null: to be made anew
  #byKey = new Map();
  #chosen = new Map(); // key -> folded: what the reader wants
  #all = null; // folded or not, when the reader wants it of all
  #ranges = null; // of what is hidden; null: to be made anew
  #seen = () => true;

  /** @param seen  chunk -> were its marks looked at? */
  constructor(seen) {
    this.#seen = seen;
  }

  /** The marks of a chunk's rows, all of them, or from an index on as they come. */
  take(k, rows, from = 0, isLive = false) {
    if (!isLive) {
      const bad = rows.filter((row) => row.problem).slice(0, TROUBLES_MAX);
      if (bad.length > 0) this.#troubles[k] = bad.map((row) => placeOf(k, row.i));
    }
    for (let i = from; i < rows.length; i += 1) {
      const row = rows[i];
      if (row.mark === null || this.#count >= MARKS_MAX) continue;
      const marks = this.#marks[k] ??= [];
      if (marks.some((mark) => mark.i === i)) continue;
      marks.push({ k, i, n: row.n, ms: row.ms, step: row.step, ...row.mark, isLive });
      this.#count += 1;
      this.forget();
    }
  }

  /** More was seen: whether the ends of folds are known may be different. */
  forget() {
    this.#folds = null;
    this.#ranges = null;
  }

  get list() {
    this.#folds ??= this.#make();
    return this.#folds;
  }

  /** The fold that a row begins, or undefined. */
  of(row) {
    const { list } = this;
    return list.length > 0 ? this.#byKey.get(`${row.k}:${row.i}`) : undefined;
  }

  isFolded(fold) {
    return this.#chosen.get(fold.key) ?? this.#all ?? this.#byItself(fold);
  }

  // As its marker wants, if it is over, nothing in it failed, and nobody saw it
  // grow: what is being read does not vanish.
  #byItself(fold) {
    return fold.folded && !fold.isLive && fold.sure && fold.end !== null && !fold.trouble;
  }

  set(fold, folded) {
    this.#chosen.set(fold.key, folded);
    this.#ranges = null;
  }

  setAll(folded) {
    this.#chosen.clear();
    this.#all = folded;
    this.#ranges = null;
  }

  /** What is folded away of a chunk: [{ from, to }], indexes of rows; to is behind. */
  hidden(k) {
    const found = [];
    for (const fold of this.list) {
      if (fold.k > k) break;
      if (fold.end !== null && fold.end.k < k) continue;
      if (!this.isFolded(fold)) continue;
      found.push({
        from: fold.k === k ? fold.i + 1 : 0,
        to: fold.end !== null && fold.end.k === k ? fold.end.i : Infinity,
      });
    }
    return found;
  }

  /** Is all of this chunk folded away? */
  hides(k) {
    return k < (this.#rangeOf(k)?.to ?? 0);
  }

  /** How many lines before this one are folded away. */
  hiddenBefore(n) {
    const range = lastOf(this.#hiddenRanges(), ({ first }) => first < n);
    return range === undefined ? 0 : range.before + Math.min(n, range.end) - range.first;
  }

  /** The line that has so many before it which are not folded away. */
  shown(count) {
    const range = lastOf(this.#hiddenRanges(), ({ first, before }) => first - before <= count + 1);
    return count + 1 + (range === undefined ? 0 : range.before + range.end - range.first);
  }

  /** The chunk with the row under which this one is folded away. */
  headOf(k) {
    return this.hides(k) ? this.#rangeOf(k).k : k;
  }

  #rangeOf(k) {
    return lastOf(this.#hiddenRanges(), (range) => range.k < k);
  }

  // What is folded away: behind a row of chunk k up to one of chunk to, lines
  // first .. end - 1, and how many lines are before them.
  #hiddenRanges() {
    if (this.#ranges !== null) return this.#ranges;
    const ranges = [];
    for (const fold of this.list) {
      if (!this.isFolded(fold)) continue;
      const [first, end, to] = [fold.n + 1, fold.end?.n ?? Infinity, fold.end?.k ?? Infinity];
      const last = ranges.at(-1);
      if (last !== undefined && first < last.end) {
        last.end = Math.max(last.end, end);
        last.to = Math.max(last.to, to);
      } else {
        const before = last === undefined ? 0 : last.before + last.end - last.first;
        ranges.push({ k: fold.k, to, first, end, before });
      }
    }
    this.#ranges = ranges;
    return ranges;
  }

  /** Unfold what hides a row. @return was there something? */
  reveal(row) {
    let any = false;
    for (const fold of this.list) {
      if (!within(fold, row) || !this.isFolded(fold)) continue;
      this.set(fold, false);
      any = true;
    }
    return any;
  }

  #make() {
    const folds = [];
    let open = [];
    let before = -1;
    const close = (count, mark) => {
      for (const fold of open.splice(open.length - count)) {
        fold.end = mark === null ? null : { k: mark.k, i: mark.i, n: mark.n };
        fold.endMs = mark === null ? null : mark.ms;
      }
    };
    for (const marks of Object.values(this.#marks)) {
      for (const mark of marks.sort((a, b) => a.i - b.i)) {
        // Not all between was seen: what was open may have ended there.
        if (open.length > 0 && !this.#allSeen(before, mark.k)) {
          for (const fold of open) fold.sure = false;
        }
        before = mark.k;
        close(ends(open, mark), mark);
        if (mark.type === 'reopen') reopen(folds.at(-1));
        if (mark.type !== 'open' || open.length >= DEPTH_MAX) continue;
        const fold = {
          ...mark, key: `${mark.k}:${mark.i}`, depth: open.length, end: null, endMs: null,
          sure: true,
        };
        folds.push(fold);
        open.push(fold);
      }
    }
    close(open.length, null);
    this.#findTrouble(folds);
    this.#byKey = new Map(folds.map((fold) => [fold.key, fold]));
    return folds;
  }

  #findTrouble(folds) {
    const troubles = Object.values(this.#troubles).flat();
    let at = 0;
    for (const fold of folds) { // in the order of where they begin
      while (at < troubles.length && troubles[at] < placeOf(fold.k, fold.i)) at += 1;
      const end = fold.end === null ? Infinity : placeOf(fold.end.k, fold.end.i);
      fold.trouble = troubles[at] < end;
    }
  }

  #allSeen(from, to) {
    for (let k = from; k <= to; k += 1) if (!this.#seen(k)) return false;
    return true;
  }
}

// The last one for which something holds that holds for all before it.
function lastOf(list, holds) {
  let [from, to] = [0, list.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (holds(list[middle])) from = middle + 1;
    else to = middle;
  }
  return list[from - 1];
}

function reopen(fold) {
  if (fold !== undefined && fold.kind === 'header') fold.folded = false;
}

// How many of the open folds, from the innermost, a mark ends.
function ends(open, mark) {
  if (mark.kind === 'step') return open.length;
  if (mark.type === 'reopen') return 0;
  const same = (fold) => fold.kind === mark.kind
    && (mark.kind !== 'section' || fold.name === mark.name);
  if (mark.type === 'close' || mark.kind === 'header') {
    const at = open.findLastIndex(same);
    return at < 0 ? 0 : open.length - at;
  }
  // A group within a group: GitHub knows none, the first one has ended.
  return mark.kind === 'group' && open.at(-1)?.kind === 'group' ? 1 : 0;
}

function within(fold, row) {
  const behind = row.k > fold.k || (row.k === fold.k && row.i > fold.i);
  if (!behind || fold.end === null) return behind;
  return row.k < fold.end.k || (row.k === fold.end.k && row.i < fold.end.i);
}
