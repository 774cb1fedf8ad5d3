// SPDX-License-Identifier: Apache-2.0
// The rows on the screen. Of a log of any length some chunks in a row are
// elements, at most ROWS_MAX rows; what lies before and behind them is empty
// room of about the right height, filled when somebody scrolls there.
//
// V1  The rows that are elements are without a hole, but for what is folded.
// V2  All that comes within a frame is laid out once, at its end.
// V3  Only a reader who moves up ends the following: neither growth does, nor
//     elements that leave or come.
// V4  What is read stays where it is when elements come above it.

import { CHUNK } from './records.mjs';
import { isSilent } from './rows.mjs';

export const ROWS_MAX = 8000;
// Without haste this many are made, for the browser's own search.
const ROWS_IDLE = 4000;
const MARGIN_PX = 1500;
const AT_END_PX = 24;
// A reader who follows a flood sees its end: what lies further back is not made.
const BEHIND_CHUNKS = 2;
const FEW_ROWS = 100;
// Browsers lay out no element that is higher than some ten million pixels.
const ROOM_MAX_PX = 4e6;
const SETTLE_MS = 60;
const SEEN_MAX = 300;

export class View {
  #scroller;
  #above;
  #chunks;
  #below;
  #on;
  #model = null;
  #nodes = null;
  #drawn = new Map(); // k -> { k, node, rows, done }
  #lo = 0; // first and last chunk that are elements, or folded away
  #hi = -1;
  #count = 0; // rows that are elements
  #lineHeight = 20;
  #following = true;
  #unseenFrom = 0;
  #lastTop = 0;
  #lastHeight = 0;
  #scheduled = false;
  #filling = false;
  #idle = false;
  #settling = 0;
  #turn = 0; // a remount makes what was begun before it void
  #foldList = null;

  /**
   * @param scroller  element that scrolls, empty
   * @param on  { follow(on), drawn(rows), failed(error, again), loading(on) }
   */
  constructor(scroller, on) {
    this.#scroller = scroller;
    this.#on = on;
    [this.#above, this.#chunks, this.#below] = ['room', 'chunks', 'room'].map((name) => {
      const node = document.createElement('div');
      node.className = name;
      scroller.append(node);
      return node;
    });
    scroller.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    const sizes = new ResizeObserver(() => {
      if (this.#following) this.#toBottom();
      this.#fill();
    });
    sizes.observe(scroller);
  }

  /** Begin with a log, at its end. */
  show(model, nodes) {
    this.clear();
    this.#model = model;
    this.#nodes = nodes;
    this.#lineHeight = parseFloat(getComputedStyle(this.#scroller).lineHeight) || 20;
    this.#follow(true);
    this.#frame();
  }

  clear() {
    this.#turn += 1;
    clearTimeout(this.#settling);
    this.#empty();
    this.#model = null;
    this.#above.style.height = this.#below.style.height = '0';
  }

  get following() {
    return this.#following;
  }

  /** Lines that came since somebody stopped following. */
  get unseen() {
    return this.#following || this.#model === null ? 0 : this.#model.next - this.#unseenFrom;
  }

  get isAtEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    return this.#hi === this.#model?.last && scrollHeight - scrollTop - clientHeight < AT_END_PX;
  }

  /** The model has more. */
  grown() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      if (this.#model !== null) this.#frame();
    });
  }

  /** All rows that are elements, in order. */
  * rows() {
    for (let k = this.#lo; k <= this.#hi; k += 1) {
      for (const row of this.#drawn.get(k)?.rows.all ?? []) if (row.node !== null) yield row;
    }
  }

  /** The first row that can be seen. */
  topRow() {
    return this.#rowAt(this.#scroller.getBoundingClientRect().top);
  }

  /** The rows that can be seen, and some below. */
  seen() {
    const found = [];
    const end = this.#scroller.getBoundingClientRect().bottom;
    for (let at = this.topRow()?.node; at && found.length < SEEN_MAX; at = nextNode(at)) {
      if (at.getBoundingClientRect().top > end) break;
      found.push(at.row);
    }
    return found;
  }

  isSeen(place) {
    return this.seen().some((row) => row.k === place.k && row.i === place.i);
  }

  /** The layout is different: @param keep  row that stays where it is */
  settle(keep) {
    if (this.#following) this.#toBottom();
    else if (keep?.node) this.#showAtTop(keep.node);
    this.#fill();
  }

  // ---- where to be -----------------------------------------------------

  toEnd() {
    this.#follow(true);
    if (this.#hi !== this.#model.last) this.#remountAtEnd();
    this.#toBottom();
    this.#fill();
  }

  async toStart() {
    this.#follow(false);
    await this.#around(this.#model.first);
    this.#setTop(0);
    this.#fill();
  }

  /** Bring a row into sight, unfolded. */
  async reveal(row) {
    this.#follow(false);
    if (this.#model.folds.reveal(row)) this.refold();
    await this.#around(row.k);
    const node = this.#nodeNear(row);
    if (node === null) return null;
    const box = node.getBoundingClientRect();
    const view = this.#scroller.getBoundingClientRect();
    if (box.top < view.top + 60 || box.bottom > view.bottom - 60) {
      this.#setTop(this.#scroller.scrollTop + box.top - view.top - view.height / 3);
    }
    this.#fill();
    return node;
  }

  /** Folds are different: @param keep  row that stays where it is */
  refold(keep = this.topRow()) {
    this.#anchored(() => {
      const anchor = keep?.k ?? this.#hi;
      for (const entry of [...this.#drawn.values()]) {
        if (this.#model.folds.hides(entry.k)) this.#unmount(entry);
        else this.#redraw(entry);
      }
      this.#withoutHoles(Math.min(Math.max(anchor, this.#lo), this.#hi));
    }, keep);
    if (this.#following) this.#toBottom();
    this.#fill();
  }

  // ---- a frame ---------------------------------------------------------

  #frame() {
    const { last } = this.#model;
    if (this.#following && last - this.#hi > BEHIND_CHUNKS) this.#remountAtEnd();
    const before = this.#count;
    this.#anchored(() => {
      for (const entry of this.#drawn.values()) this.#update(entry);
      if (this.#following || this.#hi === -1) {
        while (this.#hi < last) this.#mountBehind();
        this.#trim('above');
      }
      this.#heads();
      this.#room();
    }, null);
    if (this.#following) this.#toBottom();
    else this.#on.follow(false);
    this.#on.drawn(this.#count - before);
    if (!this.#following || this.#count < ROWS_IDLE) this.#fill();
  }

  #mountBehind() {
    const k = this.#hi + 1;
    const rows = this.#model.at(k);
    if (rows === undefined && !this.#model.folds.hides(k)) {
      this.#remountAtEnd();
      return;
    }
    this.#mount(k, rows);
  }

  #remountAtEnd() {
    this.#turn += 1;
    this.#empty();
    const { last } = this.#model;
    // Of the last chunk there may be one row.
    const few = this.#model.at(last).all.length < FEW_ROWS;
    const k = few && last > this.#model.first && this.#model.at(last - 1) !== undefined
      ? last - 1 : last;
    this.#lo = k;
    this.#hi = k - 1;
    while (this.#hi < last) this.#mount(this.#hi + 1, this.#model.at(this.#hi + 1));
    this.#room();
  }

  // New rows of a chunk, and those that changed.
  #update(entry) {
    const { rows } = entry;
    for (const row of rows.changed) if (row.node !== null) this.#nodes.fill(row);
    rows.changed.clear();
    if (entry.done < rows.all.length) this.#append(entry);
  }

  #append(entry) {
    const hidden = this.#model.folds.hidden(entry.k);
    const fragment = document.createDocumentFragment();
    const { all } = entry.rows;
    for (let i = entry.done; i < all.length; i += 1) {
      const row = all[i];
      if (isSilent(row) || (!row.note && isWithin(hidden, i))) continue;
      fragment.append(this.#nodes.make(row, this.#model.isAll));
      this.#count += 1;
    }
    entry.done = all.length;
    entry.node.append(fragment);
  }

  #heads() {
    const { list } = this.#model.folds;
    if (list === this.#foldList) return;
    this.#foldList = list;
    this.heads();
  }

  /** What is said of steps is different. */
  heads() {
    for (const node of this.#chunks.querySelectorAll('.head')) this.#nodes.head(node.row);
  }

  // ---- chunks ----------------------------------------------------------

  #mount(k, rows) {
    if (k > this.#hi) this.#hi = k;
    if (k < this.#lo) this.#lo = k;
    if (rows === undefined || this.#model.folds.hides(k)) return;
    const node = document.createElement('div');
    node.className = 'chunk';
    const entry = { k, node, rows, done: 0 };
    const next = this.#nextOf(k);
    this.#drawn.set(k, entry);
    this.#model.hold(k, rows);
    this.#append(entry);
    if (next === undefined) this.#chunks.append(node);
    else next.node.before(node);
  }

  #nextOf(k) {
    for (let at = k + 1; at <= this.#hi; at += 1) {
      if (this.#drawn.has(at)) return this.#drawn.get(at);
    }
    return undefined;
  }

  #unmount(entry) {
    this.#count -= entry.node.childElementCount;
    for (const row of entry.rows.all) row.node = null;
    entry.node.remove();
    this.#drawn.delete(entry.k);
    this.#model.letGo(entry.k);
  }

  #redraw(entry) {
    this.#count -= entry.node.childElementCount;
    entry.node.replaceChildren();
    for (const row of entry.rows.all) row.node = null;
    entry.done = 0;
    this.#append(entry);
  }

  #empty() {
    for (const entry of [...this.#drawn.values()]) this.#unmount(entry);
    this.#lo = 0;
    this.#hi = -1;
  }

  // Keep what hangs together around a chunk (V1).
  #withoutHoles(around) {
    const there = (k) => this.#drawn.has(k) || this.#model.folds.hides(k);
    let lo = around;
    let hi = around;
    while (lo - 1 >= this.#lo && there(lo - 1)) lo -= 1;
    while (hi + 1 <= this.#hi && there(hi + 1)) hi += 1;
    for (const entry of [...this.#drawn.values()]) {
      if (entry.k < lo || entry.k > hi) this.#unmount(entry);
    }
    this.#lo = lo;
    this.#hi = hi;
    this.#room();
  }

  /** Leave out what is far away. @param side  above | below */
  #trim(side) {
    while (this.#count > ROWS_MAX && this.#lo < this.#hi) {
      const k = side === 'above' ? this.#lo : this.#hi;
      const entry = this.#drawn.get(k);
      if (entry !== undefined) this.#unmount(entry);
      if (side === 'above') this.#lo += 1;
      else this.#hi -= 1;
    }
  }

  // Room for what is not there.
  #room() {
    if (this.#model.isAll) return;
    const before = this.#lo * CHUNK;
    const behind = Math.max(0, this.#model.next - 1 - (this.#hi + 1) * CHUNK);
    const px = this.#pxPerLine();
    setHeight(this.#above, before * px);
    setHeight(this.#below, behind * px);
  }

  #pxPerLine() {
    return Math.min(this.#lineHeight, ROOM_MAX_PX / Math.max(1, this.#model.next));
  }

  // ---- filling in ------------------------------------------------------

  async #fill() {
    if (this.#filling || this.#model === null) return;
    this.#filling = true;
    const turn = this.#turn;
    try {
      for (let side = this.#wanted(); side !== null; side = this.#wanted()) {
        if (!await this.#extend(side, turn)) break;
      }
    } catch (error) {
      if (turn === this.#turn) this.#on.failed(error, () => this.#fill());
      return;
    } finally {
      this.#filling = false;
    }
    if (turn !== this.#turn) this.#fill();
    else this.#fillIdly();
  }

  #wanted() {
    if (this.#model === null) return null;
    const { scrollTop, clientHeight } = this.#scroller;
    const top = this.#chunks.offsetTop;
    const above = scrollTop - top;
    const below = top + this.#chunks.offsetHeight - scrollTop - clientHeight;
    if (above < MARGIN_PX && this.#lo > this.#model.first) return 'above';
    if (below < MARGIN_PX && this.#hi < this.#model.last) return 'below';
    return null;
  }

  // @return was it done, and is it still wanted?
  async #extend(side, turn) {
    const k = side === 'above' ? this.#lo - 1 : this.#hi + 1;
    let rows;
    if (!this.#model.folds.hides(k)) {
      rows = this.#model.at(k);
      if (rows === undefined) {
        this.#on.loading(true);
        try {
          rows = await this.#model.rows(k);
        } finally {
          this.#on.loading(false);
        }
        if (turn !== this.#turn) return false;
        // Others may have come in the meantime.
        if (k !== this.#lo - 1 && k !== this.#hi + 1) return true;
      }
    }
    this.#anchored(() => {
      this.#mount(k, rows);
      this.#trim(side === 'above' ? 'below' : 'above');
      this.#heads();
      this.#room();
    });
    if (this.#following) this.#toBottom();
    this.#on.drawn(0);
    return true;
  }

  // Some more while nothing happens: what is an element is found by the
  // browser's own search.
  #fillIdly() {
    if (this.#idle || this.#count >= ROWS_IDLE) return;
    const { first, last } = this.#model;
    if (this.#lo <= first && this.#hi >= last) return;
    this.#idle = true;
    const idly = globalThis.requestIdleCallback ?? ((run) => setTimeout(run, 50));
    idly(async () => {
      this.#idle = false;
      if (this.#filling || this.#model === null || this.#count >= ROWS_IDLE) return;
      this.#filling = true;
      const turn = this.#turn;
      let more = false;
      try {
        const side = this.#lo > this.#model.first ? 'above' : 'below';
        if (side === 'above' || this.#hi < this.#model.last) more = await this.#extend(side, turn);
      } catch {
        // Nobody waits for these: whoever scrolls there is told.
      } finally {
        this.#filling = false;
      }
      if (more) this.#fillIdly();
      else if (turn !== this.#turn) this.#fill();
    });
  }

  /** Make chunk k an element, with its neighbours. */
  async #around(k) {
    if (this.#drawn.has(k)) return;
    const turn = this.#turn += 1;
    this.#on.loading(true);
    let found;
    try {
      const { first, last } = this.#model;
      const wanted = [k - 1, k, k + 1].filter((one) => one >= first && one <= last);
      found = await Promise.all(wanted.map(async (one) => [one, await this.#model.rows(one)]));
    } finally {
      this.#on.loading(false);
    }
    if (turn !== this.#turn) return;
    this.#empty();
    this.#lo = found[0][0];
    this.#hi = this.#lo - 1;
    for (const [one, rows] of found) this.#mount(one, rows);
    this.#room();
    this.#heads();
    this.#on.drawn(0);
  }

  // ---- scrolling -------------------------------------------------------

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    if (this.#model === null || scrollTop === this.#lastTop) return;
    const up = scrollTop < this.#lastTop && scrollHeight >= this.#lastHeight;
    const down = scrollTop > this.#lastTop;
    const atEnd = scrollHeight - scrollTop - clientHeight < AT_END_PX;
    this.#lastTop = scrollTop;
    this.#lastHeight = scrollHeight;
    if (up) this.#follow(false);
    else if (down && atEnd && this.#hi === this.#model.last) this.#follow(true);

    clearTimeout(this.#settling);
    if (this.#isLost()) this.#settling = setTimeout(() => this.#settle(), SETTLE_MS);
    else this.#fill();
  }

  // Nothing to be seen but room?
  #isLost() {
    const { scrollTop, clientHeight } = this.#scroller;
    const top = this.#chunks.offsetTop;
    return scrollTop + clientHeight < top || scrollTop > top + this.#chunks.offsetHeight;
  }

  async #settle() {
    if (this.#model === null || !this.#isLost()) return;
    const { scrollTop } = this.#scroller;
    const top = this.#chunks.offsetTop;
    const px = this.#pxPerLine();
    const line = scrollTop < top ? scrollTop / px
      : (this.#hi + 1) * CHUNK + (scrollTop - top - this.#chunks.offsetHeight) / px;
    const most = this.#model.last;
    const k = Math.max(this.#model.first, Math.min(Math.floor(line / CHUNK), most));
    try {
      await this.#around(k);
    } catch (error) {
      this.#on.failed(error, () => this.#settle());
      return;
    }
    if (this.#model === null) return;
    const node = this.#drawn.get(k)?.node;
    if (node !== undefined) {
      const within = Math.min((line - k * CHUNK) * this.#lineHeight, node.offsetHeight);
      this.#setTop(node.offsetTop + Math.max(0, within));
    }
    this.#fill();
  }

  #follow(on) {
    if (this.#following === on) return;
    this.#following = on;
    this.#unseenFrom = this.#model?.next ?? 0;
    this.#on.follow(on);
  }

  #toBottom() {
    this.#lastHeight = this.#scroller.scrollHeight;
    this.#setTop(this.#lastHeight);
  }

  #setTop(top) {
    this.#scroller.scrollTop = top;
    this.#lastTop = this.#scroller.scrollTop;
    this.#lastHeight = this.#scroller.scrollHeight;
  }

  #showAtTop(node) {
    const { top } = this.#scroller.getBoundingClientRect();
    this.#setTop(this.#scroller.scrollTop + node.getBoundingClientRect().top - top);
  }

  // V4. What follows its end needs no anchor.
  #anchored(change, keep) {
    if (this.#following && keep === undefined) {
      change();
      return;
    }
    const row = keep === undefined ? this.topRow() : keep;
    const before = row?.node?.getBoundingClientRect().top;
    change();
    if (before === undefined || !row.node) return;
    const moved = row.node.getBoundingClientRect().top - before;
    if (moved !== 0) this.#setTop(this.#scroller.scrollTop + moved);
  }

  #rowAt(y) {
    for (let k = this.#lo; k <= this.#hi; k += 1) {
      const node = this.#drawn.get(k)?.node;
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

  // The element of a row, or of the one before it if it is not shown.
  #nodeNear(row) {
    const { rows } = this.#drawn.get(row.k) ?? {};
    if (rows === undefined) return null;
    for (let i = row.i; i >= 0; i -= 1) if (rows.all[i]?.node) return rows.all[i].node;
    return rows.all.find((one) => one.node !== null)?.node ?? null;
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

function setHeight(node, px) {
  const height = `${Math.round(px)}px`;
  if (node.style.height !== height) node.style.height = height;
}
