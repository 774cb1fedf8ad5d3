// SPDX-License-Identifier: Apache-2.0
// The log's own search: over all of its lines, those that are not loaded too.
// A hit is a row.

import { strip } from './escapes.mjs';
import { isSilent, shown } from './rows.mjs';

// How long it may keep the page from drawing.
const SLICE_MS = 12;
// Chunks that are looked at together: each time is a question to a worker.
const BATCH = 8;

const searched = (row) => strip(shown(row));

export class Search {
  #model;
  #changed;
  #matcher = null;
  #hits = new Map(); // k -> indexes of rows
  #order = []; // chunks to look at, the next one last
  #fresh = new Set(); // chunks that have grown since they were looked at
  #looked = new Set();
  #live = 0; // chunks from here on may grow
  #isLooking = false;
  #painted = []; // what paint() was given last while it was at work
  #isPainting = false;

  at = null; // the hit where the reader is: { k, i }
  failure = null;

  /** @param changed  called when the count is different, or all was searched */
  constructor(model, changed) {
    this.#model = model;
    this.#changed = changed;
  }

  get isOn() {
    return this.#matcher !== null;
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
    const { first, last } = this.#model;
    return Math.min(1, this.#looked.size / Math.max(1, last + 1 - first));
  }

  clear() {
    this.#matcher?.close();
    this.#matcher = null;
    this.#hits.clear();
    this.#order = [];
    this.#fresh.clear();
    this.#looked.clear();
    this.at = null;
    this.failure = null;
  }

  /** Search anew. @param matcher  of matcherOf()  @param from  chunk to begin with */
  start(matcher, from) {
    this.clear();
    this.#matcher = matcher;
    const { first, last } = this.#model;
    this.#live = last;
    // From where the reader is to the end, then back to the start.
    for (let k = first; k < Math.min(from, last + 1); k += 1) this.#order.push(k);
    for (let k = last; k >= Math.max(from, first); k -= 1) this.#order.push(k);
    this.#look(matcher);
  }

  /** The log has grown. */
  grown() {
    if (this.#matcher === null || this.failure !== null) return;
    const { first, last } = this.#model;
    for (const k of this.#hits.keys()) if (k < first) this.#hits.delete(k);
    for (const k of this.#looked) if (k < first) this.#looked.delete(k);
    for (let k = Math.max(this.#live, first); k <= last; k += 1) this.#fresh.add(k);
    this.#live = last;
    if (!this.#isLooking) this.#look(this.#matcher);
  }

  async #look(matcher) {
    this.#isLooking = true;
    let since = performance.now();
    try {
      for (let batch = await this.#batch(); batch.length > 0; batch = await this.#batch()) {
        const found = await matcher.find(batch.flatMap(({ rows }) => rows.map(searched)));
        if (matcher !== this.#matcher) return;
        for (const { k, rows } of batch) {
          const ranges = found.splice(0, rows.length);
          this.#put(k, rows.filter((_, i) => ranges[i].length > 0));
        }
        this.#changed();
        if (performance.now() - since < SLICE_MS) continue;
        await new Promise((resolve) => { setTimeout(resolve); });
        if (matcher !== this.#matcher) return;
        since = performance.now();
      }
    } catch (error) {
      if (matcher === this.#matcher) this.failure = error;
    } finally {
      if (matcher === this.#matcher) this.#isLooking = false;
    }
    if (matcher === this.#matcher) this.#changed();
  }

  async #batch() {
    const batch = [];
    const matcher = this.#matcher;
    for (let k = this.#next(); k !== undefined; k = this.#next()) {
      const { all } = this.#model.at(k) ?? await this.#model.rows(k);
      if (matcher !== this.#matcher) return [];
      batch.push({ k, rows: all.filter((row) => !isSilent(row)) });
      if (batch.length === BATCH) break;
    }
    return batch;
  }

  #next() {
    for (const k of this.#fresh) {
      this.#fresh.delete(k);
      return k;
    }
    return this.#order.pop();
  }

  #put(k, rows) {
    this.#looked.add(k);
    if (rows.length > 0) this.#hits.set(k, rows.map(({ i }) => i));
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
  async paint(rows) {
    if (globalThis.Highlight === undefined) return;
    this.#painted = rows;
    if (this.#isPainting) return;
    this.#isPainting = true;
    try {
      for (let now = null; now !== this.#painted;) {
        now = this.#painted;
        show(this.#matcher === null ? [] : await this.#matched(now, this.#matcher), this.at);
      }
    } catch {
      // The search tells why it was stopped.
      show([], null);
    } finally {
      this.#isPainting = false;
    }
  }

  // [{ row, ranges }] of rows that say what they said when they were asked about.
  async #matched(rows, matcher) {
    const texts = rows.map((row) => textOf(row).textContent);
    const found = await matcher.find(texts);
    return rows.map((row, i) => ({ row, places: found[i], text: texts[i] }))
      .filter(({ row, places, text }) => places.length > 0 && row.node !== null
        && textOf(row).textContent === text)
      .map(({ row, places }) => ({ row, ranges: rangesIn(textOf(row), places) }));
  }
}

const textOf = (row) => row.node.querySelector(':scope > .text');

function show(matches, at) {
  const all = new Highlight();
  const now = new Highlight();
  for (const { row, ranges } of matches) {
    const into = row.k === at?.k && row.i === at?.i ? now : all;
    for (const range of ranges) into.add(range);
  }
  CSS.highlights.set('log-hit', all);
  CSS.highlights.set('log-hit-now', now);
}

function rangesIn(element, places) {
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
