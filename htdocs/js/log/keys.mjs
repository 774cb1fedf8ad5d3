// SPDX-License-Identifier: Apache-2.0
// The keys of the log. They hold while the focus is in it, and not where
// somebody writes. For a sheet of all keys: { keys, text }, text a key of
// words.mjs.

export const KEYS = [
  { keys: ['/'], text: 'log.key.search', act: 'search' },
  { keys: ['n', 'N'], text: 'log.key.hits', act: 'hit' },
  { keys: ['e', 'E'], text: 'log.key.problems', act: 'problem' },
  { keys: [']', '['], text: 'log.key.folds', act: 'fold' },
  { keys: ['o'], text: 'log.key.toggle', act: 'toggle' },
  { keys: ['O'], text: 'log.key.foldall', act: 'foldAll' },
  { keys: ['t'], text: 'log.key.time', act: 'time' },
  { keys: ['w'], text: 'log.key.wrap', act: 'wrap' },
  { keys: ['#'], text: 'log.key.numbers', act: 'numbers' },
  { keys: ['g'], text: 'log.key.goto', act: 'goTo' },
  { keys: ['s'], text: 'log.key.slow', act: 'slow' },
  { keys: ['Home', 'End'], text: 'log.key.ends', act: 'ends' },
];

/** Do what a key says. @param does  act -> function(step): 1, or -1 for the second key */
export function onKey(event, does) {
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target.closest('input, select, textarea, [contenteditable]') !== null) return;
  const row = KEYS.find(({ keys }) => keys.includes(event.key));
  if (row === undefined) return;
  event.preventDefault();
  does[row.act](row.keys.indexOf(event.key) === 0 ? 1 : -1);
}
