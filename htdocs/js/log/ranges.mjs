// SPDX-License-Identifier: Apache-2.0
// Where in a text something is: [[from, to], ...].

// More of one row are not shown.
const RANGES_MAX = 50;

/** @return text -> ranges of what the expression (with flag g) matches */
export function rangesOf(expression) {
  return (text) => {
    expression.lastIndex = 0;
    const found = [];
    for (let hit = expression.exec(text); hit !== null; hit = expression.exec(text)) {
      if (hit[0] === '') expression.lastIndex += 1;
      else found.push([hit.index, hit.index + hit[0].length]);
      if (found.length === RANGES_MAX) break;
    }
    return found;
  };
}

/** @return text -> ranges of these words */
export function rangesOfWords(words, matchCase) {
  const wanted = matchCase ? words : words.toLowerCase();
  return (text) => {
    const there = matchCase ? text : text.toLowerCase();
    const found = [];
    for (let at = there.indexOf(wanted); at >= 0; at = there.indexOf(wanted, at + wanted.length)) {
      found.push([at, at + wanted.length]);
      if (found.length === RANGES_MAX) break;
    }
    return found;
  };
}
