// SPDX-License-Identifier: Apache-2.0
// From the records of one chunk to its rows: pieces are put together, frames
// ended by a carriage return are replaced by what follows them.
//
// A row is open while the next record of the same stream (and build) belongs
// into it. A note of the runner is a row of its own; one that begins a step
// closes the others. No row goes on over the end of a chunk, so that a chunk
// gives the same rows whenever it is put together: while the log grows, and
// when it is loaded again.
//
// A number belongs to one row: to the one that ends the line of this number in
// the download. The other stream may come between the pieces of a line and end
// it there; what was begun then has no number (taken) until its own end.

import { coloursAfter, strip } from './escapes.mjs';
import { isProblem, markOf } from './marks.mjs';

// Past this a line goes on in a new row: no row is slow to lay out.
const ROW_MAX = 32768;
// Past this many rows the rest of a line is only counted.
const ROWS_OF_A_LINE = 8;

export class Rows {
  #chunk;
  #open = new Map(); // build -> { out: row, err: row }
  #colours = { out: '', err: '' }; // that hold for the next row
  #lastMs;

  all = [];
  changed = new Set(); // rows given before that look different now

  /** @param lastMs  time of the record before the chunk; NaN: not known */
  constructor(chunk, lastMs = NaN) {
    this.#chunk = chunk;
    this.#lastMs = lastMs;
  }

  get lastMs() {
    return this.#lastMs;
  }

  /** Take a record. @return its row, the last of all if it is new */
  take(record) {
    const pause = record.ms - this.#lastMs;
    this.#lastMs = record.ms;
    const open = Object.values(this.#open.get(record.build) ?? {}).filter(Boolean);
    const row = record.note ? this.#note(record) : this.#written(record);
    if (open.length > 0) this.#give(record, row, open);
    if (pause > row.pause) row.pause = pause;
    if (Number.isNaN(row.delta)) row.delta = pause;
    return row;
  }

  // Whose is the number of this record? Of the one that ends; of two that may
  // go on, the first.
  #give(record, row, open) {
    const rivals = open.filter((one) => one.isOpen && one.n === record.n && one !== row
      && !one.line?.includes(row));
    if (record.partial) {
      if (rivals.some((one) => !one.taken)) this.#take(row, true);
      return;
    }
    this.#take(row, false);
    for (const one of rivals) this.#take(one, true);
  }

  #take(row, taken) {
    if (row.taken === taken) return;
    for (const part of row.line ?? [row]) part.taken = taken;
    this.changed.add(row.line?.[0] ?? row);
  }

  #note(record) {
    if (record.step !== 0) {
      this.#open.delete(record.build);
      this.#colours = { out: '', err: '' };
    }
    const row = this.#blank(record);
    row.text = record.text;
    if (record.step !== 0) {
      row.mark = { type: 'open', kind: 'step', name: '', title: null, folded: false };
    }
    return row;
  }

  #written(record) {
    const side = record.stderr ? 'err' : 'out';
    const streams = this.#open.get(record.build) ?? {};
    let row = streams[side];
    if (row === undefined) {
      row = this.#blank(record);
      row.colours = this.#colours[side];
    } else if (row.frame && row.mark !== null && markOf(record.text) !== null) {
      // One marker drawn over another: both count.
      row = this.#blank(record);
    } else if (!row.frame && row.text.length > ROW_MAX) {
      row = this.#longer(row, record);
    } else {
      this.changed.add(row);
    }
    if (row.n !== record.n) this.#number(row, record.n);
    write(row, record);

    const stays = record.partial || record.cr;
    streams[side] = stays ? row : undefined;
    if (streams.out || streams.err) this.#open.set(record.build, streams);
    else this.#open.delete(record.build);
    if (!stays) this.#colours[side] = coloursAfter(row.colours, row.text);
    return row;
  }

  // A line that is too long for one row.
  #longer(row, record) {
    if (row.part + 1 >= ROWS_OF_A_LINE) {
      row.full = true;
      this.changed.add(row);
      return row;
    }
    const next = this.#blank(record);
    next.part = row.part + 1;
    next.colours = coloursAfter(row.colours, row.text);
    next.line = row.line ?? [row];
    next.line.push(next);
    next.n = row.n;
    next.taken = row.taken;
    row.line = next.line;
    row.problem = isProblem(row.text);
    return next;
  }

  // All parts of a line have its number.
  #number(row, n) {
    this.#take(row, false);
    for (const part of row.line ?? [row]) part.n = n;
    if (row.line) this.changed.add(row.line[0]);
  }

  #blank(record) {
    const row = {
      k: this.#chunk, i: this.all.length, n: record.n, from: record.n, begun: record.n,
      taken: false, build: record.build, ms: record.ms, delta: NaN, pause: 0,
      stderr: record.stderr, note: record.note, gap: record.gap, step: record.step, text: '',
      colours: '', isOpen: false, frame: false, mark: null, problem: false, part: 0, line: null,
      full: false, cut: 0, node: null,
    };
    this.all.push(row);
    return row;
  }
}

function write(row, record) {
  if (row.frame && record.text !== '') {
    row.text = '';
    row.begun = record.n;
    row.ms = record.ms;
    row.delta = NaN;
  }
  if (row.full) row.cut += record.text.length;
  else row.text += record.text;
  row.isOpen = record.partial;
  row.frame = record.cr;
  if (record.partial) return;
  if (row.mark === null && row.part === 0) row.mark = markOf(row.text);
  row.problem = !record.cr && isProblem(row.text);
}

/** What a row says, without escape sequences. */
export const plain = (row) => strip(row.text);

/** What is shown of a row: a marker's title, or its text. */
export function shown(row) {
  const { mark } = row;
  if (mark === null || mark.title === null || mark.title === '') return row.text;
  return mark.title;
}

/** A marker that only ends something, with nothing else in its line. */
export function isSilent(row) {
  if (row.mark === null || row.mark.type === 'open') return false;
  return row.mark.kind !== 'section' || row.frame || plain(row).trim() === '';
}
