// SPDX-License-Identifier: Apache-2.0
// The form that starts a build, and the projects that it offers.

import { byId, make } from './dom.mjs';
import { getProjects, startBuild } from './api.mjs';

const PERMISSION = `<Directory "/path/to/project">
    BuildLog On
    Require all granted
</Directory>`;

export class ProjectForm {
  #form = byId('start');
  #path = byId('path');
  #button = byId('build-button');
  #error = byId('path-error');
  #answer = byId('answer');
  #paths = byId('paths');
  #projects = byId('projects');
  #links = new Map(); // project -> the element that shows its last build
  #busy = false;
  #started;

  /** @param started  called with the record of a build that was accepted */
  constructor(started) {
    this.#started = started;
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#path.addEventListener('input', () => this.#refuse(''));
  }

  /** @return where streams are better taken from, or null */
  async load() {
    try {
      const { projects, streamOrigin } = await getProjects();
      this.#offer(projects);
      return streamOrigin;
    } catch (problem) {
      this.#projects.replaceChildren(make('p', { class: 'hint' },
        `${problem.message} The projects cannot be listed; a path can be typed all the same.`));
      return null;
    }
  }

  /** Keep the last build of its project up to date. */
  note(record) {
    this.#links.get(record.project)?.(record);
  }

  /** The answer to the last request is old news. */
  forget() {
    this.#answer.textContent = '';
    this.#refuse('');
  }

  async #submit() {
    if (this.#busy) return;
    this.forget();
    const path = this.#path.value.trim();
    if (path === '') {
      this.#refuse('Enter the path of a project directory.');
      this.#path.focus();
      return;
    }

    this.#setBusy(true);
    try {
      const { msg, build } = await startBuild(path);
      this.note(build);
      this.#started(build);
      this.#answer.textContent = msg;
    } catch (problem) {
      const wait = problem.retryAfter;
      this.#refuse(problem.message + (wait ? ` Try again in ${wait} s.` : ''));
      this.#path.focus();
    } finally {
      this.#setBusy(false);
    }
  }

  #refuse(text) {
    this.#error.textContent = text;
    if (text === '') this.#path.removeAttribute('aria-invalid');
    else this.#path.setAttribute('aria-invalid', 'true');
  }

  #setBusy(busy) {
    this.#busy = busy;
    this.#button.setAttribute('aria-disabled', String(busy));
  }

  #offer(projects) {
    if (projects.length === 0) {
      this.#projects.replaceChildren(
        make('p', { class: 'hint' }, 'No project may be built yet.'
          + ' Permit a directory in the configuration of the server, then reload the server:'),
        make('pre', { class: 'hint' }, PERMISSION));
      return;
    }
    this.#paths.replaceChildren(...projects.map(({ path, title }) =>
      make('option', { value: path }, title)));
    this.#projects.replaceChildren(make('ul', { 'aria-label': 'Projects' },
      ...projects.map((project) => this.#card(project))));
  }

  #card({ path, title, last }) {
    const choose = make('button', { type: 'button', class: 'project' },
      make('strong', {}, title), ' ', make('span', { class: 'path' }, path));
    choose.addEventListener('click', () => {
      this.#path.value = path;
      this.forget();
      this.#button.focus();
    });

    const link = make('a', { class: 'last' });
    let lastId = 0;
    const showLast = (record) => {
      if (record.id < lastId) return;
      lastId = record.id;
      link.href = `#build=${record.id}`;
      link.dataset.state = record.state;
      link.textContent = `#${record.id} ${record.state}`;
    };
    if (last) showLast(last);
    else link.textContent = 'not built yet';
    this.#links.set(path, showLast);
    return make('li', {}, choose, link);
  }
}
