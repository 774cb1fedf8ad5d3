// SPDX-License-Identifier: Apache-2.0
// Escape sequences of terminals (ECMA-48), taken out of text.

// CSI with parameters | OSC, DCS, SOS, PM, APC with their end | the others,
// which also takes the introducer of one that never ends: its rest is shown.
const SEQUENCE = new RegExp([
  '(?:\\x1b\\[|\\x9b)[0-?]*[ -/]*[@-~]',
  '\\x1b[\\]PX^_][^\\x07\\x1b]*(?:\\x07|\\x1b\\\\)',
  '\\x1b[ -/]*[0-~]',
].join('|'), 'g');

// What may be the beginning of a sequence whose end is in the next piece.
const UNFINISHED = new RegExp('(?:'
  + '(?:\\x1b\\[|\\x9b)[0-?]*[ -/]*'
  + '|\\x1b[\\]PX^_][^\\x07\\x1b]{0,4096}\\x1b?'
  + '|\\x1b[ -/]*'
  + ')$');

const CONTROLS = /[\x00-\x08\x0a-\x1f\x7f-\x9f]/g;

/** Text without escape sequences and control characters; tabs stay. */
export function strip(text) {
  return text.replace(SEQUENCE, '').replace(CONTROLS, '');
}

/**
 * The same for a piece of a line: a sequence that is cut at the end comes back
 * as rest, to be put before the next piece.
 */
export function stripPiece(text) {
  const rest = UNFINISHED.exec(text)?.[0] ?? '';
  return { text: strip(text.slice(0, text.length - rest.length)), rest };
}
