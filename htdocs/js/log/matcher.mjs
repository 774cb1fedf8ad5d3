// SPDX-License-Identifier: Apache-2.0
// What a search looks for, in texts. Words are looked for at once; a regular
// expression, which the reader wrote and which may take for ever, in a worker
// that is stopped when it does not answer.

import { rangesOf, rangesOfWords } from './ranges.mjs';

// How long the worker may be silent while it has something to do: all rows of
// a chunk are some milliseconds of work.
const PATIENCE_MS = 3000;

const ADDRESS = new URL('./search-worker.mjs', import.meta.url).href;

// For the only address of a script that is made here; the page's
// Content-Security-Policy names it.
let policy;

/** The expression took too long, and was stopped. */
export class TooSlow extends Error {}

/**
 * @param query  { text, regex, matchCase }
 * @return { find(texts): promise of the ranges in each, close() }; find rejects
 *         with TooSlow; throws what is wrong with the expression
 */
export function matcherOf({ text, regex, matchCase }) {
  if (!regex) {
    const find = rangesOfWords(text, matchCase);
    return { find: async (texts) => texts.map(find), close() {} };
  }
  const { source, flags } = new RegExp(text, matchCase ? 'g' : 'gi');
  return new Expression({ source, flags });
}

class Expression {
  #expression;
  #worker = null;
  #ready = false; // what it takes to load it does not count
  #asked = []; // { resolve, reject } in the order of the answers to come
  #timer = 0;
  #failure = null;

  constructor(expression) {
    this.#expression = expression;
  }

  find(texts) {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#asked.push({ resolve, reject });
      try {
        this.#worker ??= this.#begin();
        this.#worker.postMessage({ texts });
      } catch (error) {
        this.#fail(error);
        return;
      }
      if (this.#asked.length === 1) this.#wait();
    });
  }

  close() {
    this.#fail(new Error('closed'));
  }

  #begin() {
    if (globalThis.trustedTypes) {
      policy ??= trustedTypes.createPolicy('buildlog-search', { createScriptURL: () => ADDRESS });
    }
    const worker = new Worker(policy?.createScriptURL('') ?? ADDRESS, { type: 'module' });
    worker.addEventListener('message', ({ data }) => this.#answered(data));
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      this.#fail(new Error(event.message || 'no worker'));
    });
    worker.postMessage({ expression: this.#expression });
    return worker;
  }

  #answered(found) {
    if (found === 'ready') this.#ready = true;
    else this.#asked.shift()?.resolve(found);
    this.#wait();
  }

  #wait() {
    clearTimeout(this.#timer);
    if (!this.#ready || this.#asked.length === 0) return;
    this.#timer = setTimeout(() => this.#fail(new TooSlow()), PATIENCE_MS);
  }

  #fail(error) {
    clearTimeout(this.#timer);
    this.#worker?.terminate();
    this.#worker = null;
    this.#failure ??= error;
    for (const { reject } of this.#asked.splice(0)) reject(this.#failure);
  }
}
