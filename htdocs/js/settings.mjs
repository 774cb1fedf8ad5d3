// SPDX-License-Identifier: Apache-2.0
// What this browser keeps for the reader. Where nothing may be kept it holds
// as long as the page.

const PREFIX = 'buildlog.';
const kept = new Map();

export const settings = {
  get(name, otherwise) {
    if (kept.has(name)) return kept.get(name);
    try {
      const text = localStorage.getItem(PREFIX + name);
      return text === null ? otherwise : JSON.parse(text);
    } catch {
      return otherwise;
    }
  },
  set(name, value) {
    kept.set(name, value);
    try {
      localStorage.setItem(PREFIX + name, JSON.stringify(value));
    } catch {
      // Storage is full, or forbidden.
    }
  },
};
