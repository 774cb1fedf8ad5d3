// SPDX-License-Identifier: Apache-2.0
// A build in words: its state line, its steps, the title of the document.

import { byId, make } from './dom.mjs';
import { between, duration } from './time.mjs';

const PAGE_TITLE = document.title;
const TICK_MS = 1000;

const WORDS = {
  queued: 'Queued',
  running: 'Running',
  succeeded: 'Succeeded',
  failed: 'Failed',
  cancelled: 'Cancelled',
  'timed-out': 'Timed out',
  lost: 'Lost',
};

export const isFinal = (record) => record.state !== 'queued' && record.state !== 'running';

/** "Build 42 of demo" */
export const nameOf = (record) => `Build ${record.id} of ${record.title ?? record.project}`;

/** "failed with exit code 3 in step build after 12 s" */
export function outcome(record) {
  return [
    wordOf(record.state).toLowerCase(), ending(record), inStep(record), after(record),
  ].filter(Boolean).join(' ');
}

export class BuildView {
  #title = byId('view-title');
  #state = byId('build');
  #steps = byId('steps');
  #record = null;
  #aheadMs = 0; // the server's clock minus ours
  #tick = 0;

  /** @param id  of the build that is followed; null: all builds */
  clear(id) {
    this.#record = null;
    clearInterval(this.#tick);
    this.#title.textContent = id === null ? 'All builds' : `Build ${id}`;
    this.#state.replaceChildren(
      id === null ? 'Every line of every build, from now on' : '');
    delete this.#state.dataset.state;
    this.#steps.hidden = true;
    document.title = id === null ? PAGE_TITLE : `#${id} · ${PAGE_TITLE}`;
  }

  /** The server says what time it is. */
  setTime(text) {
    const at = Date.parse(text);
    if (!Number.isNaN(at)) this.#aheadMs = at - Date.now();
  }

  show(record) {
    if (this.#record !== null && isFinal(this.#record) && !isFinal(record)) return;
    this.#record = record;
    const name = record.title ?? record.project;
    this.#title.replaceChildren(name, ' ', make('span', { class: 'number' }, `#${record.id}`));
    this.#title.title = record.project;
    document.title = `${record.state} · ${name} #${record.id} · ${PAGE_TITLE}`;
    this.#showSteps(record);
    this.#showState();

    clearInterval(this.#tick);
    if (record.state === 'running') this.#tick = setInterval(() => this.#showState(), TICK_MS);
  }

  #showState() {
    const record = this.#record;
    this.#state.dataset.state = record.state;
    this.#state.replaceChildren(
      make('strong', { class: 'badge', 'data-state': record.state }, wordOf(record.state)),
      ' ', this.#details(record));
    if (isFinal(record)) {
      const href = `/api/project/builds/${record.id}/log`;
      this.#state.append(' ', make('a', { href }, 'Raw log'));
    }
  }

  #details(record) {
    if (record.state === 'queued') {
      return record.position ? `number ${record.position} in line` : 'waiting for its turn';
    }
    if (record.state === 'running') return this.#progress(record);
    const parts = [ending(record), inStep(record), after(record)].filter(Boolean);
    // A step's result is in the parts already, in fewer words.
    const told = record.state === 'failed' && (record.exit !== null || record.signal !== null);
    return [parts.join(' '), told ? null : record.reason].filter(Boolean).join(' · ');
  }

  #progress(record) {
    const at = record.steps.findIndex((step) => step.name === record.step);
    const step = at < 0 ? '' : `step ${at + 1} of ${record.steps.length}: ${record.step}`;
    const since = record.started
      && `for ${duration(Date.now() + this.#aheadMs - Date.parse(record.started))}`;
    return [step, since].filter(Boolean).join(', ');
  }

  #showSteps({ steps = [] }) {
    this.#steps.hidden = steps.length === 0;
    this.#steps.replaceChildren(...steps.map((step) => make('li', { 'data-state': step.state },
      step.name, ' ', make('span', { class: 'quiet' }, stepDetail(step)))));
  }
}

function wordOf(state) {
  return WORDS[state] ?? state;
}

function ending({ state, exit, signal }) {
  if (signal) return `by signal ${signal}`;
  if (exit === null || exit === undefined || state === 'succeeded') return '';
  return `with exit code ${exit}`;
}

function inStep({ state, step, steps = [] }) {
  if (state !== 'failed' && state !== 'timed-out') return '';
  const name = steps.find((one) => one.state === 'failed')?.name ?? step;
  return name ? `in step ${name}` : '';
}

function after({ started, ended }) {
  const time = between(started, ended);
  return time ? `after ${time}` : '';
}

function stepDetail(step) {
  if (step.state === 'failed') {
    return [step.signal ? `signal ${step.signal}` : `exit code ${step.exit}`,
      between(step.started, step.ended)].filter(Boolean).join(', ');
  }
  return between(step.started, step.ended) ?? step.state;
}
