// SPDX-License-Identifier: Apache-2.0
// What the address says: "#build=42", "#build=42&L120-L140", "#lines"; anything
// else is home.

import { rangeOf } from './log/columns.mjs';

/** @return { view: home | lines | build, build: id or null, line: { first, last } or null } */
export function parse(hash) {
  const parts = hash.replace(/^#/, '').split('&');
  const build = /^build=([1-9]\d{0,18})$/.exec(parts[0])?.[1] ?? null;
  if (build !== null) {
    const line = parts.slice(1).map(rangeOf).find((range) => range !== null) ?? null;
    return { view: 'build', build, line };
  }
  return { view: parts[0] === 'lines' ? 'lines' : 'home', build: null, line: null };
}

export function hashOf(build, line = null) {
  if (line === null) return `#build=${build}`;
  const { first, last } = line;
  return `#build=${build}&L${first}${last > first ? `-L${last}` : ''}`;
}
