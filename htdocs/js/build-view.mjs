// SPDX-License-Identifier: Apache-2.0
// One build: its head, what can be done about it, and its log. The log opens at
// its end, by /lines, and the stream goes on from there; that of a build that
// has ended needs no stream.

import { hashOf } from './address.mjs';
import { cancelBuild, getBuild, getWindow } from './api.mjs';
import { BuildHead } from './build-head.mjs';
import {
  isFinal, isolated, nameOf, outcome, titleOf, wordOf,
} from './build-words.mjs';
import { copyText } from './clipboard.mjs';
import { setClock } from './clock.mjs';
import { askOnce, showText, withdraw } from './dialogs.mjs';
import { byId } from './dom.mjs';
import { Following } from './following.mjs';
import { t } from './i18n.mjs';
import { LogPane } from './log/pane.mjs';
import { loadProjects, noteRecord, projectOf } from './projects.mjs';
import { settings } from './settings.mjs';
import { start } from './starting.mjs';
import { answer, entitle, milestone } from './telling.mjs';
import { Truth } from './truth.mjs';

const TICK_MS = 1000;

export class BuildView {
  #element = byId('build-view');
  #head = new BuildHead((step) => this.#toStep(step));
  #pane;
  #truth;
  #cancel = byId('cancel');
  #again = byId('again');
  #error = byId('build-error'); // what was asked for here, and refused
  #id = null;
  #record = null;
  #place = null; // where to go in the log when it is open
  #isOpen = false;
  #ended = false; // the server had all of the log when it was opened
  #following = null;
  #turn = 0;
  #tick = 0;

  constructor() {
    const log = byId('log');
    this.#pane = new LogPane(log, {
      t,
      settings,
      fetchWindow: async (build, range) => {
        const window = await getWindow(build, range);
        this.#ended = window.ended;
        return window;
      },
    });
    this.#truth = new Truth(this.#pane, () => this.open(this.#id, null));
    log.addEventListener('range', ({ detail }) => {
      history.replaceState(null, '', hashOf(this.#id, detail));
    });
    this.#cancel.addEventListener('click', () => this.cancel());
    this.#again.addEventListener('click', () => this.#buildAgain());
    byId('copy-link').addEventListener('click', () => this.copy());
  }

  get id() {
    return this.#id;
  }

  /** @param place  in the log, as of parse() in address.mjs */
  open(id, place) {
    this.close();
    this.#id = id;
    this.#element.hidden = false;
    this.#head.clear(id);
    entitle([t('build.number', { id })]);
    byId('raw').href = `/api/project/builds/${id}/log`;
    this.#actions();
    this.#following = new Following();
    this.#tick = setInterval(() => this.#head.tick(), TICK_MS);
    this.#place = place;
    this.#load();
    loadProjects().catch(() => {}).then(() => this.#head.tick());
  }

  close() {
    this.#turn += 1;
    clearInterval(this.#tick);
    this.#following?.close();
    this.#truth.clear();
    this.#pane.close();
    this.#record = null;
    this.#isOpen = false;
    this.#error.textContent = '';
    this.#element.hidden = true;
    milestone('');
    withdraw();
  }

  /** The address names another place. */
  async goTo(place) {
    this.#place = place;
    if (!this.#isOpen) return;
    if (place?.step !== undefined) await this.#pane.goToStep(place.step);
    else if (place !== null) await this.#pane.goTo(place);
  }

  key(event) {
    this.#pane.key(event);
  }

  // ---- what can be done ------------------------------------------------

  cancel() {
    const record = this.#record;
    if (this.#cancel.hidden || record === null) return;
    askOnce({
      title: t('cancel.title'),
      text: t('cancel.text', { name: nameOf(record) }),
      yes: t('cancel.yes'),
      no: t('cancel.no'),
      act: async () => {
        try {
          await cancelBuild(record.id);
        } catch (problem) {
          // It was faster.
          if (problem.status !== 409) throw problem;
        }
        answer(t('cancel.asked'));
      },
    });
  }

  /** To the button: a key alone starts nothing. */
  focus() {
    this.#again.focus();
  }

  raw() {
    byId('raw').click();
  }

  async copy() {
    const link = location.href;
    if (await copyText(link)) answer(t('copied.link'));
    else showText({ title: t('build.link'), text: link });
  }

  async #buildAgain() {
    if (this.#record === null) return;
    const turn = this.#turn;
    this.#error.textContent = '';
    try {
      await start(this.#record.project, this.#again);
    } catch (problem) {
      if (turn === this.#turn) this.#error.textContent = problem.message;
    }
  }

  // It may be gone to again and again: there is no other address then.
  async #toStep(step) {
    history.replaceState(null, '', hashOf(this.#id, { step }));
    await this.goTo({ step });
    this.#pane.focus();
  }

  // ---- following it ----------------------------------------------------

  async #load() {
    const turn = this.#turn;
    let after;
    try {
      const record = await getBuild(this.#id);
      if (turn !== this.#turn) return;
      this.#take(record);
      after = await this.#pane.open(this.#id);
      if (turn !== this.#turn) return;
      this.#pane.record(this.#record);
      this.#isOpen = true;
      await this.goTo(this.#place);
    } catch (problem) {
      if (turn !== this.#turn) return;
      this.#pane.close();
      this.#following.failed(problem, () => this.#load());
      return;
    }
    if (turn !== this.#turn) return;
    if (isFinal(this.#record) && this.#ended) {
      this.#following.ended();
      this.#truth.check(this.#record);
      return;
    }
    this.#following.open(this.#id, {
      line: (one) => this.#pane.take(one),
      build: (record) => this.#take(record),
      end: (record) => {
        this.#take(record);
        this.#truth.check(record);
      },
      gap: (data) => this.#pane.gap(data),
      time: setClock,
    }, { after: after ?? '' });
  }

  #take(record) {
    const was = this.#record;
    if (was !== null && isFinal(was) && !isFinal(record)) return;
    this.#record = record;
    noteRecord(record);
    this.#head.show(record);
    this.#pane.record(record);
    entitle([`${isolated(titleOf(record))} #${record.id}`, wordOf(record.state)], record.state);
    this.#actions();
    if (was !== null && was.state !== record.state) milestone(outcome(record), { isSeen: isFinal(record) });
    else this.#tellStep(was, record);
    if (isFinal(record)) {
      withdraw();
      if (was === null) milestone(outcome(record));
    }
  }

  #tellStep(was, record) {
    const failed = record.steps?.find((step, i) => step.state === 'failed'
      && was?.steps?.[i]?.state === 'running');
    if (failed !== undefined) milestone(t('told.step', { step: failed.name }));
  }

  #actions() {
    const record = this.#record;
    const over = record !== null && isFinal(record);
    const hadFocus = document.activeElement === this.#cancel;
    this.#cancel.hidden = record === null || over;
    for (const id of ['again', 'raw', 'copy-link']) byId(id).hidden = record === null;
    if (hadFocus && over) this.#again.focus();
    if (record !== null) this.#again.title = projectOf(record.project)?.title ?? record.project;
  }
}
