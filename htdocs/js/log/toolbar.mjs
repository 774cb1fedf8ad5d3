// SPDX-License-Identifier: Apache-2.0
// The tools above the log: elements only; what they do is the pane's.

import { span } from './amounts.mjs';
import { TIMES } from './columns.mjs';

/** node('button', { class: 'x', onclick: f }, ...children) */
export function node(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export class Toolbar {
  #t;
  #does;
  #announceTimer = 0;

  element;
  input;

  /**
   * @param does  { search, hit(step), problem, slow, goTo(text), place(k, i), time(mode),
   *              wrap(on), numbers(on), foldAll(on), start, end }: functions
   */
  constructor({ t, columns, download, does }) {
    this.#t = t;
    this.#does = does;
    const finder = this.#finder();
    const button = (key, act, text = t(key), help = null) => node('button',
      { type: 'button', title: help, onclick: act }, text);
    const sign = (key, act, text) => node('button',
      { type: 'button', class: 'sign', 'aria-label': t(key), title: t(key), onclick: act }, text);
    this.said = node('p', { class: 'said', role: 'status' });
    this.element = node('div', { class: 'tools', role: 'group', 'aria-label': t('log.tools') },
      finder,
      node('div', { class: 'jumps' },
        button('log.problem', does.problem, t('log.problem'), t('log.problemhelp')),
        this.#slowMenu(),
        this.#viewMenu(columns, download),
        sign('log.start', does.start, '⤒'),
        sign('log.end', does.end, '⤓')),
      this.said);
  }

  /** Say something, for eyes and screen readers. */
  say(text) {
    clearTimeout(this.#announceTimer);
    this.said.textContent = text;
  }

  /** What the search box asks for; null: nothing. */
  get query() {
    const text = this.input.value;
    if (text === '') return null;
    return { text, regex: isPressed(this.regex), matchCase: isPressed(this.matchCase) };
  }

  /** @param text  beside the box  @param isWrong  the expression is none */
  counted(text, isWrong = false) {
    if (this.count.textContent !== text) this.count.textContent = text;
    this.input.setAttribute('aria-invalid', String(isWrong));
  }

  // Typing and scanning give many counts: only one that stays is announced.
  announceLater(text) {
    clearTimeout(this.#announceTimer);
    this.#announceTimer = setTimeout(() => { this.heard.textContent = text; }, 700);
  }

  slow(pauses) {
    const items = pauses.map((one) => node('li', {},
      node('button', { type: 'button', onclick: () => this.#leave(this.slowBox, one) },
        this.#t('log.slowat', { time: span(one.ms, this.#t), n: one.n }))));
    this.slowList.replaceChildren(...(items.length > 0 ? items
      : [node('li', { class: 'quiet' }, this.#t('log.noslow'))]));
  }

  looking(percent) {
    this.slowList.replaceChildren(node('li', { class: 'quiet' },
      this.#t('log.looking', { percent })));
  }

  showTime(mode) {
    for (const input of this.times) input.checked = input.value === mode;
  }

  openSlow() {
    this.slowBox.open = !this.slowBox.open;
    if (this.slowBox.open) this.slowBox.firstElementChild.focus();
  }

  openGoTo() {
    this.viewBox.open = true;
    this.goTo.focus();
    this.goTo.select();
  }

  close() {
    clearTimeout(this.#announceTimer);
    this.viewBox.open = false;
    this.slowBox.open = false;
  }

  #leave(box, place) {
    box.open = false;
    this.#does.place(place);
  }

  #finder() {
    const t = this.#t;
    const asked = () => this.#does.search();
    this.input = node('input', {
      type: 'search', placeholder: t('log.search'), 'aria-label': t('log.search'),
      autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false', oninput: asked,
      onkeydown: (event) => {
        if (event.key !== 'Enter') return;
        event.preventDefault();
        this.#does.hit(event.shiftKey ? -1 : 1);
      },
    });
    const toggle = (key, text) => node('button', {
      type: 'button', class: 'sign', 'aria-pressed': 'false', 'aria-label': t(key), title: t(key),
      onclick: ({ currentTarget }) => {
        currentTarget.setAttribute('aria-pressed', String(!isPressed(currentTarget)));
        asked();
      },
    }, text);
    this.regex = toggle('log.regex', '.*');
    this.matchCase = toggle('log.case', 'Aa');
    this.count = node('output', { class: 'count', 'aria-live': 'off' });
    this.heard = node('span', { class: 'unheard', role: 'status' });
    const go = (key, step, text) => node('button', {
      type: 'button', class: 'sign', 'aria-label': t(key), title: t(key),
      onclick: () => this.#does.hit(step),
    }, text);
    return node('div', { class: 'finder', role: 'search' },
      node('div', { class: 'box' }, this.input, this.count, this.heard),
      this.regex, this.matchCase,
      go('log.previous', -1, '↑'), go('log.next', 1, '↓'));
  }

  #slowMenu() {
    const t = this.#t;
    this.slowList = node('ol', { class: 'slow' });
    this.slowBox = menu(t('log.slow'), node('p', { class: 'quiet' }, t('log.slowhelp')),
      this.slowList);
    this.slowBox.addEventListener('toggle', () => {
      if (this.slowBox.open) this.#does.slow();
    });
    return this.slowBox;
  }

  #viewMenu(columns, download) {
    const t = this.#t;
    const does = this.#does;
    const check = (key, on, act) => node('label', {},
      checked(node('input', { type: 'checkbox', onchange: (e) => act(e.target.checked) }), on),
      t(key));
    const name = `log-time-${Math.random().toString(36).slice(2)}`;
    this.times = TIMES.map((mode) => checked(node('input', {
      type: 'radio', name, value: mode, onchange: () => does.time(mode),
    }), columns.time === mode));
    this.wrap = check('log.wrap', columns.wrap, does.wrap);
    this.numbers = check('log.numbers', columns.numbers, does.numbers);
    this.goTo = node('input', {
      type: 'text', inputmode: 'numeric', placeholder: t('log.gotohelp'), autocomplete: 'off',
      'aria-label': t('log.goto'),
    });
    const line = node('form', {
      class: 'goto',
      onsubmit: (event) => {
        event.preventDefault();
        if (does.goTo(this.goTo.value)) this.viewBox.open = false;
      },
    }, node('span', {}, t('log.goto')), this.goTo, node('button', { type: 'submit' }, t('log.go')));
    this.viewBox = menu(t('log.view'), line,
      node('fieldset', {}, node('legend', {}, t('log.time')),
        ...this.times.map((input) => node('label', {}, input, t(`log.time.${input.value}`)))),
      this.wrap, this.numbers,
      node('div', { class: 'both' },
        node('button', { type: 'button', onclick: () => does.foldAll(true) }, t('log.foldall')),
        node('button', { type: 'button', onclick: () => does.foldAll(false) },
          t('log.unfoldall'))),
      ...(download === null ? []
        : [node('a', { href: download, download: '' }, t('log.download'))]));
    return this.viewBox;
  }
}

const isPressed = (button) => button.getAttribute('aria-pressed') === 'true';

function checked(input, on) {
  input.checked = on;
  return input;
}

// Closed by Escape, and by a click elsewhere.
function menu(title, ...children) {
  const box = node('details', { class: 'menu' }, node('summary', {}, title),
    node('div', { class: 'sheet' }, ...children));
  box.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !box.open) return;
    event.stopPropagation();
    box.open = false;
    box.firstElementChild.focus();
  });
  box.addEventListener('focusout', ({ relatedTarget }) => {
    if (relatedTarget !== null && !box.contains(relatedTarget)) box.open = false;
  });
  const outside = ({ target }) => {
    if (!box.contains(target)) box.open = false;
  };
  box.addEventListener('toggle', () => {
    if (box.open) document.addEventListener('pointerdown', outside);
    else document.removeEventListener('pointerdown', outside);
  });
  return box;
}
