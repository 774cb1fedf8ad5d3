// SPDX-License-Identifier: Apache-2.0
// The language of the page, and its words in it.

import * as log from './log/words.mjs';
import { settings } from './settings.mjs';
import * as page from './words.mjs';

const WORDS = {
  en: { ...log.en, ...page.en },
  zh: { ...log.zh, ...page.zh },
};
const LOCALES = { en: 'en', zh: 'zh-CN' };

/** en or zh: what the reader chose, else the first of the browser's that we have. */
export const language = chosen();
export const locale = language === 'en' ? localeOfBrowser() : LOCALES[language];

const numbers = new Intl.NumberFormat(locale);

/** A number as the language writes it. */
export const amount = (n) => numbers.format(n);

/** The text of a key; {name} in it is values.name. */
export function t(key, values = {}) {
  const text = WORDS[language][key] ?? WORDS.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** The same for n of a thing: a key with ".one" is for one. n is written as a number. */
export function count(key, n, values = {}) {
  return t(n === 1 ? `${key}.one` : key, { ...values, n: amount(n) });
}

export const hasWord = (key) => key in WORDS.en;

export function setLanguage(name) {
  settings.set('language', name);
  location.reload();
}

/** Put the words into elements that name them. */
export function furnish(root) {
  root.querySelectorAll('[data-t]').forEach((node) => { node.textContent = t(node.dataset.t); });
  const attributes = { tLabel: 'aria-label', tTitle: 'title', tPlaceholder: 'placeholder' };
  for (const [name, attribute] of Object.entries(attributes)) {
    const selector = `[data-${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}]`;
    root.querySelectorAll(selector).forEach((node) => {
      node.setAttribute(attribute, t(node.dataset[name]));
    });
  }
}

function chosen() {
  const kept = settings.get('language', null);
  if (kept in WORDS) return kept;
  return navigator.languages.map((one) => one.slice(0, 2).toLowerCase())
    .find((one) => one in WORDS) ?? 'en';
}

// British and American dates differ: English as the browser has it.
function localeOfBrowser() {
  return navigator.languages.find((one) => /^en\b/i.test(one)) ?? LOCALES.en;
}
