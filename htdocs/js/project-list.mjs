// SPDX-License-Identifier: Apache-2.0
// The projects: what came of their last builds, a button each, and a field that
// finds one of many, or takes the path of a directory.

import { hashOf } from './address.mjs';
import { iconOf, isFinal, wordOf } from './build-words.mjs';
import { byId, make } from './dom.mjs';
import { t } from './i18n.mjs';
import { knownProjects, loadProjects, watchProjects } from './projects.mjs';
import { start } from './starting.mjs';
import { ago, duration, fullTime, since } from './time.mjs';

const PERMISSION = `<Directory "/srv/projects/shop">
    BuildLog On
    BuildLogTitle "Shop"
    BuildLogStep install "npm ci"
    BuildLogStep build "npm run build"
    Require all granted
</Directory>`;

export class ProjectList {
  #place = byId('projects');
  #form = byId('start');
  #path = byId('path');
  #button = byId('build-button');
  #error = byId('path-error');
  #hint = make('p', { class: 'hint', hidden: '' }, t('projects.nomatch'));
  #rows = new Map(); // path -> the row's element
  #unwatch = null;

  constructor() {
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#path.addEventListener('input', () => {
      this.#refuse('');
      this.#filter();
    });
  }

  async open() {
    this.#refuse('');
    this.#path.value = '';
    this.#filter();
    this.#unwatch = watchProjects(() => this.#show());
    if (knownProjects().length > 0) this.#show();
    try {
      await loadProjects();
    } catch (problem) {
      if (knownProjects().length > 0) return;
      this.#place.replaceChildren(make('p', { class: 'hint' },
        t('projects.failed', { why: problem.message })));
    }
  }

  close() {
    this.#unwatch?.();
  }

  /** To the field, by a key. */
  focus() {
    this.#path.focus();
    this.#path.select();
  }

  /** Times go on. */
  tick() {
    for (const project of knownProjects()) {
      const { last, path } = project;
      const node = this.#rows.get(path)?.querySelector('.when');
      if (node && last) node.textContent = whenOf(last);
    }
  }

  // What is typed means a directory, or the one project that has it in its name.
  async #submit() {
    const text = this.#path.value.trim();
    if (text === '') {
      this.#refuse(t('start.empty'));
      this.#path.focus();
      return;
    }
    const exact = knownProjects().find(({ path, title }) => path === text || title === text);
    const found = this.#found();
    if (exact === undefined && !text.startsWith('/') && found.length > 1) {
      this.#refuse(t('start.many', { n: found.length }));
      this.#path.focus();
      return;
    }
    const only = text.startsWith('/') ? undefined : found[0];
    await this.#start((exact ?? only)?.path ?? text, this.#button);
  }

  async #start(path, button) {
    this.#refuse('');
    try {
      await start(path, button);
    } catch (problem) {
      this.#refuse(problem.message);
      if (button === this.#button) this.#path.focus();
    }
  }

  #refuse(text) {
    this.#error.textContent = text;
    if (text === '') this.#path.removeAttribute('aria-invalid');
    else this.#path.setAttribute('aria-invalid', 'true');
  }

  #found() {
    const text = this.#path.value.trim().toLowerCase();
    return knownProjects().filter(({ path, title }) =>
      path.toLowerCase().includes(text) || title.toLowerCase().includes(text));
  }

  #filter() {
    const found = new Set(this.#found().map(({ path }) => path));
    for (const [path, row] of this.#rows) row.hidden = !found.has(path);
    this.#hint.hidden = found.size > 0 || this.#rows.size === 0;
  }

  #show() {
    const projects = knownProjects();
    if (projects.length === 0) {
      this.#rows.clear();
      this.#place.replaceChildren(make('div', { class: 'nothing' },
        make('h4', {}, t('projects.none')),
        make('p', {}, t('projects.how')), make('pre', { tabindex: '0' }, PERMISSION),
        make('p', {}, t('projects.then'))));
      return;
    }
    // A row with the focus stays the element that it is.
    const rows = projects.map((project) => {
      const row = this.#rows.get(project.path) ?? this.#row(project);
      this.#rows.set(project.path, row);
      fill(row, project);
      return row;
    });
    const there = this.#place.querySelector('ul');
    if (there !== null && there.children.length === rows.length
      && rows.every((row, i) => row === there.children[i])) return;
    this.#place.replaceChildren(make('ul', { class: 'rows', 'aria-label': t('projects.title') },
      ...rows), this.#hint);
    this.#filter();
  }

  #row({ path, title }) {
    const button = make('button', {
      type: 'button', 'aria-label': t('projects.buildof', { title }),
      onclick: () => this.#start(path, button),
    }, t('projects.build'));
    return make('li', { class: 'project' },
      make('img', { width: 16, height: 16, alt: '' }),
      make('div', { class: 'what' },
        make('p', { class: 'name' }),
        make('p', { class: 'path' }, path)),
      make('p', { class: 'last' }),
      button);
  }
}

function fill(row, { title, last, average }) {
  row.querySelector('img').src = last ? iconOf(last.state) : iconOf('pending');
  row.querySelector('img').classList.toggle('turning', last?.state === 'running');
  row.querySelector('.name').replaceChildren(title);
  const usually = average ? t('projects.usually', { time: duration(average.seconds * 1000) }) : '';
  const what = row.querySelector('.last');
  if (!last) {
    what.replaceChildren(make('span', { class: 'quiet' }, t('projects.never')));
    return;
  }
  const time = last.ended ?? last.started ?? last.created;
  what.replaceChildren(
    make('a', { href: hashOf(last.id), 'data-state': last.state }, `#${last.id} ${wordOf(last.state)}`),
    make('span', { class: 'quiet' },
      make('time', { class: 'when', datetime: time, title: fullTime(time) }, whenOf(last)),
      usually && ` · ${usually}`));
}

function whenOf(last) {
  if (last.state === 'running' && last.started) return duration(since(last.started));
  return ago((isFinal(last) && last.ended) || last.created);
}
