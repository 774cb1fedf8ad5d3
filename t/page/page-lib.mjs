// SPDX-License-Identifier: Apache-2.0
// page-lib.mjs - what the tests of the whole page share: views, builds, what
// the rows of a log should be
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { base, note, ok, project } from './lib.mjs';

export const ANSWER_MS = 60000;
export const BUILD_MS = 300000;
const FINAL = ['succeeded', 'failed', 'cancelled', 'timed-out', 'lost'];

/** test(name, body): whatever body throws is its failure, and the next one runs. */
export function tester(context) {
  return async (name, body) => {
    const before = context.pages();
    try {
      await body();
      ok(true, name);
    } catch (error) {
      ok(false, name);
      note(error.stack ?? error);
    }
    for (const page of context.pages()) {
      if (!before.includes(page)) await page.close();
    }
  };
}

export async function open(context, path) {
  const page = await context.newPage();
  page.setDefaultTimeout(ANSWER_MS);
  await page.goto(new URL(path, base).href);
  return page;
}

export const json = async (path) => (await fetch(new URL(path, base))).json();
export const stateIs = (page, state) => page.waitForSelector(`#connection[data-state="${state}"]`);
export const truthIs = (page, truth) => page.waitForSelector(`#truth[data-truth="${truth}"]`);

/** Ask for a build beside the page; its number. */
export async function post(path) {
  const response = await fetch(new URL('/api/project/build', base), {
    method: 'POST', body: new URLSearchParams({ projectPath: path }),
  });
  assert.equal(response.status, 202);
  return (await response.json()).build.id;
}

export async function recordWhen(id, condition, ms = BUILD_MS) {
  for (const end = Date.now() + ms; ;) {
    const record = await json(`/api/project/builds/${id}`);
    if (condition(record)) return record;
    assert.ok(Date.now() < end, `build ${id} in time`);
    await new Promise((resolve) => { setTimeout(resolve, 30); });
  }
}

export const whenOver = (id) => recordWhen(id, ({ state }) => FINAL.includes(state));

/** A build by the form. */
export async function build(page, path) {
  await page.fill('#path', path);
  await page.click('#build-button');
  await page.waitForURL(/#build=\d+$/);
  return /\d+$/.exec(page.url())[0];
}

/** Wait until the build that the page follows is over; its state. */
export async function outcome(page) {
  const any = FINAL.map((state) => `#build[data-state="${state}"]`).join(',');
  const line = await page.waitForSelector(any, { timeout: BUILD_MS });
  return line.getAttribute('data-state');
}

/** The texts of the rows; of all builds if an id is given, then of this one. */
export const texts = (page, id = null) => page.$$eval(id === null ? '#log .row' : '#all-log .row',
  (rows, wanted) => rows
    .filter((row) => wanted === null || row.querySelector('.of').textContent === `#${wanted}`)
    .map((row) => row.querySelector('.text').textContent), id);

/** Wait until as many rows (of a build) are there as there should be. */
export async function settled(page, rows, id = null) {
  await page.waitForFunction(([count, wanted]) => {
    const all = [...document.querySelectorAll(wanted === null ? '#log .row' : '#all-log .row')];
    return all.filter((row) => wanted === null
      || row.querySelector('.of').textContent === `#${wanted}`).length >= count;
  }, [rows, id]);
}

/** What the stored log says should be seen: pieces joined, frames replaced. */
export async function expectedTexts(id) {
  const url = new URL(`/api/project/builds/${id}/log?format=json`, base);
  const body = await (await fetch(url)).text();
  const rows = [];
  let pieces = {};
  for (const line of body.split('\n').filter(Boolean).map((text) => JSON.parse(text))) {
    if (typeof line.text !== 'string') continue;
    if (line.note) {
      if (line.step) pieces = {};
      rows.push({ text: line.text });
      continue;
    }
    let row = pieces[line.stream];
    if (row === undefined) rows.push(row = { text: '', frame: false });
    if (row.frame && line.text !== '') row.text = '';
    row.text += line.text;
    row.frame = line.cr === true;
    pieces[line.stream] = line.partial || line.cr ? row : undefined;
  }
  // eslint-disable-next-line no-control-regex
  return rows.map(({ text }) => text.replace(/\x1b\[[0-?]*[ -/]*[@-~]/g, ''));
}

/** The row of a project, among all of them. */
export async function projectRow(page, path) {
  const row = page.locator('.project', { has: page.getByText(path, { exact: true }) });
  await row.waitFor({ state: 'attached' });
  if (await page.isVisible('.all-projects')) await page.click('.all-projects');
  return row;
}

/** Build path in page: all rows as the log has them, and how it ended. */
export async function buildAndCompare(page, path) {
  const id = await build(page, path);
  const state = await outcome(page);
  const expected = await expectedTexts(id);
  await settled(page, expected.length);
  assert.deepEqual(await texts(page), expected, 'the rows are the log, in order');
  await stateIs(page, 'ended');
  return { id, state, expected };
}

// ---- puppets (BuildLog::Puppet): builds that do what the test says ---------

export async function prepare(name, ...cues) {
  await writeFile(join(project(name), 'cue'), cues.map((line) => `${line}\n`).join(''));
}

export async function cue(name, ...cues) {
  await writeFile(join(project(name), 'cue'), cues.map((line) => `${line}\n`).join(''), { flag: 'a' });
}

/** How far an element's content is wider than it. */
export const sideways = (page, selectors) => page.evaluate((all) => all.map((selector) => {
  const { scrollWidth, clientWidth } = document.querySelector(selector);
  return scrollWidth - clientWidth;
}), selectors);

/** Elements that only markup in a text could have made. */
export const strange = (page) => page.$$eval(
  'main b, main svg, main script, main h1, img[src="x"], [onerror], [onload], [onmouseover], a[href^="javascript"]',
  (all) => all.map((one) => one.outerHTML));
