// SPDX-License-Identifier: Apache-2.0
// Looks for a regular expression in texts, beside the page: an expression may
// take for ever, and what runs here can be stopped (matcher.mjs does).
//
// In: { expression: { source, flags } } once, then { texts }. Out: 'ready' once,
// then for each of these [[[from, to], ...] of each text].

import { rangesOf } from './ranges.mjs';

let find = () => [];

addEventListener('message', ({ data: { expression, texts } }) => {
  if (expression !== undefined) {
    find = rangesOf(new RegExp(expression.source, expression.flags));
    postMessage('ready');
  } else {
    postMessage(texts.map(find));
  }
});
