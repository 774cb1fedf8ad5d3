// SPDX-License-Identifier: Apache-2.0
// What stands above the log of a build: which it is, how it stands, its steps.

import { hashOf } from './address.mjs';
import {
  ending, estimate, iconOf, isFinal, stepDetail, titleOf, wordOf,
} from './build-words.mjs';
import { byId, make, pathOf, setText } from './dom.mjs';
import { count, t } from './i18n.mjs';
import { stepOf } from './now-list.mjs';
import { projectOf } from './projects.mjs';
import { clockTime, duration, fullTime, since } from './time.mjs';

export class BuildHead {
  #title = byId('view-title');
  #state = byId('build');
  #facts = byId('facts');
  #steps = byId('steps');
  #progress = byId('progress');
  #record = null;
  #drawn = '';
  #toStep;

  /** @param toStep  (number): the reader wants the beginning of this step's log */
  constructor(toStep) {
    this.#toStep = toStep;
  }

  clear(id) {
    this.#record = null;
    this.#drawn = '';
    this.#title.replaceChildren(t('build.number', { id }));
    this.#title.removeAttribute('title');
    this.#state.replaceChildren();
    delete this.#state.dataset.state;
    this.#facts.replaceChildren();
    this.#steps.hidden = true;
    this.#steps.replaceChildren();
    this.#progress.hidden = true;
  }

  show(record) {
    this.#record = record;
    // What did not change stays, and what is selected in it.
    const { position, reason, ...drawn } = record;
    if (this.#drawn !== JSON.stringify(drawn)) {
      this.#drawn = JSON.stringify(drawn);
      this.#draw(record);
    }
    this.tick();
  }

  #draw(record) {
    this.#title.replaceChildren(make('bdi', {}, titleOf(record)), ' ',
      make('span', { class: 'number' }, `#${record.id}`));
    this.#state.dataset.state = record.state;
    this.#state.replaceChildren(
      make('img', {
        src: iconOf(record.state), width: 16, height: 16, alt: '',
        class: record.state === 'running' ? 'turning' : null,
      }),
      make('strong', { class: 'word' }, wordOf(record.state)),
      make('span', { class: 'how' }));
    this.#facts.replaceChildren(...facts(record));
    this.#showSteps(record);
  }

  /** Times go on. */
  tick() {
    const record = this.#record;
    if (record === null) return;
    const guess = estimate(record, projectOf(record.project)?.average);
    this.#progress.hidden = guess === null;
    if (guess !== null) this.#progress.value = guess.share;
    this.#progress.classList.toggle('late', guess?.isLate === true);
    setText(this.#state.querySelector('.how'), howOf(record, guess));
    record.steps?.forEach((step, i) => {
      const node = this.#steps.children[i]?.querySelector('.quiet');
      if (step.state === 'running' && node) setText(node, stepDetail(step));
    });
  }

  // Their elements stay: one may have the focus.
  #showSteps({ id, steps = [] }) {
    this.#steps.hidden = steps.length === 0;
    while (this.#steps.childElementCount > steps.length) this.#steps.lastElementChild.remove();
    steps.forEach((step, i) => {
      const item = this.#steps.children[i] ?? this.#addStep(i + 1);
      const link = item.firstElementChild;
      const [image, name, detail] = link.children;
      item.dataset.state = step.state;
      if (image.alt !== wordOf(step.state)) {
        image.src = iconOf(step.state);
        image.alt = wordOf(step.state);
        image.classList.toggle('turning', step.state === 'running');
      }
      setText(name, step.name);
      setText(detail, stepDetail(step));
      // What has not begun has no lines.
      if (step.started) link.href = hashOf(id, { step: i + 1 });
      else link.removeAttribute('href');
    });
  }

  #addStep(number) {
    const link = make('a', {
      title: t('build.tostep'),
      onclick: (event) => {
        const isOther = event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
        if (isOther || !link.hasAttribute('href')) return;
        event.preventDefault();
        this.#toStep(number);
      },
    }, make('img', { width: 14, height: 14, alt: '' }), make('bdi'), ' ',
    make('span', { class: 'quiet' }));
    const item = make('li', {}, link);
    this.#steps.append(item);
    return item;
  }
}

function howOf(record, guess) {
  if (record.state === 'queued') return stepOf(record);
  if (record.state === 'running') {
    const so = record.started ? t('now.running', { time: duration(since(record.started)) }) : '';
    return [so, guess?.text, record.reason].filter(Boolean).join(' · ');
  }
  return ending(record);
}

function facts(record) {
  const time = record.started ?? record.created;
  const when = make('time', { datetime: time, title: fullTime(time) }, clockTime(time));
  const [before, behind] = t(record.started ? 'build.started' : 'build.created', { time: '\n' }).split('\n');
  const all = [
    pathOf(record.project, 'span'),
    make('span', {}, before, when, behind),
    record.user && make('span', {}, t('now.by', { user: record.user })),
    isFinal(record) && make('span', {}, count('build.size', record.lines ?? 0)),
  ];
  return all.filter(Boolean);
}
