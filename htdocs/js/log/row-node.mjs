// SPDX-License-Identifier: Apache-2.0
// A row as an element.
//
// What stands beside the text is drawn by log.css from attributes: neither a
// selection nor the browser's own search takes it for text of the log. It is
// padded here, and so plain text in a line: boxes of their own would make the
// layout of many rows several times slower.

import { amount, span } from './amounts.mjs';
import { paint } from './ansi.mjs';
import { heatOf } from './columns.mjs';
import { strip } from './escapes.mjs';
import { shown } from './rows.mjs';

// With two spaces behind it, --at in log.css.
const TIME_CHARS = 12;

// A Chinese character is as wide as two.
const wide = (text) => text.match(/[\u2e80-\uffef]/g)?.length ?? 0;

function make(tag, name) {
  const node = document.createElement(tag);
  node.className = name;
  return node;
}

export class RowNodes {
  #t;
  #columns;
  #folds;
  #stepOf;

  /** @param stepOf  number of a step (from 1) -> { took, state }, or undefined */
  constructor({ t, columns, folds, stepOf }) {
    this.#t = t;
    this.#columns = columns;
    this.#folds = folds;
    this.#stepOf = stepOf;
  }

  make(row, isAll) {
    const node = make('div', 'row');
    node.append(isAll ? buildLink(row) : make('span', 'no'), make('span', 'at'),
      make('span', 'text'));
    row.node = node;
    node.row = row;
    this.fill(row);
    return node;
  }

  /** Show what a row says now. */
  fill(row) {
    const { node } = row;
    this.#look(row);
    this.number(row);
    this.time(row);
    const text = node.querySelector(':scope > .text');
    paint(text, shown(row), row.colours);
    if (row.full && row.cut > 0) {
      const cut = make('span', 'cut');
      cut.textContent = ` ${this.#t('log.cut', { n: amount(row.cut) })}`;
      text.append(cut);
    }
    if (row.mark?.type === 'open') this.head(row);
  }

  number(row) {
    const no = row.node.firstElementChild;
    if (no.className !== 'no') return;
    const isOwn = row.part === 0 && !row.taken;
    const text = (isOwn ? String(row.n) : '').padStart(this.#columns.digits);
    if (no.dataset.n !== text) no.dataset.n = text;
    const help = this.#helpOf(row);
    if (no.title !== help) no.title = help;
  }

  #helpOf({ taken, part, begun, n }) {
    if (part > 0) return '';
    if (taken) return this.#t('log.unended');
    return begun < n ? this.#t('log.begun', { begun, n }) : '';
  }

  time(row) {
    const at = row.node.children[1];
    const text = this.#columns.timeOf(row);
    if (text !== '') at.dataset.t = text.padStart(TIME_CHARS - wide(text));
    else if (at.dataset.t !== undefined) delete at.dataset.t;
  }

  mark(row) {
    row.node.classList.toggle('marked', this.#columns.isMarked(row));
  }

  /** The button and the duration of a row that begins a fold. */
  head(row) {
    const fold = this.#folds.of(row);
    if (fold === undefined) return;
    const { node } = row;
    let button = node.querySelector(':scope > .fold');
    if (button === null) {
      button = make('button', 'fold');
      button.type = 'button';
      const took = make('span', 'took');
      node.querySelector(':scope > .text').before(button);
      node.append(took);
      node.classList.add('head', `${fold.kind}-head`);
      node.style.setProperty('--depth', fold.depth);
    }
    const folded = this.#folds.isFolded(fold);
    button.setAttribute('aria-expanded', String(!folded));
    button.setAttribute('aria-label', this.#t('log.fold', { name: strip(shown(row)).trim() }));
    const step = fold.kind === 'step' ? this.#stepOf(fold.step) : undefined;
    if (step !== undefined) node.dataset.state = step.state;
    node.lastElementChild.dataset.took = step?.took ?? this.#took(fold);
  }

  #took(fold) {
    if (fold.end !== null && fold.sure) return span(Math.max(0, fold.endMs - fold.ms), this.#t);
    return '';
  }

  #look(row) {
    const { classList } = row.node;
    if (row.stderr && !row.note) {
      classList.add('stderr');
      row.node.dataset.kind = this.#t('log.stderr');
    }
    classList.toggle('note', row.note);
    classList.toggle('gap', row.gap);
    classList.toggle('problem', row.problem);
    const heat = heatOf(row);
    if (heat > 0) {
      row.node.dataset.heat = heat;
      row.node.dataset.pause = span(row.pause, this.#t);
    }
    if (this.#columns.marked !== null) this.mark(row);
  }
}

function buildLink({ build }) {
  const link = make('a', 'of');
  if (build > 0) {
    link.href = `#build=${build}`;
    link.textContent = `#${build}`;
  }
  return link;
}
