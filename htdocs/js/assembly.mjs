// SPDX-License-Identifier: Apache-2.0
// From the lines of a stream to the rows of a log: pieces are put together,
// frames ended by a carriage return are replaced by what follows them.
//
// A row is open while the next line of the same build and stream belongs into
// it. A note of the runner is a row of its own; one that begins a step closes
// the rows of its build.

import { strip, stripPiece } from './ansi.mjs';

// Past this a line goes on in a new row: no row is slow to lay out.
const ROW_MAX = 32768;

export class Assembly {
  #open = new Map(); // build -> { stdout: row, stderr: row }
  #holds;

  /** @param holds  row -> is it still in the log? */
  constructor(holds) {
    this.#holds = holds;
  }

  /** Take a line. @return { row, fresh }: fresh, or one given before, changed */
  take(line) {
    if (line.note) {
      if (line.step) this.#open.delete(line.build);
      return { row: { ...blankRow(line), note: true, text: strip(line.text) }, fresh: true };
    }

    const streams = this.#open.get(line.build) ?? {};
    const before = streams[line.stream];
    const fresh = before === undefined || !this.#holds(before);
    const row = fresh ? blankRow(line) : before;
    write(row, line);

    streams[line.stream] = stays(row, line) ? row : undefined;
    if (streams.stdout || streams.stderr) this.#open.set(line.build, streams);
    else this.#open.delete(line.build);
    return { row, fresh };
  }

  /** Lines are missing: nothing that comes belongs to what is here. */
  reset() {
    this.#open.clear();
  }
}

function blankRow({ build, stream, time }) {
  return { build, stream, time, note: false, text: '', rest: '', frame: false, node: null };
}

function write(row, line) {
  if (row.frame && line.text !== '') {
    row.text = '';
    row.rest = '';
    row.time = line.time;
  }
  const piece = row.rest + line.text;
  const { text, rest } = line.partial ? stripPiece(piece) : { text: strip(piece), rest: '' };
  row.text += text;
  row.rest = rest;
  row.frame = line.cr === true;
}

function stays(row, line) {
  return row.frame || (line.partial === true && row.text.length < ROW_MAX);
}
