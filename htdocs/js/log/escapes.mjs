// SPDX-License-Identifier: Apache-2.0
// Escape sequences of terminals (ECMA-48) in the text of a line.

const ESC = '\x1b';

// CSI with parameters | OSC, DCS, SOS, PM, APC with their end | the others,
// which also takes the introducer of one that never ends: its rest is shown.
const SEQUENCE = new RegExp([
  '(?:\\x1b\\[|\\x9b)[0-?]*[ -/]*[@-~]',
  '\\x1b[\\]PX^_][^\\x07\\x1b]*(?:\\x07|\\x1b\\\\)',
  '\\x1b[ -/]*[0-~]',
].join('|'), 'g');

const CONTROLS = /[\x00-\x08\x0a-\x1f\x7f-\x9f]/g;
const ANY_CONTROL = /[\x00-\x08\x0a-\x1f\x7f-\x9f]/;

const SGR = /^(?:\x1b\[|\x9b)([\d;:]*)m$/;
const LINK = /^\x1b\]8;[^;]*;([^\x07\x1b]*)(?:\x07|\x1b\\)$/;

// A row that changes its colours without end has its last ones.
const SGR_MAX = 256;

/** Is there anything in it that is not shown as it is? */
export const hasControls = (text) => ANY_CONTROL.test(text);

/** Text without escape sequences and control characters; tabs stay. */
export function strip(text) {
  if (!ANY_CONTROL.test(text)) return text;
  return text.replace(SEQUENCE, '').replace(CONTROLS, '');
}

/**
 * Text cut at what matters of its sequences: [{ text } | { sgr } | { link }],
 * link '' being the end of one. All other sequences are dropped.
 */
export function parts(text) {
  const found = [];
  let at = 0;
  const put = (end) => {
    const piece = text.slice(at, end).replace(CONTROLS, '');
    if (piece !== '') found.push({ text: piece });
  };
  for (const match of text.matchAll(SEQUENCE)) {
    put(match.index);
    at = match.index + match[0].length;
    const sgr = SGR.exec(match[0]);
    const link = sgr === null ? LINK.exec(match[0]) : null;
    if (sgr !== null) found.push({ sgr: sgr[1] });
    else if (link !== null) found.push({ link: link[1] });
  }
  put(text.length);
  return found;
}

/** The colours that hold behind a text which began with these. */
export function coloursAfter(before, text) {
  if (!text.includes(ESC) && !text.includes('\x9b')) return before;
  // As most lines end.
  if (text.endsWith(`${ESC}[0m`) || text.endsWith(`${ESC}[m`)) return '';
  let state = before;
  for (const [sequence] of text.matchAll(SEQUENCE)) {
    const sgr = SGR.exec(sequence);
    if (sgr === null) continue;
    const resets = sgr[1] === '' || /^0*$/.test(sgr[1]);
    state = resets ? '' : `${state}${ESC}[${sgr[1]}m`;
    // What follows a reset within one sequence: 0;31.
    if (/^0+[;:]/.test(sgr[1])) state = `${ESC}[${sgr[1]}m`;
    if (state.length > SGR_MAX) state = `${ESC}[${sgr[1]}m`;
  }
  return state;
}
