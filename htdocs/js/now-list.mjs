// SPDX-License-Identifier: Apache-2.0
// What runs and what waits, with how far it is.

import { hashOf } from './address.mjs';
import { estimate, iconOf, titleOf, wordOf } from './build-words.mjs';
import { arrange, byId, make, setText } from './dom.mjs';
import { t } from './i18n.mjs';
import { projectOf } from './projects.mjs';
import { duration, since } from './time.mjs';

export class NowList {
  #place = byId('now-list');
  #rows = new Map(); // id -> { node, record }
  #list = make('ul', { class: 'rows' });
  #none = make('p', { class: 'hint' }, t('now.none'));

  constructor() {
    this.#place.replaceChildren(this.#list, this.#none);
  }

  /** The build whose row has the focus, or null. */
  get focused() {
    return [...this.#rows].find(([, { node }]) => node.contains(document.activeElement))?.[0] ?? null;
  }

  /** @param records  those that have not ended */
  show(records) {
    const queued = records.filter(({ state }) => state === 'queued')
      .sort((a, b) => (a.position ?? a.id) - (b.position ?? b.id) || a.id - b.id);
    const running = records.filter(({ state }) => state === 'running').sort((a, b) => a.id - b.id);
    const rows = new Map();
    [...running, ...queued].forEach((record) => {
      const node = this.#rows.get(record.id)?.node ?? rowOf(record);
      rows.set(record.id, { node, record });
    });
    this.#rows = rows;
    this.tick();
    arrange(this.#list, [...rows.values()].map(({ node }) => node));
    this.#list.hidden = rows.size === 0;
    this.#none.hidden = rows.size > 0;
  }

  tick() {
    for (const { node, record } of this.#rows.values()) fill(node, record);
  }
}

function rowOf(record) {
  return make('li', { class: 'running' },
    make('img', { width: 16, height: 16 }),
    make('div', { class: 'what' },
      make('p', { class: 'name' },
        make('a', { href: hashOf(record.id) }, make('bdi', {}, titleOf(record)), ' ',
          make('span', { class: 'number' }, `#${record.id}`)),
        record.user && make('span', { class: 'quiet' }, ` ${t('now.by', { user: record.user })}`)),
      make('p', { class: 'quiet detail' })),
    make('p', { class: 'quiet elapsed' }),
    make('progress', { class: 'progress', max: 1, 'aria-label': t('build.progress') }));
}

function fill(node, record) {
  const icon = node.querySelector('img');
  if (icon.alt !== wordOf(record.state)) {
    icon.src = iconOf(record.state);
    icon.alt = wordOf(record.state);
    icon.classList.toggle('turning', record.state === 'running');
  }
  const guess = estimate(record, projectOf(record.project)?.average);
  const bar = node.querySelector('progress');
  bar.hidden = guess === null;
  if (guess !== null) bar.value = guess.share;
  bar.classList.toggle('late', guess?.isLate === true);
  setText(node.querySelector('.detail'), [stepOf(record), guess?.text].filter(Boolean).join(' · '));
  setText(node.querySelector('.elapsed'), record.state === 'running' && record.started
    ? t('now.running', { time: duration(since(record.started)) }) : '');
}

/** Where a build stands that has not ended. */
export function stepOf(record) {
  if (record.state === 'queued') {
    return record.reason
      ?? (record.position ? t('now.place', { n: record.position }) : t('now.waiting'));
  }
  const { step, steps = [], reason } = record;
  const at = steps.findIndex((one) => one.name === step);
  const text = at < 0 ? '' : t('now.step', { at: at + 1, of: steps.length, step });
  return [text, reason].filter(Boolean).join(' · ');
}
