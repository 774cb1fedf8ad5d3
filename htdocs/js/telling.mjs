// SPDX-License-Identifier: Apache-2.0
// What the page says beside its views: the answer to something that was done,
// milestones, the title and the icon. What is seen for a while and what a screen
// reader hears are two elements: not all that is heard has to be seen.

import { byId, setText } from './dom.mjs';
import { iconOf } from './build-words.mjs';
import { t } from './i18n.mjs';

const TOAST_MS = 6000;

const toast = byId('toast');
const answers = byId('answer');
const milestones = byId('milestones');
const icon = document.querySelector('link[rel="icon"]');
const ICON = icon.getAttribute('href');
// In the title: the narrow tab of a page that was left open shows not much more.
const SIGNS = {
  queued: '…', running: '▶', succeeded: '✓', failed: '✗', 'timed-out': '✗', cancelled: '⊘', lost: '?',
};
let timer = 0;

/** Seen, and heard. */
export function answer(text) {
  show(text);
  answers.textContent = text;
}

/** Heard; and seen, if it is worth it. */
export function milestone(text, { isSeen = false } = {}) {
  setText(milestones, text);
  if (isSeen) show(text);
}

function show(text) {
  clearTimeout(timer);
  toast.textContent = text;
  if (text === '') return;
  timer = setTimeout(() => {
    toast.textContent = '';
    answers.textContent = '';
  }, TOAST_MS);
}

/** The title is parts; of a build with the sign, and the icon, of its state. */
export function entitle(parts, state = null) {
  const sign = state === null ? '' : `${SIGNS[state] ?? '?'} `;
  document.title = sign + [...parts, t('page.title')].filter(Boolean).join(' · ');
  const href = state === null ? ICON : iconOf(state);
  if (icon.getAttribute('href') !== href) icon.setAttribute('href', href);
}
