// SPDX-License-Identifier: Apache-2.0
// The projects: what came of their last builds, a button each, and a field that
// finds one of many, or takes the path of a directory.

import { hashOf } from './address.mjs';
import { iconOf, isFinal, wordOf } from './build-words.mjs';
import { copyText } from './clipboard.mjs';
import {
  arrange, byId, make, pathOf, setAttribute, setText,
} from './dom.mjs';
import { count, t } from './i18n.mjs';
import {
  areProjectsKnown, knownProjects, loadProjects, watchProjects,
} from './projects.mjs';
import { start } from './starting.mjs';
import { answer, milestone } from './telling.mjs';
import { ago, duration, fullTime, since } from './time.mjs';

// Works as it is, for any directory that is there.
const PERMISSION = `<Directory "/srv/projects/shop">
    BuildLog On
    BuildLogTitle "Shop"
    BuildLogStep list "ls -l"
    BuildLogStep test "echo It works"
    Require all granted
</Directory>
`;

// Of more than MANY projects a FEW are shown, until all are asked for: what runs
// is below them on a phone.
const MANY = 20;
const FEW = 12;
// While there is nothing to build: somebody may be at it.
const LOOK_MS = 5000;

export class ProjectList {
  #place = byId('projects');
  #form = byId('start');
  #path = byId('path');
  #button = byId('build-button');
  #error = byId('path-error');
  #list = make('ul', { class: 'rows', 'aria-label': t('projects.title') });
  #hint = make('p', { class: 'hint' });
  #more = make('button', { type: 'button', class: 'all-projects', onclick: () => this.#showAll() });
  #nothing = make('div', { class: 'nothing' });
  #rows = new Map(); // path -> the row's element
  #isAll = false;
  #isOpen = false;
  #drawing = false;
  #looking = 0;
  #unwatch = null;

  constructor() {
    for (const node of [this.#list, this.#hint, this.#more, this.#nothing]) node.hidden = true;
    this.#place.replaceChildren(this.#list, this.#hint, this.#more, this.#nothing);
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#path.addEventListener('input', () => {
      this.#refuse('');
      this.#filter();
      milestone(this.#path.value.trim() === '' ? '' : count('projects.found', this.#found().length));
    });
    // Who comes back to a page that was left open finds it as it is now.
    document.addEventListener('visibilitychange', () => {
      if (this.#isOpen && !document.hidden) this.#load();
    });
  }

  open() {
    this.#isOpen = true;
    this.#forgive();
    this.#path.value = '';
    this.#isAll = false;
    this.#unwatch = watchProjects(() => this.#draw());
    if (areProjectsKnown()) this.#show();
    else this.#say(t('recent.loading'));
    this.#load();
  }

  close() {
    this.#isOpen = false;
    clearTimeout(this.#looking);
    this.#unwatch?.();
    this.#forgive();
  }

  /** To the field, by a key. */
  focus() {
    this.#path.focus();
    this.#path.select();
  }

  /** Times go on. */
  tick() {
    for (const { last, path } of knownProjects()) {
      const node = this.#rows.get(path)?.querySelector('.when');
      if (node && last) setText(node, whenOf(last));
    }
  }

  async #load() {
    clearTimeout(this.#looking);
    try {
      await loadProjects();
    } catch (problem) {
      if (!areProjectsKnown()) this.#say(t('projects.failed', { why: problem.message }));
    }
    if (this.#isOpen && knownProjects().length === 0) {
      this.#looking = setTimeout(() => this.#load(), LOOK_MS);
    }
  }

  // ---- starting a build --------------------------------------------------

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
    this.#forgive();
    try {
      await start((exact ?? only)?.path ?? text, this.#button);
    } catch (problem) {
      this.#refuse(problem.message);
      this.#path.focus();
    }
  }

  #refuse(text) {
    this.#error.textContent = text;
    if (text === '') this.#path.removeAttribute('aria-invalid');
    else this.#path.setAttribute('aria-invalid', 'true');
  }

  /** What was refused before is not said any more. */
  #forgive() {
    this.#refuse('');
    for (const row of this.#rows.values()) refuseRow(row, '');
  }

  // ---- what is shown -----------------------------------------------------

  #found() {
    const text = this.#path.value.trim().toLowerCase();
    return knownProjects().filter(({ path, title }) =>
      path.toLowerCase().includes(text) || title.toLowerCase().includes(text));
  }

  #filter() {
    const found = this.#found();
    const most = this.#isAll || found.length <= MANY ? found.length : FEW;
    const shown = new Set(found.slice(0, most).map(({ path }) => path));
    for (const [path, row] of this.#rows) row.hidden = !shown.has(path);
    this.#more.hidden = most === found.length;
    setText(this.#more, t('projects.all', { n: found.length }));
    if (this.#rows.size > 0) this.#say(found.length > 0 ? '' : t('projects.nomatch'));
  }

  // The focus goes on from the first of them, but on to no button: who presses
  // twice starts nothing.
  #showAll() {
    const first = [...this.#rows.values()].find((row) => row.hidden);
    this.#isAll = true;
    this.#filter();
    first?.focus();
  }

  #say(text) {
    setText(this.#hint, text);
    this.#hint.hidden = text === '';
  }

  // Records may come by the dozen.
  #draw() {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      this.#show();
    });
  }

  #show() {
    const projects = knownProjects();
    const rows = projects.map((project) => this.#rows.get(project.path)
      ?? rowOf(project, () => this.#forgive()));
    this.#rows = new Map(projects.map(({ path }, i) => [path, rows[i]]));
    rows.forEach((row, i) => fill(row, projects[i]));
    arrange(this.#list, rows);
    this.#list.hidden = rows.length === 0;
    this.#nothing.hidden = rows.length > 0;
    if (rows.length > 0) {
      this.#nothing.replaceChildren();
    } else {
      this.#say('');
      if (this.#nothing.firstChild === null) this.#nothing.append(...nothing());
    }
    this.#filter();
  }
}

/** What to do when there is nothing. */
function nothing() {
  const copy = make('button', {
    type: 'button',
    class: 'copy',
    onclick: async () => {
      answer(await copyText(PERMISSION) ? t('copied') : t('projects.notcopied'));
    },
  }, t('copy'));
  return [
    make('h4', {}, t('projects.none')),
    make('p', {}, t('projects.how')),
    make('div', { class: 'sample' },
      make('pre', { tabindex: '0', role: 'region', 'aria-label': t('projects.sample') }, PERMISSION), copy),
    make('p', {}, t('projects.then')),
    make('p', {}, make('a', { href: 'manual/howto.html', hreflang: 'en' }, t('projects.manual'))),
  ];
}

// ---- a row -----------------------------------------------------------------

// A refusal stands where somebody acted.
function refuseRow(row, text) {
  row.querySelector('.error')?.remove();
  if (text !== '') row.append(make('p', { class: 'error', role: 'alert' }, text));
}

/** @param began  called when a build is asked for */
function rowOf({ path, title }, began) {
  const row = make('li', { class: 'project', tabindex: '-1' },
    make('img', { width: 16, height: 16, alt: '' }),
    make('div', { class: 'what' },
      make('p', { class: 'name' }, make('bdi', {}, title)),
      pathOf(path)),
    make('p', { class: 'last' },
      make('a'),
      make('span', { class: 'quiet' }, make('time', { class: 'when' }), make('span', { class: 'usually' }))),
    make('button', { type: 'button' }, t('projects.build')));
  const button = row.querySelector('button');
  button.addEventListener('click', async () => {
    began();
    try {
      await start(path, button);
    } catch (problem) {
      refuseRow(row, problem.message);
    }
  });
  return row;
}

// Nodes stay: the focus, and what is selected, stays with them.
function fill(row, { title, last, average }) {
  const icon = row.querySelector('img');
  setAttribute(icon, 'src', last ? iconOf(last.state) : iconOf('pending'));
  icon.classList.toggle('turning', last?.state === 'running');
  setText(row.querySelector('.name bdi'), title);
  setAttribute(row.querySelector('button'), 'aria-label', t('projects.buildof', { title }));
  const link = row.querySelector('.last a');
  const time = row.querySelector('.when');
  const usually = row.querySelector('.usually');
  link.hidden = !last;
  time.hidden = !last;
  if (!last) {
    setText(usually, t('projects.never'));
    return;
  }
  setText(link, `#${last.id} ${wordOf(last.state)}`);
  setAttribute(link, 'href', hashOf(last.id));
  link.dataset.state = last.state;
  const at = (isFinal(last) && last.ended) || last.started || last.created;
  setAttribute(time, 'datetime', at);
  setAttribute(time, 'title', fullTime(at));
  setText(time, whenOf(last));
  // Whole seconds: a build that takes no time takes no usual one.
  const usual = average?.seconds > 0 ? duration(average.seconds * 1000) : '';
  setText(usually, usual && ` · ${t('projects.usually', { time: usual })}`);
}

function whenOf(last) {
  if (last.state === 'running' && last.started) return duration(since(last.started));
  return ago((isFinal(last) && last.ended) || last.created);
}
