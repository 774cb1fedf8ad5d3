// SPDX-License-Identifier: Apache-2.0
// The chunks of a log that are elements: from lo to hi without a hole, but for
// those that are folded away. Only the elements; where to scroll is view.mjs's.

import { isSilent } from './rows.mjs';

export class Chunks {
  #element;
  #model = null;
  #nodes = null;
  #drawn = new Map(); // k -> { k, node, rows, done }

  lo = 0;
  hi = -1;
  count = 0; // rows that are elements

  constructor(element) {
    this.#element = element;
  }

  begin(model, nodes) {
    this.#model = model;
    this.#nodes = nodes;
  }

  has(k) {
    return this.#drawn.has(k);
  }

  /** Is it an element, or folded away? */
  isThere(k) {
    return this.#drawn.has(k) || this.#model.folds.hides(k);
  }

  elementOf(k) {
    return this.#drawn.get(k)?.node;
  }

  /** All rows that are elements, in order. */
  * rows() {
    for (let k = this.lo; k <= this.hi; k += 1) {
      for (const row of this.#drawn.get(k)?.rows.all ?? []) if (row.node !== null) yield row;
    }
  }

  // ---- coming and going ------------------------------------------------

  /** A chunk at one of the ends; rows undefined: it is folded away. */
  mount(k, rows) {
    this.hi = Math.max(this.hi, k);
    this.lo = Math.min(this.lo, k);
    if (rows === undefined || this.#model.folds.hides(k)) return;
    const node = document.createElement('div');
    node.className = 'chunk';
    const entry = { k, node, rows, done: 0 };
    const next = this.#nextOf(k);
    this.#drawn.set(k, entry);
    this.#model.hold(k, rows);
    this.#append(entry);
    if (next === undefined) this.#element.append(node);
    else next.node.before(node);
  }

  /** Leave out what is far away. @param side  above | below */
  trim(side, most) {
    while (this.count > most && this.lo < this.hi) {
      const entry = this.#drawn.get(side === 'above' ? this.lo : this.hi);
      if (entry !== undefined) this.#unmount(entry);
      if (side === 'above') this.lo += 1;
      else this.hi -= 1;
    }
  }

  /** Nothing is an element; the next one mounted is chunk k. */
  empty(k = 0) {
    for (const entry of [...this.#drawn.values()]) this.#unmount(entry);
    this.lo = k;
    this.hi = k - 1;
  }

  /** What has come, and what has changed. */
  update() {
    for (const entry of this.#drawn.values()) {
      const { rows } = entry;
      for (const row of rows.changed) if (row.node !== null) this.#nodes.fill(row);
      rows.changed.clear();
      if (entry.done < rows.all.length) this.#append(entry);
    }
  }

  /** Folds are different: all anew, and what hangs together around a chunk stays. */
  refold(around) {
    for (const entry of [...this.#drawn.values()]) {
      if (this.#model.folds.hides(entry.k)) this.#unmount(entry);
      else this.#redraw(entry);
    }
    let lo = Math.min(Math.max(around, this.lo), this.hi);
    let hi = lo;
    while (lo - 1 >= this.lo && this.isThere(lo - 1)) lo -= 1;
    while (hi + 1 <= this.hi && this.isThere(hi + 1)) hi += 1;
    for (const entry of [...this.#drawn.values()]) {
      if (entry.k < lo || entry.k > hi) this.#unmount(entry);
    }
    this.lo = lo;
    this.hi = hi;
  }

  #append(entry) {
    const hidden = this.#model.folds.hidden(entry.k);
    const fragment = document.createDocumentFragment();
    const { all } = entry.rows;
    for (let i = entry.done; i < all.length; i += 1) {
      const row = all[i];
      if (isSilent(row) || (!row.note && isWithin(hidden, i))) continue;
      fragment.append(this.#nodes.make(row, this.#model.isAll));
      this.count += 1;
    }
    entry.done = all.length;
    entry.node.append(fragment);
  }

  #redraw(entry) {
    this.#forget(entry);
    entry.node.replaceChildren();
    entry.done = 0;
    this.#append(entry);
  }

  #unmount(entry) {
    this.#forget(entry);
    entry.node.remove();
    this.#drawn.delete(entry.k);
    this.#model.letGo(entry.k);
  }

  #forget(entry) {
    this.count -= entry.node.childElementCount;
    for (const row of entry.rows.all) row.node = null;
  }

  #nextOf(k) {
    for (let at = k + 1; at <= this.hi; at += 1) {
      if (this.#drawn.has(at)) return this.#drawn.get(at);
    }
    return undefined;
  }

  // ---- finding ---------------------------------------------------------

  /** The row at this height of the window, or the first one below. */
  rowAt(y) {
    for (let k = this.lo; k <= this.hi; k += 1) {
      const node = this.elementOf(k);
      if (node === undefined || node.getBoundingClientRect().bottom <= y + 1) continue;
      let [from, to] = [0, node.childElementCount - 1];
      while (from < to) {
        const middle = (from + to) >> 1;
        if (node.children[middle].getBoundingClientRect().bottom > y + 1) to = middle;
        else from = middle + 1;
      }
      if (node.children[from] !== undefined) return node.children[from].row;
    }
    return null;
  }

  /** The rows from this one on, as far as they begin above a height. */
  rowsTo(row, end, most) {
    const found = [];
    for (let at = row?.node; at && found.length < most; at = nextNode(at)) {
      if (at.getBoundingClientRect().top > end) break;
      found.push(at.row);
    }
    return found;
  }

  /** The element of a row, or of one before it if it is not shown. */
  nodeNear({ k, i }) {
    const all = this.#drawn.get(k)?.rows.all ?? [];
    for (let at = i; at >= 0; at -= 1) if (all[at]?.node) return all[at].node;
    return all.find((row) => row.node !== null)?.node ?? null;
  }
}

// Of the next row, which may be in the next chunk.
function nextNode(node) {
  if (node.nextElementSibling !== null) return node.nextElementSibling;
  let chunk = node.parentElement.nextElementSibling;
  while (chunk !== null && chunk.firstElementChild === null) chunk = chunk.nextElementSibling;
  return chunk?.firstElementChild ?? null;
}

function isWithin(ranges, i) {
  return ranges.some(({ from, to }) => i >= from && i < to);
}
