// SPDX-License-Identifier: Apache-2.0
// Times as people read them.

import { now } from './clock.mjs';
import { locale, t } from './i18n.mjs';

const relative = new Intl.RelativeTimeFormat(locale, { numeric: 'auto', style: 'short' });
const UNITS = [['day', 86400], ['hour', 3600], ['minute', 60]];
const DAYS_MAX = 7;

const today = new Intl.DateTimeFormat(locale, { timeStyle: 'medium' });
const otherDay = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' });
const full = new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeStyle: 'long' });

/** Milliseconds as "0.4 s", "12 s", "3 min 4 s", "2 h 5 min". */
export function duration(ms) {
  if (ms < 100) return t('time.moment');
  if (ms < 950) return t('time.s', { s: (ms / 1000).toFixed(1) });
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return t('time.s', { s: seconds });
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return t('time.min', { min: minutes, s: seconds % 60 });
  return t('time.h', { h: Math.floor(minutes / 60), min: minutes % 60 });
}

/** Time between two RFC 3339 times as text; null if one is missing. */
export function between(from, to) {
  return from && to ? duration(Date.parse(to) - Date.parse(from)) : null;
}

/** Milliseconds since an RFC 3339 time, by the server's clock. */
export const since = (from) => Math.max(0, now() - Date.parse(from));

/** "3 min ago", "yesterday"; older: the date. */
export function ago(text) {
  const seconds = since(text) / 1000;
  if (seconds < 45) return t('time.now');
  if (seconds > DAYS_MAX * 86400) return otherDay.format(new Date(text));
  const [unit, size] = UNITS.find(([, length]) => seconds >= length) ?? UNITS.at(-1);
  return relative.format(-Math.max(1, Math.round(seconds / size)), unit);
}

/** "10:42:07"; of another day with its date. */
export function clockTime(text) {
  const at = new Date(text);
  const isToday = at.toDateString() === new Date(now()).toDateString();
  return (isToday ? today : otherDay).format(at);
}

export const fullTime = (text) => full.format(new Date(text));
