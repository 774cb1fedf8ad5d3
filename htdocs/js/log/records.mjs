// SPDX-License-Identifier: Apache-2.0
// The records of a log, by number, in chunks of CHUNK numbers.
//
// Number of a record: 1 + the lines before it that are no pieces. Chunk k has
// the numbers k * CHUNK + 1 and up. The chunk at the end grows; those that are
// whole are packed, some at a time, into a Blob, which the browser keeps outside
// of the heap: what was received once is not asked for again, and can be
// counted in the end. What was never received is fetched by windows.
//
// With no build (all builds at once) numbers only count what came, and nothing
// is kept.

export const CHUNK = 100;
// Chunks that are fetched together.
const FETCH = 40;
// Chunks of one Blob: each Blob is a question to another process.
const PACK = 40;

const CR = 1;
const PARTIAL = 2;
const NOTE = 4;
const GAP = 8;
const STDERR = 16;

export class Records {
  #fetchWindow;
  #chunks = []; // k -> { pack, at } or { records }, sparse
  #whole = []; // chunks that are not packed yet
  #unpacked = null; // the pack that was read last
  #tail = { k: 0, records: [] };
  #loads = new Map(); // k of the first -> promise
  #tailWhole = true; // the tail has all numbers of its chunk

  next = 1; // number of the next record
  sawGap = false;

  /**
   * @param fetchWindow  ({ first, count, after } | { last }) -> promise; null:
   *                     nothing to ask
   */
  constructor(fetchWindow) {
    this.#fetchWindow = fetchWindow;
  }

  /** The chunk that grows. */
  get tailChunk() {
    return this.#tail.k;
  }

  /**
   * Begin at the end of what there is. @return id after which a stream goes on
   */
  async open(count) {
    let window = await this.#fetchWindow({ last: count });
    let { lines } = window;
    const { first = 1 } = window;
    // The last line alone was too long for an answer.
    while (window.more) {
      window = await this.#fetchWindow(behind(window));
      lines = [...lines, ...window.lines];
    }
    const next = afterLast(lines, window);
    const k = chunkOf(next);
    const start = k * CHUNK + 1;
    let from = Math.min(first, next);
    if (from > start && next > start) {
      const rest = await this.#range(start, from);
      lines = [...rest, ...lines];
      from = start;
    }
    this.next = next;
    this.#split(lines.map(recordOf), from, start);
    this.#tail = { k, records: lines.filter((line) => line.line >= start).map(recordOf) };
    this.sawGap ||= lines.some((line) => line.gap);
    return window.after ?? null;
  }

  /** A record came. @return it, with its number */
  append(line) {
    const record = recordOf(line);
    record.n = this.next;
    // Of which build matters where there are many: a window does not say it.
    if (this.#fetchWindow !== null) record.build = 0;
    const k = chunkOf(record.n);
    if (k !== this.#tail.k) {
      this.#seal();
      this.#tail = { k, records: [] };
    }
    if (!record.partial) this.next += 1;
    if (record.gap) this.sawGap = true;
    if (this.#fetchWindow !== null) this.#tail.records.push(record);
    return record;
  }

  /** Are these at hand, without asking the server? */
  has(k) {
    return k === this.#tail.k ? this.#tailWhole : this.#chunks[k] !== undefined;
  }

  /** Share of the log that is at hand, of 1. */
  get share() {
    let held = 0;
    for (let k = 0; k <= this.#tail.k; k += 1) if (this.has(k)) held += 1;
    return held / (this.#tail.k + 1);
  }

  /** The records of a chunk; rejects if they cannot be fetched. */
  async chunk(k) {
    // What came and was let go while somebody was on his way to it.
    if (this.#fetchWindow === null) return [];
    if (k === this.#tail.k) return this.#tail.records;
    if (this.#chunks[k] === undefined) await this.#load(k);
    const { records, pack, at } = this.#chunks[k];
    if (records !== undefined) return records;
    if (this.#unpacked?.pack !== pack) {
      this.#unpacked = { pack, chunks: pack.text().then(JSON.parse) };
    }
    return (await this.#unpacked.chunks)[at].map(recordOfRow);
  }

  #seal() {
    if (this.#fetchWindow === null) return;
    this.#put(this.#tail.k, this.#tail.records);
    if (this.#whole.length >= PACK) this.#pack();
  }

  #put(k, records) {
    this.#chunks[k] = { records };
    this.#whole.push(k);
  }

  #pack() {
    const chunks = this.#whole.map((k) => this.#chunks[k].records.map(rowOfRecord));
    const pack = new Blob([JSON.stringify(chunks)]);
    this.#whole.forEach((k, at) => { this.#chunks[k] = { pack, at }; });
    this.#whole = [];
  }

  // Each chunk that begins at or behind number from and ends before number end.
  #split(records, from, end) {
    let k = Math.ceil((from - 1) / CHUNK);
    let part = [];
    const put = () => {
      if (this.#chunks[k] === undefined) this.#put(k, part);
      k += 1;
      part = [];
    };
    for (const record of records) {
      const of = chunkOf(record.n);
      if (of < k || record.n >= end) continue;
      while (k < of) put();
      if (record.gap) this.sawGap = true;
      part.push(record);
    }
    while ((k + 1) * CHUNK < end) put();
    if (this.#whole.length > 0) this.#pack();
  }

  #load(k) {
    const group = Math.floor(k / FETCH) * FETCH;
    let first = k;
    while (first > group && this.#chunks[first - 1] === undefined) first -= 1;
    let end = k + 1;
    while (end < group + FETCH && end < this.#tail.k && this.#chunks[end] === undefined) end += 1;
    const running = this.#loads.get(first);
    if (running !== undefined) return running;
    const from = first * CHUNK + 1;
    const load = this.#range(from, end * CHUNK + 1)
      .then((lines) => this.#split(lines.map(recordOf), from, end * CHUNK + 1))
      .finally(() => this.#loads.delete(first));
    this.#loads.set(first, load);
    return load;
  }

  // The server may answer with less than was asked for.
  async #range(first, end) {
    const lines = [];
    for (let asked = { first, count: end - first }; asked.first < end;) {
      const window = await this.#fetchWindow(asked);
      for (const line of window.lines) if (line.line < end) lines.push(line);
      if (!(window.next > asked.first) && !window.more) throw new Error(`no line ${asked.first}`);
      asked = window.more ? behind(window) : { first: window.next };
      asked.count = end - window.next;
    }
    return lines;
  }
}

// What to ask for when an answer ends before what was asked for, perhaps within
// a line.
const behind = ({ next, after }) => ({ first: next, after });

export const chunkOf = (n) => Math.floor((n - 1) / CHUNK);

// The last line may still be in pieces: its number is then still to come.
function afterLast(lines, window) {
  const last = lines.at(-1);
  if (last === undefined) return window.next ?? 1;
  return last.partial ? last.line : last.line + 1;
}

function recordOf(line) {
  return {
    n: line.line ?? 0,
    ms: Date.parse(line.time),
    text: line.text,
    stderr: line.stream === 'stderr',
    partial: line.partial === true,
    cr: line.cr === true,
    note: line.note === true,
    gap: line.gap === true,
    step: line.step ?? 0,
    build: line.build ?? 0,
  };
}

// In a pack a record is a row of values.
function rowOfRecord(one) {
  const flags = (one.cr ? CR : 0) | (one.partial ? PARTIAL : 0) | (one.note ? NOTE : 0)
    | (one.gap ? GAP : 0) | (one.stderr ? STDERR : 0);
  const row = [one.n, one.ms, flags, one.text];
  if (one.step !== 0) row.push(one.step);
  return row;
}

function recordOfRow([n, ms, flags, text, step = 0]) {
  return {
    n, ms, text, step,
    stderr: (flags & STDERR) !== 0,
    partial: (flags & PARTIAL) !== 0,
    cr: (flags & CR) !== 0,
    note: (flags & NOTE) !== 0,
    gap: (flags & GAP) !== 0,
    build: 0,
  };
}
