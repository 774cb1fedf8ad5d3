// SPDX-License-Identifier: Apache-2.0
// Counts and times as the page's language writes them. The number of a line is
// no count: it is written as one may type it.

let format = null;
let lang = null;

/** 12345 as "12,345". */
export function amount(n) {
  const now = document.documentElement.lang;
  if (now !== lang) {
    format = new Intl.NumberFormat(now || undefined);
    lang = now;
  }
  return format.format(n);
}

/** Milliseconds as "0.004 s", "12.3 s", "3 min 4 s", "2 h 5 min". @param t  texts */
export function span(ms, t) {
  if (ms < 1000) return t('log.span.s', { s: (ms / 1000).toFixed(3) });
  if (ms < 59950) return t('log.span.s', { s: (ms / 1000).toFixed(1) });
  const seconds = Math.round(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return t('log.span.min', { min: minutes, s: seconds % 60 });
  return t('log.span.h', { h: amount(Math.floor(minutes / 60)), min: minutes % 60 });
}
