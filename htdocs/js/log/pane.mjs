// SPDX-License-Identifier: Apache-2.0
// A log with its tools, in an element of the page.
//
//   const pane = new LogPane(element, { t, fetchWindow, settings });
//   const after = await pane.open(build, { line: { first, last } });
//   pane.take(line); pane.gap(data); pane.record(record);
//   await pane.verify();
//
// t(key, values)        texts; their keys are in words.mjs
// fetchWindow(build, { first, count, after } | { last })
//                       promise of { first, next, lines, after, ended, more };
//                       null as build, all builds at once, fetches nothing
// settings              { get(name, otherwise), set(name, value) }
//
// Events of the element: 'range' { first, last }, the reader chose lines;
// 'follow' { on }.

import { isLater } from '../event-id.mjs';
import { amount, span } from './amounts.mjs';
import { Columns, TIMES } from './columns.mjs';
import { selectedText } from './copying.mjs';
import { Finder } from './finder.mjs';
import { Going } from './going.mjs';
import { onKey } from './keys.mjs';
import { Model } from './model.mjs';
import { RowNodes } from './row-node.mjs';
import { Toolbar, node } from './toolbar.mjs';
import { verify } from './verify.mjs';
import { View } from './view.mjs';

// What a page that opens at the end asks for.
const TAIL_LINES = 2000;

export class LogPane {
  #element;
  #t;
  #fetchWindow;
  #settings;
  #columns;
  #toolbar = null;
  #view = null;
  #model = null;
  #going = null;
  #finder = null;
  #nodes = null;
  #build = null;
  #record = null;
  #lastId = '';
  #waiting = null; // lines that came while the log is opened, or a gap is closed
  #gapFrom = null; // id behind the last gap that was shown
  #healed = null; // promise: the gap is closed; rejects if it could not be

  constructor(element, { t, fetchWindow, settings }) {
    this.#element = element;
    this.#t = t;
    this.#fetchWindow = fetchWindow;
    this.#settings = settings;
    element.classList.add('log-pane');
    this.#columns = new Columns(element, { t, settings });
    element.addEventListener('keydown', this.#onkeydown);
    document.addEventListener('selectionchange', () => this.#view?.selected());
    document.addEventListener('keydown', (event) => this.#browserKey(event));
    element.addEventListener('copy', (event) => this.#copied(event));
  }

  /**
   * One build, at its end or at lines of it; null: all builds, from now on.
   * What take() gets meanwhile waits.
   * @return promise of the id after which its stream goes on, or null; rejects
   *         as fetchWindow does
   */
  async open(build, { line = null } = {}) {
    this.close();
    this.#build = build;
    this.#furnish();
    const model = new Model(build, this.#fetchWindow);
    this.#use(model);
    if (build === null) {
      this.#view.show(model, this.#nodes);
      this.#showEmpty();
      return null;
    }
    this.#waiting = [];
    const after = await model.open(TAIL_LINES);
    if (model !== this.#model) return after;
    this.#lastId = after ?? '';
    this.#view.show(model, this.#nodes);
    this.#showEmpty();
    this.#takeWaiting();
    if (line !== null) await this.goTo(line);
    return after;
  }

  /** A line of the stream. */
  take(line) {
    if (this.#waiting !== null) {
      this.#waiting.push(line);
      return;
    }
    if (this.#build !== null) {
      if (!isLater(line.id, this.#lastId)) return;
      this.#lastId = line.id;
    }
    this.#model.take(line);
    this.#view.grown();
  }

  /** Lines are missing in the stream: in a build they are fetched. Of all builds
   * it may be said again until the line behind them comes. */
  gap(data) {
    if (this.#build !== null) {
      if (this.#waiting === null) this.#mend();
      return;
    }
    if (data.from && data.from === this.#gapFrom) return;
    this.#gapFrom = data.from;
    this.#model.take({ text: this.#t('log.gap'), note: true, gap: true, stream: 'stdout' });
    this.#view.grown();
  }

  /** A record of the build. */
  record(record) {
    this.#record = record;
    const start = Date.parse(record.started ?? '');
    if (!Number.isNaN(start) && start !== this.#columns.startMs) {
      this.#columns.startMs = start;
      this.#times();
    }
    this.#view?.heads();
  }

  /** A key that was pressed elsewhere in the page. */
  key(event) {
    if (this.#model !== null) onKey(event, this.#acts);
  }

  /** After the end. Rejects if lines cannot be fetched. @see verify.mjs */
  async verify({ whole = false } = {}) {
    await this.#healed;
    return verify(this.#model.records, this.#record, whole);
  }

  /** Go to lines, and mark them. @return were they there? */
  async goTo(range) {
    return this.#model !== null && this.#going.toLines(range);
  }

  /** Go to the beginning of a step (from 1), and unfold it. @return was it there? */
  async goToStep(number) {
    const started = Date.parse(this.#record?.steps?.[number - 1]?.started ?? '');
    return this.#model !== null && this.#going.toStep(number, started);
  }

  focus() {
    this.scroller?.focus({ preventScroll: true });
  }

  close() {
    this.#finder?.close();
    this.#toolbar?.close();
    this.#view?.close();
    this.#element.replaceChildren();
    this.#columns.marked = null;
    this.#columns.startMs = NaN;
    this.#record = null;
    this.#waiting = null;
    this.#healed = null;
    this.#lastId = '';
    this.#model = null;
    this.#view = null;
  }

  // ---- its parts -------------------------------------------------------

  #furnish() {
    const t = this.#t;
    this.#toolbar = new Toolbar({
      t,
      columns: this.#columns,
      download: this.#build === null ? null : `/api/project/builds/${this.#build}/log`,
      does: {
        search: () => this.#finder.start(),
        hit: (step) => this.#finder.hit(step),
        problem: () => this.#going.firstProblem(),
        slow: () => this.#going.slow(),
        goTo: (text) => this.#going.toText(text),
        place: (place) => this.#going.toPlace(place),
        time: (mode) => this.#setColumn('time', mode),
        wrap: (on) => this.#setColumn('wrap', on),
        numbers: (on) => this.#setColumn('numbers', on),
        foldAll: (on) => this.#going.foldAll(on),
        start: () => this.#ends(1),
        end: () => this.#ends(-1),
      },
    });
    this.scroller = node('div', {
      class: 'log-rows', role: 'log', 'aria-live': 'off', 'aria-label': t('log.name'),
      tabindex: '0', onclick: (event) => this.#clicked(event),
    });
    this.scroller.addEventListener('scroll', () => this.#finder?.paintLater(), { passive: true });
    this.empty = node('p', { class: 'log-empty', hidden: '' }, t('log.empty'));
    this.omitted = node('p', { class: 'log-empty', hidden: '' }, t('log.omitted'));
    this.scroller.append(this.omitted, this.empty);
    this.newest = node('button', {
      class: 'log-newest', type: 'button', hidden: '', onclick: () => this.#ends(-1),
    }, t('log.newest'));
    this.loading = node('p', { class: 'log-loading', hidden: '' }, t('log.loading'));
    this.failure = node('div', { class: 'log-failure', role: 'alert', hidden: '' });
    this.#element.dataset.follow = 'on';
    this.#element.append(this.#toolbar.element, node('div', { class: 'log-frame' },
      this.scroller, this.loading, this.failure, this.newest));
    this.#view = new View(this.scroller, {
      follow: (on) => this.#followed(on),
      drawn: () => this.#drew(),
      failed: (error, again) => this.#failed(error, again),
      loading: (on) => { this.loading.hidden = !on; },
    });
  }

  #use(model) {
    this.#model = model;
    this.#nodes = new RowNodes({
      t: this.#t,
      columns: this.#columns,
      folds: model.folds,
      stepOf: (number) => this.#stepOf(number),
    });
    const parts = {
      t: this.#t, toolbar: this.#toolbar, view: this.#view, model, nodes: this.#nodes,
      columns: this.#columns,
    };
    this.#going = new Going({
      ...parts,
      failed: (error, again) => this.#failed(error, again),
      chosen: (range) => this.#tell('range', range),
    });
    this.#finder = new Finder({ ...parts, going: this.#going });
  }

  #stepOf(number) {
    const step = this.#record?.steps?.[number - 1];
    if (step === undefined) return undefined;
    const took = Date.parse(step.ended ?? '') - Date.parse(step.started ?? '');
    if (!Number.isNaN(took)) return { state: step.state, took: span(took, this.#t) };
    return { state: step.state, took: step.state === 'running' ? this.#t('log.running') : '' };
  }

  #mend() {
    this.#healed = this.#heal();
    this.#healed.catch(() => {}); // the reader is told, and may try again
  }

  // The stream has a hole: begin at the end again; what is between is fetched
  // when somebody wants it. A line that came twice is known by its id.
  async #heal() {
    this.#waiting = [];
    const model = this.#model;
    const top = this.#view.following ? null : this.#view.topRow()?.n;
    let failed = null;
    try {
      const after = await model.open(TAIL_LINES);
      if (after !== null && isLater(after, this.#lastId)) this.#lastId = after;
    } catch (error) {
      failed = error;
    }
    if (model !== this.#model) return;
    this.#view.show(model, this.#nodes);
    if (failed !== null) this.#failed(failed, () => this.#mend());
    this.#takeWaiting();
    if (failed !== null) throw failed;
    if (top) await this.#going.toRow(await model.find(top));
  }

  #takeWaiting() {
    const lines = this.#waiting;
    this.#waiting = null;
    for (const line of lines) this.take(line);
  }

  // ---- what is seen ----------------------------------------------------

  #drew() {
    this.#showEmpty();
    if (this.#columns.fit(this.#model.next)) {
      for (const row of this.#view.rows()) this.#nodes.number(row);
    }
    this.#finder.grown();
  }

  #showEmpty() {
    this.empty.hidden = this.#model.next > 1 || this.#model.at(this.#model.last)?.all.length > 0;
    this.omitted.hidden = this.#model.first === 0;
  }

  #followed(on) {
    const { unseen, isAtEnd } = this.#view;
    this.newest.hidden = on || (unseen === 0 && isAtEnd);
    const key = unseen === 1 ? 'log.new.one' : 'log.new';
    const text = unseen > 0 ? this.#t(key, { n: amount(unseen) }) : this.#t('log.newest');
    if (this.newest.textContent !== text) this.newest.textContent = text;
    const was = this.#element.dataset.follow;
    this.#element.dataset.follow = on ? 'on' : 'off';
    if (was === this.#element.dataset.follow) return;
    this.#tell('follow', { on });
  }

  #failed(error, again) {
    this.failure.replaceChildren(
      node('span', {}, this.#t('log.failed', { why: error.message })),
      node('button', {
        type: 'button',
        onclick: () => {
          this.failure.hidden = true;
          again();
        },
      }, this.#t('log.again')));
    this.failure.hidden = false;
  }

  #tell(name, detail) {
    this.#element.dispatchEvent(new CustomEvent(name, { detail, bubbles: true }));
  }

  #setColumn(name, value) {
    const keep = this.#view.topRow();
    this.#columns.set(name, value);
    if (name === 'time') {
      this.#toolbar.showTime(value);
      if (Number.isNaN(this.#columns.startMs)) this.#columns.startMs = this.#model.startMs;
      this.#times();
    } else {
      this.#toolbar[name].firstElementChild.checked = value;
    }
    this.#view.settle(keep);
  }

  #times() {
    for (const row of this.#view?.rows() ?? []) this.#nodes.time(row);
  }

  #clicked(event) {
    const row = event.target.closest('.row')?.row;
    if (row === undefined || event.target.closest('a[href]') !== null) return;
    if (event.target.closest('.no') !== null) {
      this.#going.number(row, event.shiftKey);
      return;
    }
    // Who selects a title's text does not fold.
    if (event.target.closest('.head') !== null && getSelection().isCollapsed) {
      this.#going.toggle(row);
    }
  }

  async #ends(step) {
    this.focus();
    await this.#going.ends(step);
  }

  // ---- what the browser does -------------------------------------------

  // Its own search and Select all know what is an element, and that is not
  // each line of a large log: say so.
  #browserKey({ key, ctrlKey, metaKey, altKey, target }) {
    if (this.#model === null || this.#model.isAll || altKey) return;
    const isCommand = (ctrlKey || metaKey) && !(ctrlKey && metaKey);
    const isFind = key === 'F3' || (isCommand && key.toLowerCase() === 'f');
    const isAll = isCommand && key.toLowerCase() === 'a' && this.scroller.contains(target);
    if ((!isFind && !isAll) || this.#view.isWhole) return;
    const numbers = [...this.#view.rows()].filter(({ taken }) => !taken).map(({ n }) => n);
    this.#toolbar.say(this.#t(isFind ? 'log.find' : 'log.all', {
      first: numbers[0] ?? 0, last: numbers.at(-1) ?? 0, n: amount(this.#model.next - 1),
    }));
  }

  #copied(event) {
    const text = this.#model === null ? null : selectedText(this.scroller);
    if (text === null) return;
    event.clipboardData.setData('text/plain', text);
    event.preventDefault();
  }

  // ---- keys ------------------------------------------------------------

  #onkeydown = (event) => {
    if (this.#model === null) return;
    const isSelectAll = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'a';
    if (isSelectAll && this.scroller.contains(event.target)) {
      event.preventDefault();
      getSelection().selectAllChildren(this.#view.element);
      return;
    }
    if (event.key === 'Escape' && event.target === this.#toolbar.input) {
      this.#toolbar.input.value = '';
      this.#finder.start();
      this.scroller.focus({ preventScroll: true });
      return;
    }
    onKey(event, this.#acts);
  };

  #acts = {
    search: () => {
      this.#toolbar.input.focus();
      this.#toolbar.input.select();
    },
    hit: (step) => this.#finder.hit(step),
    problem: (step) => this.#going.problem(step),
    fold: (step) => this.#going.fold(step),
    toggle: () => this.#going.toggleHere(),
    foldAll: () => this.#going.toggleAll(),
    time: () => {
      const at = TIMES.indexOf(this.#columns.time);
      this.#setColumn('time', TIMES[(at + 1) % TIMES.length]);
    },
    wrap: () => this.#setColumn('wrap', !this.#columns.wrap),
    numbers: () => this.#setColumn('numbers', !this.#columns.numbers),
    goTo: () => this.#toolbar.openGoTo(),
    slow: () => this.#toolbar.openSlow(),
    ends: (step) => this.#ends(step),
  };
}
