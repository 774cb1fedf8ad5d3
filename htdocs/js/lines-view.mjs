// SPDX-License-Identifier: Apache-2.0
// The lines of all builds, from now on.

import { isFinal, outcome } from './build-words.mjs';
import { setClock } from './clock.mjs';
import { byId } from './dom.mjs';
import { Following } from './following.mjs';
import { t } from './i18n.mjs';
import { LogPane } from './log/pane.mjs';
import { loadProjects, noteRecord } from './projects.mjs';
import { settings } from './settings.mjs';
import { entitle, milestone } from './telling.mjs';

export class LinesView {
  #element = byId('lines');
  #pane = new LogPane(byId('all-log'), { t, settings, fetchWindow: () => Promise.reject(new Error()) });
  #following = null;
  #states = new Map(); // build -> its state as last told

  open() {
    this.#element.hidden = false;
    entitle([t('lines.title')]);
    this.#pane.open(null);
    this.#following = new Following();
    this.#following.open(null, {
      line: (line) => this.#pane.take(line),
      build: (record) => this.#take(record),
      end: (record) => this.#take(record),
      gap: (data) => this.#pane.gap(data),
      time: setClock,
    });
    loadProjects().catch(() => {}); // where streams are better taken from
  }

  close() {
    this.#following?.close();
    this.#pane.close();
    this.#states.clear();
    this.#element.hidden = true;
  }

  key(event) {
    this.#pane.key(event);
  }

  #take(record) {
    noteRecord(record);
    if (this.#states.get(record.id) === record.state) return;
    this.#states.set(record.id, record.state);
    if (record.state === 'running' || isFinal(record)) milestone(outcome(record));
  }
}
