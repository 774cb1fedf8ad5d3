// SPDX-License-Identifier: Apache-2.0
// The server's clock: elapsed times are counted by it, not by the browser's.

let aheadMs = 0;

/** The server says what time it is (RFC 3339). */
export function setClock(text) {
  const at = Date.parse(text);
  if (!Number.isNaN(at)) aheadMs = at - Date.now();
}

export const now = () => Date.now() + aheadMs;
