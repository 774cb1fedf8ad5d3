// SPDX-License-Identifier: Apache-2.0
// Is what was received the log that the server has? Compared as the text that
// a download gives: of each record its text, and LF unless it is a piece.

// Web Crypto wants all bytes at once.
const BYTES_MAX = 512 * 1024 * 1024;

/**
 * @param records  Records of the build
 * @param final  the build's last record: lines, bytes, sha256
 * @param whole  fetch what was not received, instead of saying part
 * @return complete | incomplete | lines (these and the bytes agree, no digest
 *         could be made) | part (not all was received, or the server has left
 *         lines out: nothing to compare)
 */
export async function verify(records, final, whole = false) {
  if (records.sawGap || (!whole && records.share < 1)) return 'part';
  if (final?.bytes === undefined || final.lines === undefined) return 'part';
  if (records.next - 1 !== final.lines) return 'incomplete';

  const digests = globalThis.crypto?.subtle !== undefined && Boolean(final.sha256);
  const wanted = digests && final.bytes <= BYTES_MAX;
  const text = await collect(records, wanted ? final.bytes : 0);
  // It may be in what was fetched for this.
  if (records.sawGap) return 'part';
  if (text.bytes !== final.bytes) return 'incomplete';
  if (!wanted) return 'lines';
  const digest = await crypto.subtle.digest('SHA-256', text.all);
  return hex(digest) === final.sha256 ? 'complete' : 'incomplete';
}

// All bytes, if there is to be room for them, or only how many there are.
async function collect(records, room) {
  const encoder = new TextEncoder();
  const all = new Uint8Array(room);
  let bytes = 0;
  for (let k = 0; k <= records.tailChunk; k += 1) {
    const chunk = await records.chunk(k);
    const part = encoder.encode(chunk.map(asText).join(''));
    if (bytes + part.length <= room) all.set(part, bytes);
    bytes += part.length;
  }
  return { all, bytes };
}

const asText = ({ text, partial }) => (partial ? text : `${text}\n`);

function hex(buffer) {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
