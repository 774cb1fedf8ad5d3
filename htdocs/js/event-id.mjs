// SPDX-License-Identifier: Apache-2.0
// Event ids: decimal strings without leading zeros, beyond what a Number holds.

/** Is id a later than id b? The empty string is before all. */
export function isLater(a, b) {
  return a.length === b.length ? a > b : a.length > b.length;
}
