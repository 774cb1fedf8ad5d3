// SPDX-License-Identifier: Apache-2.0
// The page: what the address says is shown, and the keys that hold everywhere.

import { parse } from './address.mjs';
import { BuildView } from './build-view.mjs';
import { areKeysOn, isDialogOpen, showKeys } from './dialogs.mjs';
import { byId } from './dom.mjs';
import { Home } from './home.mjs';
import { furnish, language, locale, setLanguage, t } from './i18n.mjs';
import { LinesView } from './lines-view.mjs';
import { THEMES, setTheme, theme } from './theme.mjs';

byId('plain').remove();
document.documentElement.lang = language === 'zh' ? 'zh-CN' : locale;
furnish(document);

const views = { home: new Home(), lines: new LinesView(), build: new BuildView() };
let shown = null; // { view, build, place }
let wantsFocus = false; // once home is there

function show() {
  const wanted = parse(location.hash);
  if (shown !== null && shown.view === wanted.view && shown.build === wanted.build) {
    if (wanted.view === 'build') views.build.goTo(wanted.place);
    return;
  }
  reopen(wanted);
}

function reopen(wanted = parse(location.hash)) {
  if (shown !== null) views[shown.view].close();
  const isFirst = shown === null;
  shown = wanted;
  document.body.dataset.view = wanted.view;
  byId('to-home').setAttribute('aria-current', wanted.view === 'home' ? 'page' : 'false');
  byId('all-builds').setAttribute('aria-current', wanted.view === 'lines' ? 'page' : 'false');
  views[wanted.view].open(wanted.build, wanted.place);
  // Who came by a link or a button that is gone now goes on from the content.
  const focused = document.activeElement ?? document.body;
  if (wantsFocus && wanted.view === 'home') {
    views.home.focus();
  } else if (!isFirst && (focused === document.body || !focused.checkVisibility())) {
    byId('main').focus({ preventScroll: true });
  }
  wantsFocus = false;
}

// ---- settings ----------------------------------------------------------

const themeButton = byId('theme');
const languageButton = byId('language');

function nextTheme() {
  setTheme(THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]);
  showTheme();
}

function showTheme() {
  const text = t('settings.theme', { theme: t(`theme.${theme()}`) });
  themeButton.dataset.theme = theme();
  themeButton.title = text;
  themeButton.setAttribute('aria-label', text);
}

showTheme();
themeButton.addEventListener('click', nextTheme);

// It says the other language, in that language.
const other = language === 'en' ? { name: 'zh', text: '中文', lang: 'zh-CN' }
  : { name: 'en', text: 'English', lang: 'en' };
languageButton.textContent = other.text;
languageButton.lang = other.lang;
languageButton.addEventListener('click', () => setLanguage(other.name));

// ---- keys --------------------------------------------------------------

const KEYS = [
  { keys: ['?'], text: 'key.help', act: () => showKeys(KEYS) },
  { keys: ['h'], text: 'key.home', act: () => { location.hash = ''; } },
  { keys: ['a'], text: 'key.lines', act: () => { location.hash = 'lines'; } },
  {
    keys: ['b'],
    text: 'key.build',
    act: () => {
      if (shown.view === 'lines') {
        wantsFocus = true;
        location.hash = '';
      } else {
        views[shown.view].focus();
      }
    },
  },
  { keys: ['x'], text: 'key.cancel', act: () => onBuild('cancel') },
  { keys: ['c'], text: 'key.copy', act: () => onBuild('copy') },
  { keys: ['r'], text: 'key.raw', act: () => onBuild('raw') },
  {
    keys: ['T'],
    text: 'key.theme',
    act: nextTheme,
  },
];

function onBuild(act) {
  if (shown.view === 'build') views.build[act]();
}

addEventListener('keydown', (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
  if (!areKeysOn() || isDialogOpen() || (event.target.closest?.('input, select, textarea') ?? null) !== null) return;
  const row = KEYS.find(({ keys }) => keys.includes(event.key));
  if (row !== undefined) {
    event.preventDefault();
    row.act();
  } else {
    views[shown.view].key?.(event);
  }
});

byId('help').addEventListener('click', () => showKeys(KEYS));

// ---- the address -------------------------------------------------------

document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault();
  byId('main').focus();
});
addEventListener('hashchange', show);
addEventListener('pageshow', (event) => {
  if (event.persisted) reopen();
});

show();
