// lib.mjs - what the tests of the page share: a browser, TAP, waiting
//
// A test is a file t/page/NAME.mjs:
//
//   import { run, base, project } from './lib.mjs';
//
//   await run(async ({ page, ok, is, until }) => {
//     await page.goto(base);
//     await page.click('#build');
//     await until(async () => (await page.textContent('#log')).includes('hello'),
//       5000, 'the line is on the screen');
//     is(await page.title(), 'Builds', 'the title');
//   });
//
// and t/90-page.t runs it with run_page_test('NAME.mjs'), which folds the TAP
// in. Errors of the page (an exception, console.error) and requests to other
// hosts fail the test by themselves; allowErrors(/pattern/) names those that a
// test provokes.
//
// The browser is the system's chromium, with a profile of its own that is
// removed. playwright-core only drives it.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

export const base = process.env.BASE_URL ?? 'http://127.0.0.1:8080';

// Path of a fixture project on the server.
export function project(name) {
  return join(process.env.PROJECTS, name);
}

const args = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

let count = 0;
let failed = 0;

function report(good, name) {
  count += 1;
  if (!good) failed += 1;
  console.log(`${good ? 'ok' : 'not ok'} ${count} - ${name}`);
  return good;
}

export function note(text) {
  for (const line of String(text).split('\n')) console.log(`# ${line}`);
}

export function ok(value, name) {
  return report(Boolean(value), name);
}

export function is(got, want, name) {
  const good = report(Object.is(got, want), name);
  if (!good) note(`     got: ${JSON.stringify(got)}\nexpected: ${JSON.stringify(want)}`);
  return good;
}

export function like(got, pattern, name) {
  const good = report(pattern.test(got), name);
  if (!good) note(`     got: ${JSON.stringify(got)}\nno match: ${pattern}`);
  return good;
}

// A deadline is for what never comes: a busy machine gets so much for all.
const LEAST_MS = 60000;

// Waits until the condition (which may be async) holds; a test by that name.
export async function until(condition, ms, name) {
  const began = Date.now();
  const deadline = began + Math.max(ms, LEAST_MS);
  for (;;) {
    const value = await condition();
    if (value) {
      report(true, name);
      return value;
    }
    if (Date.now() > deadline) {
      report(false, `${name} (not within ${Date.now() - began} ms)`);
      return undefined;
    }
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
}

const allowed = [];
export function allowErrors(...patterns) {
  allowed.push(...patterns);
}

// A new browser with an empty profile. options: those of playwright's
// launchPersistentContext (viewport, locale, reducedMotion, colorScheme ...).
async function open(options) {
  const profile = await mkdtemp(join(tmpdir(), 'page-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    ...options,
    args: [...args, ...(options.args ?? [])],
  });
  return {
    context,
    close: async () => {
      await context.close();
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function watch(page, errors) {
  page.on('pageerror', (error) => errors.push(`exception: ${error.stack ?? error}`));
  page.on('console', (message) => {
    if (message.type() === 'error') {
      errors.push(`console: ${message.text()} (${message.location().url})`);
    }
  });
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (/^(https?|wss?):$/.test(url.protocol) && url.host !== new URL(base).host) {
      errors.push(`request to another host: ${request.url()}`);
    }
  });
}

// Runs the test with { page, context, ok, is, like, until, note }, closes the
// browser whatever happens, prints the plan, and exits.
export async function run(test, options = {}) {
  const errors = [];
  let browser;
  try {
    browser = await open(options);
    const { context } = browser;
    context.on('page', (page) => watch(page, errors));
    const page = context.pages()[0] ?? await context.newPage();
    watch(page, errors);
    page.setDefaultTimeout(LEAST_MS);
    await test({ page, context, ok, is, like, until, note });
  } catch (error) {
    report(false, 'the test ran to its end');
    note(error.stack ?? error);
  } finally {
    await browser?.close();
  }
  const wrong = [...new Set(errors)].filter((text) => !allowed.some((pattern) => pattern.test(text)));
  report(wrong.length === 0, 'the page reported no error');
  wrong.forEach(note);
  done();
}

// The plan, at the end of a test that needs no browser.
export function done() {
  console.log(`1..${count}`);
  process.exitCode = failed ? 1 : 0;
}
