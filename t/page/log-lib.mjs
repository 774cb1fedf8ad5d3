// SPDX-License-Identifier: Apache-2.0
// log-lib.mjs - what the tests of the log share: the lab (log-lab.html) in the
// browser, on the server's own files
import { readFile } from 'node:fs/promises';

import { base } from './lib.mjs';

export const WAIT_MS = 60000;

const FILES = {
  '/log-lab.html': 'text/html',
  '/log-lab.css': 'text/css',
  '/log-lab.mjs': 'text/javascript',
};

/** The lab in this page, empty. */
export async function openLab(page) {
  for (const [path, contentType] of Object.entries(FILES)) {
    const body = await readFile(new URL(`.${path}`, import.meta.url));
    await page.route(new URL(path, base).href, (route) => route.fulfill({ body, contentType }));
  }
  await page.goto(new URL('/log-lab.html', base).href);
  await page.waitForFunction(() => globalThis.lab !== undefined);
}

/** A log with these records, opened and drawn. */
export async function openLog(page, records, { build = 1, options = {}, ...server } = {}) {
  await page.evaluate(async ([list, more, id, how]) => {
    lab.make({ records: list, ...more });
    await lab.open(id, how);
  }, [records, server, build, options]);
  await drawn(page);
}

/** Two frames: what was asked for is laid out. */
export const drawn = (page) => page.evaluate(() => new Promise((done) => {
  requestAnimationFrame(() => requestAnimationFrame(done));
}));

export const feed = async (page, lines) => {
  await page.evaluate((list) => lab.feed(list), lines);
  await drawn(page);
};

/** What the rows say that are in the document. */
export const texts = (page) => page.$$eval('.row .text', (all) => all.map((one) => one.textContent));

/** Numbers of the rows that are in the document. */
export const numbers = (page) => page.$$eval('.row', (all) => all.map((one) => one.row.n));

/** What the rows show as their numbers, '' being none. */
export const shownNumbers = (page) => page.$$eval('.row .no',
  (all) => all.map((one) => one.dataset.n.trim()));

/** Numbers of the rows that can be seen. */
export const inSight = (page) => page.evaluate(() => {
  const view = document.querySelector('.log-rows').getBoundingClientRect();
  return [...document.querySelectorAll('.row')].filter((one) => {
    const box = one.getBoundingClientRect();
    return box.bottom > view.top + 1 && box.top < view.bottom - 1;
  }).map((one) => one.row.n);
});

export const scrollTo = (page, top) => page.evaluate((px) => {
  document.querySelector('.log-rows').scrollTop = px;
}, top);

export const isFollowing = (page) => page.evaluate(
  () => document.querySelector('#log').dataset.follow === 'on');
