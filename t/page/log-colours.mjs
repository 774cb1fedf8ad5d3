// SPDX-License-Identifier: Apache-2.0
// log-colours.mjs - all colours of terminals can be read (WCAG 2 AA, 4.5:1), in
// both themes and on each ground that a row may have; and the log at the width
// of a phone
import { note, run } from './lib.mjs';
import { drawn, openLab, openLog } from './log-lib.mjs';

const ESC = '\x1b[';
const AA = 4.5;

// Every colour of 16 and 256, and some thousand true ones.
const samples = [];
for (const [from, to] of [[30, 37], [90, 97]]) {
  for (let code = from; code <= to; code += 1) samples.push(`${code}`);
}
for (let code = 0; code < 256; code += 1) samples.push(`38;5;${code}`);
for (let r = 0; r <= 255; r += 51) {
  for (let g = 0; g <= 255; g += 51) for (let b = 0; b <= 255; b += 51) samples.push(`38;2;${r};${g};${b}`);
}
for (const fg of [39, 30, 31, 33, 34, 37, 90, 97]) {
  for (const bg of [40, 41, 42, 43, 44, 45, 46, 47, 100, 103, 107]) samples.push(`${fg};${bg}`, `7;${fg};${bg}`);
}
samples.push('2', '7', '1;2', '7;31', '2;7', '7;8', '8;31', '5;32', '2;8;41', '1;30;40', '37;47', '7;37;47', '97;107',
  '38;5;16;48;5;16', '38;2;9;9;9;48;2;9;9;9', '7;38;2;250;250;250');
// Faint colours stay colours.
const faint = [31, 32, 33, 34, 35, 36, 91, '38;5;208', '38;2;200;0;90'].map((code) => [`2;${code}`, `${code}`]);
samples.push(...faint.flat());

// The contrast of each span with what lies behind it.
function measure(grounds) {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const known = new Map();
  const rgb = (css) => {
    if (!known.has(css)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = css;
      canvas.fillRect(0, 0, 1, 1);
      known.set(css, [...canvas.getImageData(0, 0, 1, 1).data]);
    }
    return known.get(css);
  };
  const light = (css) => {
    const [r, g, b] = rgb(css).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const probe = document.createElement('i');
  document.querySelector('.log-pane').append(probe);
  const colour = (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const found = [];
  for (const name of grounds) {
    const ground = colour(name);
    for (const span of document.querySelectorAll('.row .text span')) {
      const style = getComputedStyle(span);
      const own = rgb(style.backgroundColor)[3] > 0 ? style.backgroundColor : ground;
      found.push([contrast(light(style.color), light(own)), span.textContent, name]);
    }
    for (const quiet of ['--log-text', '--log-quiet', '--log-accent', '--log-bad', '--log-warn', '--log-good']) {
      found.push([contrast(light(colour(quiet)), light(ground)), quiet, name]);
    }
  }
  for (const [text, on] of [['--log-text', '--log-hit'], ['--log-on-hit', '--log-hit-now']]) {
    found.push([contrast(light(colour(text)), light(colour(on))), text, on]);
  }
  return found.sort((a, b) => a[0] - b[0]);
}

await run(async ({ page, ok, is }) => {
  await openLab(page);
  await openLog(page, samples.map((code) => ({ text: `${ESC}${code}m${code}${ESC}0m` })));
  await page.focus('.log-rows');
  await page.keyboard.press('Home');
  await page.waitForFunction((count) => document.querySelectorAll('.row .text span').length >= count,
    samples.length - 20);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    const found = await page.evaluate(measure,
      ['--log-ground', '--log-surface', '--log-bad-ground', '--log-marked', '--log-head']);
    const [worst] = found;
    note(`${colorScheme}: ${found.length} pairs, the worst ${worst[0].toFixed(2)}: ${worst.slice(1)}`);
    const bad = found.filter(([ratio]) => ratio < AA);
    bad.slice(0, 12).forEach(([ratio, what, ground]) => note(`${ratio.toFixed(2)} ${what} on ${ground}`));
    is(bad.length, 0, `${colorScheme}: each colour has a contrast of ${AA}`);
    const hues = await page.$$eval('.row .text span', (all) => new Set(all.slice(0, 16).map(
      (one) => getComputedStyle(one).color)).size);
    ok(hues >= 14, `${colorScheme}: ${hues} of 16 colours can be told apart`);
    const [dim, full] = await page.evaluate(([some, all]) => [some, all].map((codes) => codes.map((code) => getComputedStyle(
      [...document.querySelectorAll('.row .text span')].findLast((one) => one.textContent === code)).color)),
    [faint.map(([code]) => code), faint.map(([, code]) => code)]);
    is(dim.join(), full.join(), `${colorScheme}: a faint colour is that colour`);
    ok(await page.$$eval('.row .text span', (all) => all.every((one) => {
      const { opacity, visibility, animationName } = getComputedStyle(one);
      return opacity === '1' && visibility === 'visible' && animationName === 'none';
    })), `${colorScheme}: nothing is hidden, and nothing blinks`);
  }

  await page.setViewportSize({ width: 360, height: 740 });
  await openLog(page, [{ text: '::group::A title that is rather long for a small screen' }, { text: 'x'.repeat(500) },
    { text: 'error: words that wrap and words that wrap and words that wrap', stream: 'stderr' }]);
  await page.evaluate(() => document.querySelector('#log').dispatchEvent(new Event('x')));
  for (const menu of [null, 'View', 'Slow places']) {
    if (menu !== null) await page.click(`summary:has-text("${menu}")`);
    await drawn(page);
    is(await page.evaluate(() => Math.max(document.documentElement.scrollWidth - innerWidth,
      document.querySelector('.log-rows').scrollWidth - document.querySelector('.log-rows').clientWidth)),
    0, `360 px: nothing scrolls sideways${menu === null ? '' : `, ${menu} open`}`);
    const beyond = await page.$$eval('.log-pane :is(button, summary, input, .sheet)', (all) => all.filter((one) => {
      const box = one.getBoundingClientRect();
      return one.checkVisibility() && (box.left < -1 || box.right > innerWidth + 1);
    }).map((one) => one.outerHTML.slice(0, 80)));
    is(beyond.join('\n'), '', 'and no tool is beyond the edge');
  }
  for (const say of ['log.find', 'log.tooslow']) {
    await page.evaluate((key) => import('/js/log/words.mjs').then(({ en }) => {
      document.querySelector('.said').textContent = en[key];
    }), say);
    await drawn(page);
    is(await page.$eval('.said', (one) => Math.max(one.scrollWidth - one.clientWidth, one.scrollHeight - one.clientHeight)), 0,
      `${say} can be read as a whole`);
  }
}, { viewport: { width: 1280, height: 800 } });
