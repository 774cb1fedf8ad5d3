// SPDX-License-Identifier: Apache-2.0
// What the page says beside its views: the answer to something that was done
// (seen for a while), milestones (heard), the title and the icon.

import { byId, setText } from './dom.mjs';
import { iconOf } from './build-words.mjs';
import { t } from './i18n.mjs';

const TOAST_MS = 6000;

const toast = byId('answer');
const milestones = byId('milestones');
const icon = document.querySelector('link[rel="icon"]');
const ICON = icon.getAttribute('href');
let timer = 0;

export function answer(text) {
  clearTimeout(timer);
  toast.textContent = text;
  if (text !== '') timer = setTimeout(() => { toast.textContent = ''; }, TOAST_MS);
}

export function milestone(text) {
  setText(milestones, text);
}

/** @param state  of the build that is shown, or null */
export function entitle(parts, state = null) {
  document.title = [...parts, t('page.title')].filter(Boolean).join(' · ');
  const href = state === null ? ICON : iconOf(state);
  if (icon.getAttribute('href') !== href) icon.setAttribute('href', href);
}
