// SPDX-License-Identifier: Apache-2.0
// The log's own search: over all of its lines, those that are not loaded too.
// A hit is a row.

import { strip } from './escapes.mjs';
import { isSilent, shown } from './rows.mjs';

// Matches that are shown in one row.
const RANGES_OF_ROW = 50;

/** @return text -> is it in?, or throws what is wrong with the expression */
export function matcher({ text, regex, matchCase }) {
  if (regex) {
    const expression = new RegExp(text, matchCase ? 'g' : 'gi');
    return (line) => {
      expression.lastIndex = 0;
      const found = [];
      for (let hit = expression.exec(line); hit !== null; hit = expression.exec(line)) {
        if (hit[0] === '') expression.lastIndex += 1;
        else found.push([hit.index, hit.index + hit[0].length]);
        if (found.length === RANGES_OF_ROW) break;
      }
      return found;
    };
  }
  const wanted = matchCase ? text : text.toLowerCase();
  return (line) => {
    const there = matchCase ? line : line.toLowerCase();
    const found = [];
    for (let at = there.indexOf(wanted); at >= 0; at = there.indexOf(wanted, at + wanted.length)) {
      found.push([at, at + wanted.length]);
      if (found.length === RANGES_OF_ROW) break;
    }
    return found;
  };
}

const searched = (row) => strip(shown(row));

export class Search {
  #model;
  #changed;
  #match = null;
  #hits = new Map(); // k -> indexes of rows
  #turn = 0;
  #live = 0; // chunks from here on are looked at as they grow
  #looked = 0;

  at = null; // the hit where the reader is: { k, i }
  failure = null;

  /** @param changed  called when the count is different, or all was searched */
  constructor(model, changed) {
    this.#model = model;
    this.#changed = changed;
  }

  get isOn() {
    return this.#match !== null;
  }

  get count() {
    let sum = 0;
    for (const hits of this.#hits.values()) sum += hits.length;
    return sum;
  }

  /** Which of all hits the reader is at, from 1; 0: none. */
  get rank() {
    if (this.at === null) return 0;
    let sum = 0;
    for (const [k, hits] of this.#hits) if (k < this.at.k) sum += hits.length;
    const here = this.#hits.get(this.at.k) ?? [];
    return sum + here.indexOf(this.at.i) + 1;
  }

  /** 1: all was searched. */
  get progress() {
    return Math.min(1, this.#looked / Math.max(1, this.#live - this.#model.first));
  }

  clear() {
    this.#turn += 1;
    this.#match = null;
    this.#hits.clear();
    this.at = null;
    this.failure = null;
  }

  /** Search anew. @param match  of matcher()  @param from  chunk to begin with */
  async start(match, from) {
    this.clear();
    this.#match = match;
    const turn = this.#turn;
    const { first, last } = this.#model;
    this.#live = last + 1;
    this.#looked = 0;
    // From where the reader is to the end, then back to the start.
    const order = [];
    for (let k = Math.max(from, first); k <= last; k += 1) order.push(k);
    for (let k = Math.min(from, last + 1) - 1; k >= first; k -= 1) order.push(k);
    await this.#look(order, turn);
  }

  /** The log has grown. */
  grown() {
    if (this.#match === null) return;
    const missed = [];
    const { first, last } = this.#model;
    for (const k of this.#hits.keys()) if (k < first) this.#hits.delete(k);
    for (let k = Math.max(this.#live - 1, first); k <= last; k += 1) {
      const rows = this.#model.at(k);
      if (rows === undefined) missed.push(k);
      else this.#test(k, rows.all);
    }
    this.#looked += last + 1 - this.#live - missed.length;
    this.#live = last + 1;
    if (missed.length > 0) this.#look(missed, this.#turn);
  }

  async #look(order, turn) {
    try {
      await this.#model.each(order, (k, rows) => {
        this.#test(k, rows);
        this.#looked += 1;
        this.#changed();
        return false;
      }, () => turn === this.#turn);
    } catch (error) {
      if (turn === this.#turn) this.failure = error;
    }
    if (turn === this.#turn) this.#changed();
  }

  #test(k, rows) {
    const hits = [];
    for (const row of rows) {
      if (!isSilent(row) && this.#match(searched(row)).length > 0) hits.push(row.i);
    }
    if (hits.length > 0) this.#hits.set(k, hits);
    else this.#hits.delete(k);
  }

  /** The next hit behind (step 1) or before (-1) a place, round the ends. */
  next(place, step) {
    const keys = [...this.#hits.keys()].sort((a, b) => step * (a - b));
    const isPast = (k, i) => step * (k - place.k || i - place.i) > 0;
    let around = null;
    for (const k of keys) {
      const hits = step > 0 ? this.#hits.get(k) : this.#hits.get(k).toReversed();
      for (const i of hits) {
        around ??= { k, i };
        if (isPast(k, i)) return { k, i };
      }
    }
    return around;
  }

  /** Show the matches in the rows' elements: ranges, for the browser to paint. */
  paint(rows) {
    if (globalThis.Highlight === undefined) return;
    const all = new Highlight();
    const now = new Highlight();
    if (this.#match !== null) {
      for (const row of rows) {
        const into = row.k === this.at?.k && row.i === this.at?.i ? now : all;
        const text = row.node.querySelector(':scope > .text');
        for (const range of rangesIn(text, this.#match(text.textContent))) into.add(range);
      }
    }
    CSS.highlights.set('log-hit', all);
    CSS.highlights.set('log-hit-now', now);
  }
}

function rangesIn(element, places) {
  if (places.length === 0) return [];
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const nodes = [];
  let length = 0;
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    nodes.push({ node, from: length });
    length += node.length;
  }
  const point = (at) => {
    const { node, from } = nodes.findLast((one) => one.from <= at);
    return [node, Math.min(at - from, node.length)];
  };
  return places.map(([from, to]) => {
    const range = new Range();
    range.setStart(...point(from));
    range.setEnd(...point(to));
    return range;
  });
}
