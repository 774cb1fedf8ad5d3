// SPDX-License-Identifier: Apache-2.0
// Times as people read them.

const two = (n) => String(n).padStart(2, '0');

let cachedSecond = '';
let cachedStamp = '';

/** RFC 3339 to [YYYY-MM-DD HH:mm:ss] in local time. */
export function localStamp(text) {
  const second = text.slice(0, 19);
  if (second === cachedSecond) return cachedStamp;

  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return '[no time]';
  cachedSecond = second;
  cachedStamp = `[${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
    + ` ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}]`;
  return cachedStamp;
}

/** Milliseconds as "< 0.1 s", "0.4 s", "12 s", "3 min 4 s", "2 h 5 min". */
export function duration(ms) {
  if (ms < 100) return '< 0.1 s';
  if (ms < 950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Time between two RFC 3339 times as text; null if one is missing. */
export function between(from, to) {
  return from && to ? duration(Date.parse(to) - Date.parse(from)) : null;
}
