// SPDX-License-Identifier: Apache-2.0
// Addresses that may become links: http and https, nothing else.

// In a row of more, the others stay text.
const LINKS_MAX = 100;

// Of the characters that an address may have, those that do not more often
// stand around one. Only ASCII: nothing in it turns the direction of what is
// read or looks like something else, and Chinese needs no space behind it.
const ADDRESS = /(?<![a-z\d+.-])https?:\/\/[a-z\d\-._~:/?#[\]@!$&()*+,;=%]+/gi;

const END = /[.,:;!?*_~]$/;

/** Where links are in a text: [{ from, to, href }]. */
export function linksIn(text) {
  const found = [];
  if (!text.includes('://')) return found;
  for (const { 0: match, index } of text.matchAll(ADDRESS)) {
    const address = withoutEnd(match);
    const href = safeAddress(address);
    if (href !== null) found.push({ from: index, to: index + address.length, href });
    if (found.length === LINKS_MAX) break;
  }
  return found;
}

/** The address as a link may have it; null: none. Not one with a name and a password. */
export function safeAddress(text) {
  if (!/^https?:\/\//i.test(text)) return null;
  try {
    const { protocol, username, password, href } = new URL(text);
    const isWeb = protocol === 'http:' || protocol === 'https:';
    return isWeb && username === '' && password === '' ? href : null;
  } catch {
    return null;
  }
}

// What ends a sentence ends no address; nor does a bracket that opened before it.
function withoutEnd(text) {
  let address = text;
  for (;;) {
    const isOver = END.test(address) || (address.endsWith(')') && !isBalanced(address, '(', ')'))
      || (address.endsWith(']') && !isBalanced(address, '[', ']'));
    if (!isOver) return address;
    address = address.slice(0, -1);
  }
}

function isBalanced(text, open, close) {
  let depth = 0;
  for (const letter of text) {
    if (letter === open) depth += 1;
    if (letter === close) depth -= 1;
  }
  return depth >= 0;
}
