// SPDX-License-Identifier: Apache-2.0
// Home: the projects, what runs and waits, what ended. Asked for once, then
// kept up to date by the `build` events of the stream of all builds.

import { getBuilds } from './api.mjs';
import { isFinal, outcome } from './build-words.mjs';
import { setClock } from './clock.mjs';
import { byId } from './dom.mjs';
import { Following } from './following.mjs';
import { t } from './i18n.mjs';
import { NowList } from './now-list.mjs';
import { ProjectList } from './project-list.mjs';
import { knownProjects, noteRecord, watchProjects } from './projects.mjs';
import { RecentList } from './recent-list.mjs';
import { entitle, milestone } from './telling.mjs';

const PAGE = 25;
const LIVE_MAX = 200;
// Ended builds that stay when nobody asked for older ones: the page is left open.
const ENDED_MAX = 100;
const TICK_MS = 1000;
// Times like "3 min ago".
const TICKS_OF_DATES = 20;
const QUEUE_MS = 400;
const RETRY_MS = 10000;
const STATES = ['queued', 'running'];
// As in buildlog.css.
const isNarrow = matchMedia('(max-width: 62rem)');

export class Home {
  #element = byId('home');
  #column = this.#element.querySelector('.column');
  #projects = new ProjectList();
  #now = new NowList();
  #recent = new RecentList({
    older: () => this.#older(),
    chosen: () => this.#reload(),
  });
  #following = null;
  #records = new Map(); // id -> record, what is shown
  #next = null; // before= of the next page
  #incomplete = false;
  #room = ENDED_MAX;
  #turn = 0; // answers to an earlier one are void
  #fresh = null; // while a list is asked for: what came of it, and meanwhile
  #unwatch = null;
  #tick = 0;
  #queueTimer = 0;
  #retryTimer = 0;
  #loaded = false;
  #drawing = false;

  constructor() {
    isNarrow.addEventListener('change', () => this.#lay());
    this.#lay();
  }

  open() {
    this.#element.hidden = false;
    entitle([]);
    this.#projects.open();
    this.#unwatch = watchProjects(() => this.#draw());
    this.#following = new Following();
    this.#following.open(null, {
      line: () => {},
      build: (record) => this.#take(record),
      end: (record) => this.#take(record),
      gap: () => this.#reload(),
      time: setClock,
    });
    this.#reload();
    let ticks = 0;
    this.#tick = setInterval(() => {
      this.#now.tick();
      ticks += 1;
      if (ticks % TICKS_OF_DATES === 0) this.#recent.tick();
      this.#projects.tick();
    }, TICK_MS);
  }

  close() {
    this.#turn += 1;
    clearInterval(this.#tick);
    clearTimeout(this.#queueTimer);
    clearTimeout(this.#retryTimer);
    this.#loaded = false;
    this.#unwatch?.();
    this.#projects.close();
    this.#following?.close();
    this.#records.clear();
    this.#element.hidden = true;
  }

  /** Start a build, by a key. */
  focus() {
    this.#projects.focus();
  }

  // One below the other, what goes on now stands first: in the document, too, so
  // that it is read and reached in the order that is seen.
  #lay() {
    (isNarrow.matches ? this.#element : this.#column).insertBefore(
      byId('now'),
      isNarrow.matches ? byId('projects').closest('.card') : this.#column.firstChild,
    );
  }

  async #reload() {
    this.#turn += 1;
    const turn = this.#turn;
    clearTimeout(this.#retryTimer);
    const { project } = this.#recent;
    const only = project === '' ? {} : { project };
    const fresh = new Map();
    this.#fresh = fresh;
    try {
      const [page, ...live] = await Promise.all([
        getBuilds({ limit: PAGE, ...only }),
        ...STATES.map((state) => getBuilds({ state, limit: LIVE_MAX })),
      ]);
      if (turn !== this.#turn) return;
      this.#next = page.next;
      this.#incomplete = page.incomplete === true;
      this.#loaded = true;
      for (const one of [page, ...live]) one.builds.forEach((record) => this.#merge(record));
      // What was shown before stays until there is something better.
      this.#records = fresh;
      this.#room = ENDED_MAX;
      this.#fresh = null;
      this.#draw();
    } catch (problem) {
      if (turn !== this.#turn) return;
      this.#recent.say(t('recent.failed', { why: problem.message }));
      if (!problem.isHopeless) this.#retryTimer = setTimeout(() => this.#reload(), RETRY_MS);
    }
  }

  async #older() {
    const turn = this.#turn;
    const { project } = this.#recent;
    this.#recent.say(t('recent.loading'));
    try {
      const page = await getBuilds({
        limit: PAGE, before: this.#next, ...(project === '' ? {} : { project }),
      });
      if (turn !== this.#turn) return;
      this.#next = page.next;
      this.#room += PAGE;
      page.builds.forEach((record) => this.#merge(record));
      this.#draw();
    } catch (problem) {
      if (turn === this.#turn) this.#recent.say(t('recent.failed', { why: problem.message }));
    }
  }

  // A list may have been written before the event that overtook it.
  #merge(record) {
    const was = this.#records.get(record.id);
    if (was !== undefined && rank(was) > rank(record)) {
      this.#fresh?.set(was.id, was);
      return false;
    }
    this.#records.set(record.id, record);
    this.#fresh?.set(record.id, record);
    noteRecord(record);
    return was?.state !== record.state;
  }

  #take(record) {
    const isNew = this.#merge(record);
    if (isNew && (isFinal(record) || record.state === 'running')) milestone(outcome(record));
    // Who waits has another place now.
    if (isNew && [...this.#records.values()].some(({ state }) => state === 'queued')) {
      clearTimeout(this.#queueTimer);
      this.#queueTimer = setTimeout(() => this.#places(), QUEUE_MS);
    }
    this.#draw();
  }

  async #places() {
    const turn = this.#turn;
    const list = await getBuilds({ state: 'queued', limit: LIVE_MAX }).catch(() => null);
    if (list === null || turn !== this.#turn) return;
    list.builds.forEach((record) => this.#merge(record));
    this.#draw();
  }

  #draw() {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      if (this.#loaded) this.#show();
    });
  }

  #show() {
    const all = [...this.#records.values()];
    const { project } = this.#recent;
    const focused = this.#now.focused;
    this.#now.show(all.filter((record) => !isFinal(record)));
    this.#recent.offer(knownProjects());
    const isWanted = (record) => project === '' || record.project === project;
    const ended = all.filter((record) => isFinal(record) && isWanted(record))
      .sort((a, b) => b.id - a.id);
    for (const { id } of ended.splice(this.#room)) {
      this.#records.delete(id);
      this.#next = ended.at(-1).id;
    }
    all.filter((record) => isFinal(record) && !isWanted(record))
      .forEach(({ id }) => this.#records.delete(id));
    this.#recent.show(ended,
      { more: this.#next !== null, said: this.#incomplete ? t('recent.incomplete') : '' });
    // A build that ended under the reader's focus takes it along.
    if (focused !== null && this.#now.focused === null) {
      (this.#recent.linkTo(focused) ?? byId('main')).focus({ preventScroll: true });
    }
  }
}

// Records of a build only go on.
function rank(record) {
  if (isFinal(record)) return 2;
  return record.state === 'running' ? 1 : 0;
}
