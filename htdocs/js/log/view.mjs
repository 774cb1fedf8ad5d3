// SPDX-License-Identifier: Apache-2.0
// The part of a log that is on the screen. Of a log of any length some chunks
// are elements, at most ROWS_MAX rows; what lies before and behind them is
// empty room of about the right height, filled when somebody scrolls there.
//
// V1  The rows that are elements are without a hole, but for what is folded.
// V2  All that comes within a frame is laid out once, at its end.
// V3  Only a reader who moves up, or selects, ends the following: neither
//     growth does, nor elements that leave or come. Who goes down to the end
//     follows again. While a pointer is down nothing moves by itself: it may
//     have begun to select, or hold the scrollbar.
// V4  What is read stays where it is when elements come above it.

import { Chunks } from './chunks.mjs';
import { CHUNK } from './records.mjs';

export const ROWS_MAX = 8000;
// Without haste this many are made, for the browser's own search.
const ROWS_IDLE = 4000;
const MARGIN_PX = 1500;
const AT_END_PX = 24;
// A reader who follows a flood sees its end: what lies further back is not made.
const BEHIND_CHUNKS = 2;
const FEW_ROWS = 60;
// More than this in a frame is read by nobody: it is drawn this often.
const FLOOD_LINES = 150;
const FLOOD_MS = 60;
// Browsers lay out no element that is higher than some ten million pixels.
const ROOM_MAX_PX = 4e6;
const SETTLE_MS = 60;
const SEEN_MAX = 300;
// From the edge, for a row that was gone to.
const SIGHT_PX = 60;
const HEAD_PX = 2; // its margin

export class View {
  #scroller;
  #above;
  #element;
  #below;
  #chunks;
  #on;
  #model = null;
  #nodes = null;
  #lineHeight = 20;
  #following = true;
  #held = false; // by a pointer or a finger
  #closed = new AbortController();
  #unseenFrom = 0;
  #lastTop = 0;
  #lastHeight = 0;
  #scheduled = false;
  #drawnAt = 0; // when, and what the next line was then
  #drawnTo = 0;
  #isFlood = false;
  #filling = false;
  #idle = false;
  #settling = 0;
  #turn = 0; // who begins elsewhere makes void what was begun before
  #folds = null; // as they were when last shown

  /**
   * @param scroller  element that scrolls
   * @param on  { follow(on), drawn(), failed(error, again), loading(on) }
   */
  constructor(scroller, on) {
    this.#scroller = scroller;
    this.#on = on;
    [this.#above, this.#element, this.#below] = ['room', 'chunks', 'room'].map((name) => {
      const node = document.createElement('div');
      node.className = name;
      scroller.append(node);
      return node;
    });
    this.#chunks = new Chunks(this.#element);
    scroller.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    // At the end nothing scrolls any more.
    scroller.addEventListener('wheel', ({ deltaY }) => {
      if (deltaY > 0 && this.isAtEnd) this.#comeBack();
    }, { passive: true });
    new ResizeObserver(() => {
      if (this.#sticks) this.#toBottom();
      this.#fill();
    }).observe(scroller);
    this.#watchPointer();
  }

  close() {
    this.#closed.abort();
    this.clear();
  }

  // A finger that scrolls is no pointer any more, but still there.
  #watchPointer() {
    const { signal } = this.#closed;
    const hold = () => { this.#held = true; };
    const release = () => {
      if (!this.#held) return;
      this.#held = false;
      if (this.isAtEnd) this.#comeBack();
      if (this.#following) this.grown();
    };
    this.#scroller.addEventListener('pointerdown', hold);
    this.#scroller.addEventListener('touchstart', hold, { passive: true });
    const lifted = ({ pointerType, touches }) => {
      if (pointerType !== 'touch' && (touches?.length ?? 0) === 0) release();
    };
    for (const type of ['pointerup', 'pointercancel', 'touchend', 'touchcancel', 'blur']) {
      addEventListener(type, lifted, { signal });
    }
    // Not each browser says when a scrollbar is let go.
    addEventListener('pointermove', ({ buttons }) => { if (buttons === 0) release(); }, { signal });
  }

  // Does the end stay in sight?
  get #sticks() {
    return this.#following && !this.#held;
  }

  /** Begin with a log, at its end. */
  show(model, nodes) {
    this.clear();
    this.#model = model;
    this.#nodes = nodes;
    this.#chunks.begin(model, nodes);
    this.#lineHeight = parseFloat(getComputedStyle(this.#scroller).lineHeight) || 20;
    this.#follow(true);
    this.#drawnTo = model.next;
    this.#frame();
  }

  clear() {
    this.#turn += 1;
    clearTimeout(this.#settling);
    this.#chunks.empty();
    this.#model = null;
    setHeight(this.#above, 0);
    setHeight(this.#below, 0);
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
    return this.#chunks.hi === this.#model?.last
      && scrollHeight - scrollTop - clientHeight < AT_END_PX;
  }

  /** The model has more (V2). */
  grown() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const draw = () => requestAnimationFrame(() => {
      this.#scheduled = false;
      if (this.#model !== null) this.#frame();
    });
    if (this.#isFlood) setTimeout(draw, this.#drawnAt + FLOOD_MS - performance.now());
    else draw();
  }

  /** What is selected in the page is different: what one selects stays where it is. */
  selected() {
    if (this.#model === null) return;
    if (this.#isSelecting()) this.#follow(false);
    else if (this.isAtEnd) this.#follow(true);
  }

  /** All rows that are elements, in order. */
  rows() {
    return this.#chunks.rows();
  }

  /** The element that has the rows, and nothing else. */
  get element() {
    return this.#element;
  }

  /** Is every line an element? */
  get isWhole() {
    const { folds } = this.#model;
    return this.#isWhole() && !folds.list.some((fold) => folds.isFolded(fold));
  }

  /** The first row that can be seen. */
  topRow() {
    return this.#chunks.rowAt(this.#scroller.getBoundingClientRect().top);
  }

  /** The rows that can be seen. */
  seen() {
    const { bottom } = this.#scroller.getBoundingClientRect();
    return this.#chunks.rowsTo(this.topRow(), bottom, SEEN_MAX);
  }

  isSeen({ k, i }) {
    return this.seen().some((row) => row.k === k && row.i === i);
  }

  // ---- where to be -----------------------------------------------------

  toEnd() {
    if (this.#model === null) return;
    this.#follow(true);
    if (this.#chunks.hi !== this.#model.last) this.#beginAtEnd();
    this.#toBottom();
    this.#fill();
  }

  async toStart() {
    if (this.#model === null) return;
    this.#follow(false);
    await this.#beginAround(this.#model.first);
    this.#setTop(0);
    this.#fill();
  }

  /** Bring a row into sight, unfolded. @param isHead  with what follows it: to the top */
  async reveal(row, isHead = false) {
    if (this.#model === null) return;
    this.#follow(false);
    if (this.#model.folds.reveal(row)) this.refold();
    await this.#beginAround(row.k);
    const node = this.#chunks.nodeNear(row);
    if (node === null) return;
    const box = node.getBoundingClientRect();
    const view = this.#scroller.getBoundingClientRect();
    if (isHead) {
      this.#setTop(this.#scroller.scrollTop + box.top - view.top - HEAD_PX);
    } else if (box.top < view.top + SIGHT_PX || box.bottom > view.bottom - SIGHT_PX) {
      this.#setTop(this.#scroller.scrollTop + box.top - view.top - view.height / 3);
    }
    this.#fill();
  }

  /** Folds are different. @param keep  row that stays where it is */
  refold(keep = this.topRow()) {
    if (this.#model === null) return;
    this.#anchored(keep, () => {
      this.#chunks.refold(keep?.k ?? this.#chunks.hi);
      this.#room();
    });
    if (this.#following) this.#toBottom();
    this.#fill();
  }

  /** The layout is different. @param keep  row that is at the top again */
  settle(keep) {
    if (this.#following) this.#toBottom();
    else if (keep?.node) {
      const { top } = this.#scroller.getBoundingClientRect();
      this.#setTop(this.#scroller.scrollTop + keep.node.getBoundingClientRect().top - top);
    }
    this.#fill();
  }

  /** What is said of steps is different. */
  heads() {
    for (const node of this.#element.querySelectorAll('.head')) this.#nodes.head(node.row);
  }

  // ---- a frame ---------------------------------------------------------

  #frame() {
    const { last } = this.#model;
    const chunks = this.#chunks;
    this.#isFlood = this.#model.next - this.#drawnTo > FLOOD_LINES;
    this.#drawnAt = performance.now();
    this.#drawnTo = this.#model.next;
    this.#noticeUp();
    if (this.#sticks && last - chunks.hi > BEHIND_CHUNKS) this.#beginAtEnd();
    chunks.update();
    if (this.#sticks) {
      while (chunks.hi < last) this.#mountNext();
      chunks.trim('above', ROWS_MAX);
    }
    this.#newHeads();
    const grew = this.#room();
    if (this.#sticks) {
      this.#toBottom();
    } else if (!this.#following) {
      if (grew !== 0) this.#setTop(this.#scroller.scrollTop + grew); // V4
      this.#on.follow(false);
    }
    this.#on.drawn();
    // After the last frame of a flood there is one more, which is none.
    if (this.#isFlood) this.grown();
    else if (!this.#sticks || chunks.count < ROWS_IDLE) this.#fill();
  }

  #mountNext() {
    const k = this.#chunks.hi + 1;
    const rows = this.#model.at(k);
    if (rows !== undefined || this.#model.folds.hides(k)) this.#chunks.mount(k, rows);
    else this.#beginAtEnd();
  }

  #beginAtEnd() {
    this.#turn += 1;
    const { first, last } = this.#model;
    // Of the last chunk there may be one row.
    const isFew = this.#model.at(last).all.length < FEW_ROWS;
    const both = isFew && last > first && this.#model.at(last - 1) !== undefined;
    this.#chunks.empty(both ? last - 1 : last);
    for (let k = this.#chunks.lo; k <= last; k += 1) this.#chunks.mount(k, this.#model.at(k));
    this.#room();
  }

  #newHeads() {
    const { list } = this.#model.folds;
    if (list === this.#folds) return;
    this.#folds = list;
    this.heads();
  }

  // Room for what is not there and would be seen. @return by how much that
  // above has grown
  #room() {
    if (this.#model.isAll) return 0;
    const { next, folds } = this.#model;
    const px = this.#pxPerLine();
    const shown = (from, to) => to - from - folds.hiddenBefore(to) + folds.hiddenBefore(from);
    const behind = (this.#chunks.hi + 1) * CHUNK + 1;
    setHeight(this.#below, behind < next ? shown(behind, next) * px : 0);
    return setHeight(this.#above, shown(1, this.#chunks.lo * CHUNK + 1) * px);
  }

  #pxPerLine() {
    const { next, folds } = this.#model;
    return Math.min(this.#lineHeight, ROOM_MAX_PX / Math.max(1, next - folds.hiddenBefore(next)));
  }

  // ---- filling in ------------------------------------------------------

  async #fill() {
    if (this.#filling || this.#model === null || (this.#following && this.#isFlood)) return;
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
    const above = scrollTop - this.#element.offsetTop;
    const below = this.#element.offsetHeight - above - clientHeight;
    if (above < MARGIN_PX && this.#chunks.lo > this.#model.first) return 'above';
    if (below < MARGIN_PX && this.#chunks.hi < this.#model.last) return 'below';
    return null;
  }

  // @return is what was begun still wanted?
  async #extend(side, turn) {
    const chunks = this.#chunks;
    const k = side === 'above' ? chunks.lo - 1 : chunks.hi + 1;
    let rows;
    if (!this.#model.folds.hides(k)) {
      rows = this.#model.at(k) ?? await this.#loaded([k]).then(([one]) => one);
      if (turn !== this.#turn) return false;
      // Others may have come in the meantime.
      if (k !== chunks.lo - 1 && k !== chunks.hi + 1) return true;
    }
    const change = () => {
      chunks.mount(k, rows);
      chunks.trim(side === 'above' ? 'below' : 'above', ROWS_MAX);
      this.#newHeads();
      this.#room();
    };
    this.#noticeUp();
    if (this.#sticks) {
      change();
      this.#toBottom();
    } else {
      this.#anchored(this.topRow(), change);
    }
    this.#on.drawn();
    return true;
  }

  async #loaded(list) {
    this.#on.loading(true);
    try {
      return await Promise.all(list.map((k) => this.#model.rows(k)));
    } finally {
      this.#on.loading(false);
    }
  }

  // Some more while nothing happens: what is an element is found by the
  // browser's own search.
  #fillIdly() {
    if (this.#idle || this.#chunks.count >= ROWS_IDLE || this.#isWhole()) return;
    this.#idle = true;
    const idly = globalThis.requestIdleCallback ?? ((run) => setTimeout(run, 50));
    idly(async () => {
      this.#idle = false;
      if (this.#filling || this.#model === null || this.#isWhole()) return;
      this.#filling = true;
      const turn = this.#turn;
      let more = false;
      try {
        more = await this.#extend(this.#chunks.lo > this.#model.first ? 'above' : 'below', turn);
      } catch {
        // Nobody waits for these: whoever scrolls there is told.
      } finally {
        this.#filling = false;
      }
      if (more) this.#fillIdly();
      else if (turn !== this.#turn) this.#fill();
    });
  }

  #isWhole() {
    return this.#chunks.lo <= this.#model.first && this.#chunks.hi >= this.#model.last;
  }

  /** Make chunk k an element, with its neighbours. @return is it still wanted? */
  async #beginAround(k) {
    if (this.#chunks.has(k)) return true;
    this.#turn += 1;
    const turn = this.#turn;
    const { first, last } = this.#model;
    const wanted = [k - 1, k, k + 1].filter((one) => one >= first && one <= last);
    const found = await this.#loaded(wanted);
    if (turn !== this.#turn) return false;
    this.#chunks.empty(wanted[0]);
    wanted.forEach((one, i) => this.#chunks.mount(one, found[i]));
    this.#newHeads();
    this.#room();
    this.#on.drawn();
    return true;
  }

  // ---- scrolling -------------------------------------------------------

  #scrolled() {
    const { scrollTop } = this.#scroller;
    if (this.#model === null) return;
    this.#noticeUp();
    if (scrollTop > this.#lastTop && this.#isAtBottom()) this.#comeBack();
    this.#lastTop = this.#scroller.scrollTop;
    this.#lastHeight = this.#scroller.scrollHeight;

    clearTimeout(this.#settling);
    if (this.#isLost()) this.#settling = setTimeout(() => this.#settleHere(), SETTLE_MS);
    else this.#fill();
  }

  // V3. Before its event comes, too. A window that became larger also moves
  // what it shows down to the end; that is nobody's wish.
  #noticeUp() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const isUp = scrollTop < this.#lastTop && scrollHeight >= this.#lastHeight;
    if (!isUp || scrollHeight - scrollTop - clientHeight < 1) return;
    this.#lastTop = scrollTop;
    this.#follow(false);
  }

  // The end, or the end of the room that is left for it.
  #isAtBottom() {
    if (this.#model.isAll) return this.isAtEnd;
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    return scrollHeight - scrollTop - clientHeight < AT_END_PX;
  }

  #comeBack() {
    if (this.#isSelecting()) return;
    if (this.#held || this.#chunks.hi === this.#model.last) this.#follow(true);
    else this.toEnd();
  }

  #isSelecting() {
    const selection = getSelection();
    return !selection.isCollapsed && selection.containsNode(this.#scroller, true);
  }

  // Nothing to be seen but room?
  #isLost() {
    const { scrollTop, clientHeight } = this.#scroller;
    const { offsetTop, offsetHeight } = this.#element;
    return scrollTop + clientHeight < offsetTop || scrollTop > offsetTop + offsetHeight;
  }

  // Somebody went into the room: make the lines that belong there.
  async #settleHere() {
    if (this.#model === null || !this.#isLost()) return;
    const place = this.#placeAt(this.#scroller.scrollTop);
    try {
      // When the lines are there they may turn out to be folded away: then it
      // is shown under what.
      while (await this.#beginAround(place.k) && this.#chunks.elementOf(place.k) === undefined) {
        const head = this.#model.folds.headOf(place.k);
        if (head === place.k) break;
        place.k = head;
        place.share = 1;
      }
    } catch (error) {
      this.#on.failed(error, () => this.#settleHere());
      return;
    }
    const node = this.#chunks.elementOf(place.k);
    if (node !== undefined) {
      const within = Math.min(place.share * CHUNK * this.#lineHeight, node.offsetHeight - this.#lineHeight);
      this.#setTop(node.offsetTop + Math.max(0, within));
    }
    this.#fill();
  }

  // Which chunk would be at this height of the room, and which part of it.
  #placeAt(top) {
    const { first, last, folds } = this.#model;
    const { offsetTop, offsetHeight } = this.#element;
    const px = this.#pxPerLine();
    const behind = (this.#chunks.hi + 1) * CHUNK;
    const count = top < offsetTop ? top / px
      : behind - folds.hiddenBefore(behind + 1) + (top - offsetTop - offsetHeight) / px;
    const at = (folds.shown(Math.floor(count)) - 1) / CHUNK;
    const k = Math.max(first, Math.min(Math.floor(at), last));
    return { k, share: Math.max(0, Math.min(at - k, 1)) };
  }

  #follow(on) {
    if (this.#following === on) return;
    this.#following = on;
    this.#unseenFrom = this.#model?.next ?? 0;
    this.#on.follow(on);
  }

  #toBottom() {
    this.#setTop(this.#scroller.scrollHeight);
  }

  #setTop(top) {
    this.#scroller.scrollTop = top;
    this.#lastTop = this.#scroller.scrollTop;
    this.#lastHeight = this.#scroller.scrollHeight;
  }

  // V4. Nor does the browser do it in all its kinds: overflow-anchor is off.
  #anchored(row, change) {
    const before = row?.node?.getBoundingClientRect().top;
    change();
    if (before === undefined || !row.node) return;
    const moved = row.node.getBoundingClientRect().top - before;
    if (moved !== 0) this.#setTop(this.#scroller.scrollTop + moved);
  }
}

// As they were set: the style itself gives six digits of a large number.
const heights = new WeakMap();

// @return by how much it has grown
function setHeight(node, px) {
  const before = heights.get(node);
  const now = Math.round(px);
  if (now === before) return 0;
  heights.set(node, now);
  node.style.height = `${now}px`;
  return now - (before ?? 0);
}
