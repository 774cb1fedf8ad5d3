// SPDX-License-Identifier: Apache-2.0
// What stands beside the text: number, time, and how it is laid out.

import { span } from './amounts.mjs';

const two = (n) => String(n).padStart(2, '0');

export const TIMES = ['off', 'clock', 'start', 'delta'];

const DIGITS_LEAST = 3;

// Narrower than this, a stamp would leave no room for text.
const STAMPS_FIT = '(min-width: 48em)';

// A mark from these pauses on: thin, thicker, thickest.
const HEAT_MS = [1000, 5000, 30000];

export class Columns {
  #t;
  #settings;
  #element;

  time = 'off'; // one of TIMES; unless somebody chose: the stamp, where it fits
  startMs = NaN; // what "since the start" counts from
  marked = null; // { first, last, k, i }: lines, and the row where they begin
  digits = DIGITS_LEAST; // of a number

  constructor(element, { t, settings }) {
    this.#t = t;
    this.#element = element;
    this.#settings = settings;
    element.style.setProperty('--digits', this.digits);
    this.#show();
  }

  get wrap() {
    return this.#settings.get('log.wrap', true) !== false;
  }

  get numbers() {
    return this.#settings.get('log.numbers', true) !== false;
  }

  /** Room for this number. @return is it different? */
  fit(number) {
    const digits = Math.max(DIGITS_LEAST, String(number).length);
    if (digits === this.digits) return false;
    this.digits = digits;
    this.#element.style.setProperty('--digits', digits);
    return true;
  }

  set(name, value) {
    this.#settings.set(`log.${name}`, value);
    this.#show();
  }

  #show() {
    const chosen = this.#settings.get('log.time', '');
    const otherwise = matchMedia(STAMPS_FIT).matches ? 'clock' : 'off';
    this.time = TIMES.includes(chosen) ? chosen : otherwise;
    this.#element.dataset.time = this.time;
    this.#element.classList.toggle('wrap', this.wrap);
    this.#element.classList.toggle('numbers', this.numbers);
  }

  timeOf(row) {
    switch (this.time) {
      case 'clock': return clock(row.ms);
      case 'start': return Number.isNaN(this.startMs) ? '' : offset(row.ms - this.startMs);
      case 'delta': return Number.isNaN(row.delta) ? '' : `+${span(row.delta, this.#t)}`;
      default: return '';
    }
  }

  isMarked(row) {
    const { marked } = this;
    if (marked === null) return false;
    // Of a frame that was replaced, it is the row that stands there now.
    if (row.k === marked.k && row.i === marked.i) return true;
    return !row.taken && row.n >= marked.first && row.n <= marked.last;
  }
}

/** 0: no mark; 1 to 3: how long it was silent before this row. */
export function heatOf(row) {
  return HEAT_MS.filter((ms) => row.pause >= ms).length;
}

// As the stream of text has it: [2026-11-22 10:00:00], in the viewer's time zone.
function clock(ms) {
  const at = new Date(ms);
  if (Number.isNaN(at.getTime())) return '';
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `[${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}]`;
}

// 0:12.345, 1:02:03.004
function offset(ms) {
  const sign = ms < 0 ? '-' : '';
  const all = Math.abs(ms);
  const seconds = Math.floor(all / 1000);
  const tail = `${two(seconds % 60)}.${String(Math.floor(all % 1000)).padStart(3, '0')}`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${sign}${minutes}:${tail}`;
  return `${sign}${Math.floor(minutes / 60)}:${two(minutes % 60)}:${tail}`;
}

/** "120", "120-140", "L120-L140" as { first, last }, or null. */
export function rangeOf(text) {
  const found = /^\s*#?L?([1-9]\d{0,11})(?:\s*[-–]\s*L?([1-9]\d{0,11}))?\s*$/i.exec(text);
  if (found === null) return null;
  const [a, b] = [Number(found[1]), Number(found[2] ?? found[1])];
  return { first: Math.min(a, b), last: Math.max(a, b) };
}
