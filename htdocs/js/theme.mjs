// SPDX-License-Identifier: Apache-2.0
// Light or dark: as the system has it, or as the reader chose. The colours of
// both are in the style sheets (light-dark()). Runs before the first paint.

import { settings } from './settings.mjs';

export const THEMES = ['auto', 'light', 'dark'];

export function theme() {
  const chosen = settings.get('theme', 'auto');
  return THEMES.includes(chosen) ? chosen : 'auto';
}

export function setTheme(name) {
  settings.set('theme', name);
  show();
}

function show() {
  const name = theme();
  if (name === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
}

show();
