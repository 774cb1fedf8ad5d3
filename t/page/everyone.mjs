// SPDX-License-Identifier: Apache-2.0
// everyone.mjs - what axe cannot see, in a browser against a running server: what
// a screen reader is told and how often, where the focus is, how large things
// are to be hit, high contrast, languages, and keys that are in somebody's way
//
//   DEMO_FAIL  path of a project that prints on both streams and fails
// and the puppet puppet-everyone.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { base, note, project, run } from './lib.mjs';
import {
  cue, open as openIn, outcome, post, prepare, projectRow, sideways, stateIs, tester, truthIs, whenOver,
} from './page-lib.mjs';

const { DEMO_FAIL } = process.env;
const PUPPET = 'puppet-everyone';
const HTDOCS = fileURLToPath(new URL('../../htdocs', import.meta.url));

const LIVE = '[role="status"], [role="alert"], [role="log"], [role="timer"], output, [aria-live]';

/** What a screen reader would be told from now on. */
const listen = (page) => page.evaluate((live) => {
  window.told = [];
  const regions = [...document.querySelectorAll(live)].filter((one) => one.getAttribute('aria-live') !== 'off');
  new MutationObserver((all) => {
    const seen = new Set(all.map(({ target }) => (target.closest ? target : target.parentElement).closest(live))
      .filter((region) => regions.includes(region) && region.checkVisibility() && region.textContent.trim() !== ''));
    for (const region of seen) window.told.push(region.textContent.trim());
  }).observe(document.body, {
    childList: true, characterData: true, subtree: true, attributes: true, attributeFilter: ['hidden'],
  });
  return regions.length;
}, LIVE);

// What can be operated, and is seen.
const OPERABLE = 'a[href], button, input, select, summary, [tabindex="0"]';

/** The accessibility tree as lines of "role name". */
async function tree(page) {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  return nodes.filter(({ ignored }) => !ignored).map(({ role, name }) => `${role?.value} ${name?.value ?? ''}`);
}

await run(async ({ context }) => {
  const test = tester(context);
  const open = (path = '/') => openIn(context, path);
  const failed = await post(DEMO_FAIL);
  await whenOver(failed);

  await test('milestones are told, and a flood is not', async () => {
    await prepare(PUPPET, 'out a');
    const id = await post(project(PUPPET));
    const pages = [await open(`/#build=${id}`), await open('/#lines'), await open('/')];
    for (const page of pages) {
      await stateIs(page, 'live');
      assert.ok(await listen(page) > 3);
    }
    await cue(PUPPET, 'count 10000', 'err that was it', 'exit 2');
    assert.equal(await outcome(pages[0]), 'failed');
    await truthIs(pages[0], 'complete');
    await pages[2].locator('.recent a', { hasText: `#${id}` }).waitFor();
    for (const page of pages) {
      const told = await page.evaluate(() => window.told);
      note(`told: ${told.join(' | ')}`);
      assert.ok(told.some((text) => /failed with exit code 2/.test(text)), 'how it ended');
      assert.ok(told.length <= 4, `${told.length} times`);
    }
  });

  await test('a screen reader gets the result of each build, also on a phone', async () => {
    for (const width of [1280, 360]) {
      const page = await open();
      await page.setViewportSize({ width, height: 740 });
      await page.waitForSelector('.recent tbody tr');
      const lines = await tree(page);
      assert.ok(lines.includes('table Recent builds'), `${width}`);
      assert.ok(lines.some((line) => /^cell Failed/.test(line)), `${width}: the state is in the table`);
    }
  });

  await test('nothing is too small to be hit', async () => {
    for (const size of [{ width: 1280, height: 800 }, { width: 320, height: 640 }]) {
      for (const [path, ready] of [['/', '.recent tbody tr'], [`/#build=${failed}`, '#truth[data-truth="complete"]'], ['/#lines', '#connection[data-state="live"]']]) {
        const page = await open(path);
        await page.setViewportSize(size);
        await page.waitForSelector(ready);
        if (path === '/') await page.keyboard.press('?');
        // Links within a sentence, and those with room around them, are as the text is.
        const small = await page.$$eval(OPERABLE, (all) => {
          const boxes = all.filter((one) => one.checkVisibility() && !one.matches('.skip, .log-pane *, pre'))
            .map((one) => {
              const target = one.labels?.[0]?.querySelector('input[type="checkbox"]') === one ? one.labels[0] : one;
              const { left, top, width, height } = target.getBoundingClientRect();
              return { one, x: left + width / 2, y: top + height / 2, width, height };
            }).filter(({ width }) => width > 0);
          // WCAG 2.5.8: 24 by 24, or 24 from the next.
          return boxes.filter((box) => (box.width < 24 || box.height < 24)
            && boxes.some((other) => other !== box && Math.hypot(box.x - other.x, box.y - other.y) < 24))
            .map(({ one, width, height }) => `${one.outerHTML.slice(0, 80)} ${width}x${height}`);
        });
        assert.deepEqual(small, [], `${path} ${size.width}`);
        assert.deepEqual(await sideways(page, ['html']), [0], `${path} ${size.width}`);
      }
    }
  });

  await test('who uses the keyboard sees where it is, in each view', async () => {
    for (const [path, ready] of [['/', '.recent tbody tr'], [`/#build=${failed}`, '#truth[data-truth="complete"]'], ['/#lines', '#connection[data-state="live"]']]) {
      const page = await open(path);
      await page.waitForSelector(ready);
      const stops = await page.$$eval(OPERABLE, (all) => all.filter((one) => one.checkVisibility() && one.tabIndex >= 0).length);
      const unseen = [];
      for (let i = 0; i < stops; i += 1) {
        await page.keyboard.press('Tab');
        const state = await page.evaluate(() => {
          const one = document.activeElement;
          if (one === document.body) return '';
          // The frame of a field may be drawn by the box around it.
          const isDrawn = [one, one.parentElement].some((node) => {
            const { outlineStyle, outlineWidth } = getComputedStyle(node);
            return outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2;
          });
          const { top, bottom, left, right } = one.getBoundingClientRect();
          const isThere = bottom > 0 && top < innerHeight && right > 0 && left < innerWidth;
          return isDrawn && isThere ? '' : one.outerHTML.slice(0, 100);
        });
        if (state !== '') unseen.push(state);
      }
      assert.deepEqual(unseen, [], path);
    }
  });

  await test('who starts a build by the keyboard goes on from the build', async () => {
    await prepare(PUPPET, 'exit 0');
    const page = await open();
    await (await projectRow(page, project(PUPPET))).locator('button').focus();
    await page.keyboard.press('Enter');
    await page.waitForURL(/#build=\d+$/);
    await page.waitForFunction(() => document.activeElement.id === 'main');
    await outcome(page);
    await page.keyboard.press('a');
    await page.waitForSelector('#lines:not([hidden])');
    await page.keyboard.press('b');
    await page.waitForFunction(() => document.activeElement.id === 'path');
  });

  await test('keys of one letter can be switched off, and stay so', async () => {
    const page = await open();
    await page.click('#help');
    await page.uncheck('#keys-on');
    await page.keyboard.press('Escape');
    await page.waitForSelector('#keys', { state: 'hidden' });
    await page.keyboard.press('a');
    await page.keyboard.press('?');
    assert.ok(await page.isHidden('#keys'));
    await page.reload();
    await page.waitForSelector('.project');
    await page.keyboard.press('a');
    assert.ok(!page.url().includes('#lines'), 'remembered');
    await page.click('#help');
    await page.check('#keys-on');
    await page.keyboard.press('Escape');
    await page.keyboard.press('a');
    await page.waitForURL(/#lines$/);
  });

  await test('what a background drew is still there with forced colours', async () => {
    const page = await open();
    await page.emulateMedia({ forcedColors: 'active' });
    const [icon, ground] = await page.$eval('#theme', (one) => [
      getComputedStyle(one, '::before').backgroundColor, getComputedStyle(one).backgroundColor]);
    assert.notEqual(icon, ground, 'the icon of the theme');
    const bar = await page.evaluate(() => {
      const one = document.querySelector('#progress');
      return [getComputedStyle(one).backgroundColor, getComputedStyle(document.body).backgroundColor];
    });
    assert.notEqual(bar[0], bar[1], 'how far a build is');
  });

  await test('the page speaks the browser\'s language', async () => {
    for (const [languages, lang, word] of [['zh-CN,zh,en', 'zh-CN', '项目'], ['de-DE,en-GB', 'en-GB', 'Projects'],
      ['fr-FR,zh-TW', 'zh-CN', '项目'], ['fr-FR', 'en', 'Projects']]) {
      const page = await context.newPage();
      const session = await context.newCDPSession(page);
      await session.send('Emulation.setUserAgentOverride', {
        userAgent: await page.evaluate(() => navigator.userAgent), acceptLanguage: languages,
      });
      await page.goto(base);
      await page.waitForSelector('.project');
      assert.equal(await page.getAttribute('html', 'lang'), lang, languages);
      assert.equal(await page.textContent('#projects-title'), word);
      await page.close();
    }
  });

  await test('the manual is a link away, by the keyboard, on a phone, in both languages', async () => {
    for (const [language, width, name] of [['en', 1280, 'Manual'], ['zh', 1280, '手册'], ['en', 320, 'The manual'], ['zh', 320, '手册（英文）']]) {
      const page = await open();
      const problems = [];
      page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
      await page.evaluate((wanted) => localStorage.setItem('buildlog.language', JSON.stringify(wanted)), language);
      await page.setViewportSize({ width, height: 640 });
      await page.reload();
      await page.waitForSelector('.project');
      // Where there is room it is in the head; and always where keys are told.
      if (width === 320) await page.keyboard.press('?');
      let found = '';
      for (let i = 0; i < 60 && !found.startsWith(name); i += 1) {
        await page.keyboard.press('Tab');
        found = await page.evaluate(() => (document.activeElement.matches('a[hreflang="en"]') ? document.activeElement.textContent : ''));
      }
      assert.ok(found.startsWith(name), `${language} ${width}: ${name}`);
      await page.keyboard.press('Enter');
      await page.waitForURL(/\/manual\/index\.html$/);
      assert.equal(await page.textContent('h1'), 'Apache module mod_buildlog');
      assert.deepEqual(problems, [], `${language} ${width}`);
      await page.evaluate(() => localStorage.clear());
      await page.close();
    }
  });

  await test('each text that is asked for is there, and each that is there is asked for', async () => {
    const files = (await readdir(join(HTDOCS, 'js'), { recursive: true })).filter((name) => name.endsWith('.mjs'));
    const sources = await Promise.all(files.filter((name) => !/(^|\/)words\.mjs$/.test(name))
      .map((name) => readFile(join(HTDOCS, 'js', name), 'utf8')));
    const html = await readFile(join(HTDOCS, 'index.html'), 'utf8');
    const text = [...sources, html].join('\n');
    const page = await open();
    const there = await page.evaluate(async () => {
      const both = await Promise.all([import('/js/words.mjs'), import('/js/log/words.mjs')]);
      return both.flatMap(({ en }) => Object.keys(en));
    });
    const asked = [...text.matchAll(/\b(?:t|count|offer)\('([\w.-]+)'/g), ...html.matchAll(/data-t(?:-\w+)?="([^"]+)"/g)]
      .map(([, key]) => key);
    assert.ok(asked.length > 80);
    assert.deepEqual(asked.filter((key) => !there.includes(key)), [], 'asked for');
    // Keys that are put together, and those in tables.
    const begins = [...text.matchAll(/`([\w-]+\.)\$\{/g)].map(([, begin]) => begin);
    const isAsked = (key) => text.includes(`'${key}'`) || text.includes(`"${key}"`) || begins.some((begin) => key.startsWith(begin));
    assert.deepEqual(there.filter((key) => !isAsked(key.replace(/\.one$/, ''))), [], 'there');
  });
});
