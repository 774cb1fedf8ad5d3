// SPDX-License-Identifier: Apache-2.0
// How the page stands with the server, and what can be done about it.

import { byId } from './dom.mjs';

const WORDS = {
  connecting: ['Connecting', ''],
  live: ['Live', 'Lines appear as they are printed'],
  reconnecting: ['Reconnecting', 'The log goes on where it stopped'],
  busy: ['Server full, waiting', 'No room for more viewers; the page tries again by itself'],
  ended: ['Ended', 'The build is over and its log is complete'],
  closed: ['Not connected', 'The server refused the stream'],
};

export class ConnectionView {
  #state = byId('connection');
  #refusal = byId('refusal');
  #text = byId('refusal-text');

  /** @param retry  called when somebody asks to try again */
  constructor(retry) {
    byId('retry').addEventListener('click', retry);
  }

  show(state) {
    const [word, hint] = WORDS[state];
    this.#state.dataset.state = state;
    this.#state.textContent = word;
    this.#state.title = hint;
    if (state !== 'closed' && state !== 'reconnecting') this.#refusal.hidden = true;
  }

  /** Why there is no connection, for people. */
  refuse(text) {
    this.#text.textContent = text;
    this.#refusal.hidden = false;
  }
}
