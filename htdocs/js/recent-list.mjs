// SPDX-License-Identifier: Apache-2.0
// Builds that have ended, newest first; older ones when they are asked for.

import { hashOf } from './address.mjs';
import { iconOf, reasonOf, titleOf, wordOf } from './build-words.mjs';
import { arrange, byId, make, setText } from './dom.mjs';
import { t } from './i18n.mjs';
import { ago, between, fullTime } from './time.mjs';

export class RecentList {
  #place = byId('recent');
  #choice = byId('recent-project');
  #rows = new Map(); // id -> tr
  #body = make('tbody');
  #table = make('table', { class: 'recent', 'aria-labelledby': 'recent-title' },
    make('thead', {}, make('tr', {}, ...['build', 'result', 'by', 'ended', 'took'].map((name) =>
      make('th', { scope: 'col', class: name }, t(`recent.${name}`))))), this.#body);
  #more;
  #said = make('p', { class: 'hint', role: 'status' });

  /**
   * @param older  () asks for more
   * @param chosen  (project or '') only this project's
   */
  constructor({ older, chosen }) {
    this.#more = make('button', { type: 'button', class: 'older', onclick: older }, t('recent.older'));
    this.#choice.addEventListener('change', () => chosen(this.#choice.value));
    this.#place.replaceChildren(this.#table, this.#said, this.#more);
  }

  offer(projects) {
    const wanted = ['', ...projects.map(({ path }) => path)];
    const there = [...this.#choice.options].map(({ value }) => value);
    this.#choice.hidden = projects.length < 2;
    if (wanted.join('\n') === there.join('\n')) return;
    const { value } = this.#choice;
    this.#choice.replaceChildren(make('option', { value: '' }, t('recent.all')),
      ...projects.map(({ path, title }) => make('option', { value: path }, title)));
    this.#choice.value = wanted.includes(value) ? value : '';
  }

  get project() {
    return this.#choice.value;
  }

  /** @param records  newest first  @param more  are there older ones? */
  show(records, { more, said = '' }) {
    const rows = new Map(records.map((record) => [record.id,
      this.#rows.get(record.id) ?? rowOf(record)]));
    this.#rows = rows;
    const nodes = [...rows.values()];
    arrange(this.#body, nodes);
    this.#table.classList.toggle('users', records.some(({ user }) => user));
    this.#table.hidden = nodes.length === 0;
    this.#more.hidden = !more;
    this.say(said || (nodes.length === 0 ? t('recent.none') : ''));
  }

  say(text) {
    setText(this.#said, text);
    this.#said.hidden = text === '';
  }

  /** The link to a build, if it is here. */
  linkTo(id) {
    return this.#rows.get(id)?.querySelector('a') ?? null;
  }

  tick() {
    for (const time of this.#body.querySelectorAll('time')) setText(time, ago(time.dateTime));
  }
}

function rowOf(record) {
  const ended = record.ended ?? record.created;
  const reason = reasonOf(record);
  return make('tr', { 'data-state': record.state },
    make('td', { class: 'build' },
      make('a', { href: hashOf(record.id) },
        make('img', { src: iconOf(record.state), width: 16, height: 16, alt: '' }),
        make('span', {}, make('bdi', { class: 'name' }, titleOf(record)), ' ',
          make('span', { class: 'number' }, `#${record.id}`)))),
    make('td', { class: 'result' }, make('span', { class: 'word' }, wordOf(record.state)),
      reason && make('span', { class: 'quiet reason', title: reason }, ` ${reason}`)),
    make('td', { class: 'by quiet' }, make('bdi', {}, record.user ?? '')),
    make('td', { class: 'ended quiet' },
      make('time', { datetime: ended, title: fullTime(ended) }, ago(ended))),
    make('td', { class: 'took quiet' }, between(record.started, record.ended) ?? ''));
}
