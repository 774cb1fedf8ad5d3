// SPDX-License-Identifier: Apache-2.0
// What the address says: "#build=42", "#build=42&L120-L140", "#build=42&step=2",
// "#lines"; anything else is home.

import { rangeOf } from './log/columns.mjs';

/**
 * @return { view: home | lines | build, build: id or null, place }
 *         place: where in the log: { first, last } (lines), { step } (from 1), or null
 */
export function parse(hash) {
  const parts = hash.replace(/^#/, '').split('&');
  const build = /^build=([1-9]\d{0,18})$/.exec(parts[0])?.[1] ?? null;
  if (build !== null) {
    return { view: 'build', build, place: parts.slice(1).map(placeOf).find((place) => place !== null) ?? null };
  }
  return { view: parts[0] === 'lines' ? 'lines' : 'home', build: null, place: null };
}

export function hashOf(build, place = null) {
  if (place === null) return `#build=${build}`;
  const { first, last, step } = place;
  if (step !== undefined) return `#build=${build}&step=${step}`;
  return `#build=${build}&L${first}${last > first ? `-L${last}` : ''}`;
}

function placeOf(text) {
  const step = /^step=([1-9]\d{0,3})$/.exec(text)?.[1];
  return step === undefined ? rangeOf(text) : { step: Number(step) };
}
