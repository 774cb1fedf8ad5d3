// SPDX-License-Identifier: Apache-2.0
// Silence that lasts too long is noticed: a connection, or the other side of a
// port, can be gone without anybody having said so.

const LOOK_MS = 1000;

// What has come may still wait behind the timer, when this thread was busy or
// slept: it gets so long to be heard.
const DOUBT_MS = 500;

export class Patience {
  #limit;
  #silent;
  #heardAt = 0;
  #timer = 0;
  #doubt = 0;

  /**
   * @param limit   function: how many ms may pass
   * @param silent  called when they have, again each time as many have passed
   */
  constructor(limit, silent) {
    this.#limit = limit;
    this.#silent = silent;
  }

  start() {
    this.stop();
    this.#heardAt = Date.now();
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  stop() {
    clearInterval(this.#timer);
    clearTimeout(this.#doubt);
    this.#doubt = 0;
  }

  heard() {
    this.#heardAt = Date.now();
  }

  #isOver() {
    const now = Date.now();
    // The clock was set back.
    if (this.#heardAt > now) this.#heardAt = now;
    return now - this.#heardAt > this.#limit();
  }

  #look() {
    if (this.#doubt !== 0 || !this.#isOver()) return;
    this.#doubt = setTimeout(() => {
      this.#doubt = 0;
      if (!this.#isOver()) return;
      this.#heardAt = Date.now();
      this.#silent();
    }, DOUBT_MS);
  }
}
