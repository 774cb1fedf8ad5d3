// SPDX-License-Identifier: Apache-2.0
// The sheet of keys, and a question. Both hold the focus until they are closed.

import { byId, make } from './dom.mjs';
import { t } from './i18n.mjs';
import { KEYS } from './log/keys.mjs';
import { settings } from './settings.mjs';

const FOCUSABLE = 'button:not([disabled]), a[href], input, select';

export const isDialogOpen = () => document.querySelector('dialog[open]') !== null;

/** Prepare a dialog: Tab stays in it, Escape and a click beside it close it. */
function prepare(dialog) {
  dialog.addEventListener('keydown', (event) => {
    if (event.key !== 'Tab') return;
    const all = [...dialog.querySelectorAll(FOCUSABLE)];
    const at = all.indexOf(document.activeElement);
    const next = (at + (event.shiftKey ? -1 : 1) + all.length) % all.length;
    event.preventDefault();
    all[next].focus();
  });
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close();
  });
}

const keys = byId('keys');
const ask = byId('ask');
const text = byId('text');
for (const dialog of [keys, ask, text]) {
  prepare(dialog);
  dialog.querySelector('.close')?.addEventListener('click', () => dialog.close());
}

// Who speaks to the computer, or hits keys by accident, is better off without
// keys of one letter (WCAG 2.1.4).
const keysOn = byId('keys-on');
keysOn.checked = areKeysOn();
keysOn.addEventListener('change', () => settings.set('keys', keysOn.checked));

export function areKeysOn() {
  return settings.get('keys', true) !== false;
}

/** @param pageKeys  array of { keys, text }: those of the page */
export function showKeys(pageKeys) {
  if (keys.open) return;
  byId('key-lists').replaceChildren(list('keys.page', pageKeys), list('keys.log', KEYS));
  keys.showModal();
}

function list(title, rows) {
  return make('section', {}, make('h3', {}, t(title)), make('dl', {},
    ...rows.map(({ keys: names, text }) => make('div', {},
      make('dt', {}, ...names.flatMap((name, i) => [
        i > 0 && make('span', {}, ` ${t('keys.or')} `), make('kbd', {}, name)])),
      make('dd', {}, t(text))))));
}

/**
 * Ask once. act() may reject: it is said in the dialog, and may be tried again.
 */
export function askOnce({ title, text, yes, no, act }) {
  const error = byId('ask-error');
  const [yesButton, noButton] = [byId('ask-yes'), byId('ask-no')];
  byId('ask-title').textContent = title;
  byId('ask-text').textContent = text;
  error.textContent = '';
  yesButton.textContent = yes;
  noButton.textContent = no;
  yesButton.disabled = false;
  noButton.onclick = () => ask.close();
  yesButton.onclick = async () => {
    yesButton.disabled = true;
    error.textContent = '';
    try {
      await act();
      ask.close();
    } catch (problem) {
      error.textContent = problem.message;
      yesButton.disabled = false;
    }
  };
  ask.showModal();
  noButton.focus();
}

/** Close the question: it is no longer one. */
export function withdraw() {
  ask.close();
}

/** A text to be copied by hand: it is selected. */
export function showText({ title, text: value }) {
  const field = byId('text-field');
  byId('text-title').textContent = title;
  field.value = value;
  text.showModal();
  field.focus();
  field.select();
}
