// SPDX-License-Identifier: Apache-2.0
// The log on the page. Rows are collected and written once per animation
// frame; beyond ROWS_MAX the oldest are left out.
//
// Rows live in chunks, so that leaving out and layout work on few elements.

import { byId, make } from './dom.mjs';
import { localStamp } from './time.mjs';

const ROWS_MAX = 20000;
const CHUNK_ROWS = 250;
const FRAME_ROWS = 600;
const AT_END_PX = 24;

export class LogView {
  #log = byId('log');
  #lines = byId('lines');
  #omittedNote = byId('omitted');
  #empty = byId('empty');
  #newest = byId('newest');

  #pending = [];
  #changed = new Set();
  #scheduled = false;
  #rows = 0; // in the document
  #skipped = 0; // left out before they were in the document, not yet counted
  #omitted = 0;
  #following = true;
  #lastTop = 0;
  #lastHeight = 0;
  #build = null;

  constructor() {
    this.#log.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    this.#newest.addEventListener('click', () => {
      this.#follow(true);
      this.#toEnd();
      this.#log.focus({ preventScroll: true });
    });
    const sizes = new ResizeObserver(() => {
      if (this.#following) this.#toEnd();
    });
    sizes.observe(this.#log);
    sizes.observe(this.#lines);
  }

  /** Begin anew. @param build  id, or null: each row says which build it is of */
  clear(build, emptyText) {
    this.#build = build;
    this.#pending = [];
    this.#changed.clear();
    this.#rows = 0;
    this.#skipped = 0;
    this.#omitted = 0;
    this.#lines.replaceChildren();
    this.#omittedNote.hidden = true;
    this.#empty.textContent = emptyText;
    this.#empty.hidden = false;
    this.#follow(true);
  }

  /** What stands where no line is. */
  setEmptyText(text) {
    this.#empty.textContent = text;
  }

  add(row) {
    this.#pending.push(row);
    // A hidden page has no frames: do not collect without end.
    if (this.#pending.length > ROWS_MAX + CHUNK_ROWS) this.#skip(CHUNK_ROWS);
    this.#schedule();
  }

  /** A row that was added has new text. */
  update(row) {
    if (row.node === null) return;
    this.#changed.add(row);
    this.#schedule();
  }

  holds(row) {
    return row.node === null ? !row.skipped : row.node.isConnected;
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => this.#flush());
  }

  #flush() {
    this.#scheduled = false;
    for (const row of this.#changed) fill(row);
    this.#changed.clear();

    if (this.#pending.length > ROWS_MAX) this.#skip(this.#pending.length - ROWS_MAX);
    if (this.#skipped > 0) this.#dropAll();
    const batch = this.#pending.splice(0, FRAME_ROWS);
    if (batch.length > 0) {
      this.#append(batch);
      this.#trim();
      this.#empty.hidden = true;
    }
    if (this.#following) this.#toEnd();
    if (this.#pending.length > 0) this.#schedule();
  }

  #append(batch) {
    const nodes = batch.map((row) => this.#render(row));
    const last = this.#lines.lastElementChild;
    if (last !== null) last.append(...nodes.splice(0, CHUNK_ROWS - last.childElementCount));
    const fragment = document.createDocumentFragment();
    while (nodes.length > 0) {
      fragment.append(make('ol', { class: 'chunk' }, ...nodes.splice(0, CHUNK_ROWS)));
    }
    this.#lines.append(fragment);
    this.#rows += batch.length;
  }

  #render(row) {
    const kind = ['line', row.stream === 'stderr' && 'stderr', row.note && 'note',
      row.gap && 'gap'];
    const of = this.#build === null && row.build !== undefined
      ? [make('a', { class: 'of', href: `#build=${row.build}` }, `#${row.build}`), ' '] : [];
    row.node = make('li', { class: kind.filter(Boolean).join(' ') },
      make('time'), ' ', ...of, make('span', { class: 'text' }));
    fill(row);
    return row.node;
  }

  #trim() {
    while (this.#rows > ROWS_MAX) {
      const chunk = this.#lines.firstElementChild;
      this.#rows -= chunk.childElementCount;
      this.#leaveOut(chunk.childElementCount);
      chunk.remove();
    }
  }

  #dropAll() {
    this.#leaveOut(this.#rows + this.#skipped);
    this.#rows = 0;
    this.#skipped = 0;
    this.#lines.replaceChildren();
  }

  #skip(count) {
    for (const row of this.#pending.splice(0, count)) row.skipped = true;
    this.#skipped += count;
  }

  #leaveOut(count) {
    this.#omitted += count;
    const note = `${this.#omitted.toLocaleString('en')} earlier lines are not shown here. `;
    const where = this.#build === null
      ? 'The log of each build has them all.'
      : make('a', { href: `/api/project/builds/${this.#build}/log` }, 'The raw log has them all.');
    this.#omittedNote.replaceChildren(note, where);
    this.#omittedNote.hidden = false;
  }

  // Only a reader who moves up ends the following, by the first pixel: growth
  // does not, nor does a layout that turns out less high than it was guessed.
  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#log;
    const up = scrollTop < this.#lastTop && scrollHeight >= this.#lastHeight;
    const down = scrollTop > this.#lastTop;
    if (up) this.#follow(false);
    else if (down && scrollHeight - scrollTop - clientHeight < AT_END_PX) this.#follow(true);
    this.#lastTop = scrollTop;
    this.#lastHeight = scrollHeight;
  }

  #follow(yes) {
    this.#following = yes;
    this.#newest.hidden = yes;
  }

  #toEnd() {
    this.#lastHeight = this.#log.scrollHeight;
    this.#log.scrollTop = this.#lastHeight;
    this.#lastTop = this.#log.scrollTop;
  }
}

function fill(row) {
  const time = row.node.firstChild;
  if (row.time !== null) {
    time.dateTime = row.time;
    time.textContent = localStamp(row.time);
  }
  row.node.lastChild.textContent = row.text;
}
