// SPDX-License-Identifier: Apache-2.0
// log-random.mjs - logs of pieces, frames, notes, steps and colours in any
// order: the rows are the same however much of them was loaded, in how many
// answers, and how much came live, and no number is shown twice. SEED=n is
// another lot of them.
import { note, ok, run } from './lib.mjs';
import { openLab } from './log-lib.mjs';

const SEED = Number(process.env.SEED ?? 12345);
const LOGS = 60;

// In the browser: what was different.
async function compare([from, logs]) {
  let seed = from;
  const below = (n) => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >> 8) % n;
  };
  const TEXTS = ['a', '', '\x1b[31mred', '\x1b[0m', 'x'.repeat(9000), 'error: no', '\x1b[K', '50 %',
    'http://a.example/', '\x1b[1;4mB'];
  const frames = () => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); });

  function any(count) {
    let steps = 0;
    return Array.from({ length: count }, (_, i) => {
      const kind = below(20);
      if (kind === 0) return { text: `note ${i}`, note: true };
      if (kind === 1 && steps < 5) return { text: `$ step ${i}`, note: true, step: steps += 1 };
      const how = ['partial', 'partial', 'cr'][below(6)];
      const stream = below(3) > 0 ? 'stdout' : 'stderr';
      const text = TEXTS[below(TEXTS.length)] + (below(2) > 0 ? '' : i);
      return { text, stream, ...(how === undefined ? {} : { [how]: true }) };
    });
  }

  // All rows, as soon as the first of them is there.
  async function rows() {
    await frames();
    for (let i = 0; i < 600 && document.querySelector('.row')?.row.k !== 0; i += 1) await frames();
    return [...document.querySelectorAll('.row')].map((row) => JSON.stringify([
      row.querySelector('.no').dataset.n.trim(), row.querySelector('.text').textContent,
      row.querySelector('.text').innerHTML.length, row.className, row.querySelector('.at').dataset.t]));
  }

  const wrong = [];
  for (let log = 0; log < logs; log += 1) {
    const records = any(5 + below(log % 5 === 0 ? 400 : 60));
    lab.make({ records });
    await lab.open(1);
    const want = await rows();
    const numbers = want.map((one) => JSON.parse(one)[0]).filter(Boolean);
    if (new Set(numbers).size < numbers.length) wrong.push(`log ${log}: a number twice`);
    const room = 1 + below(9);
    lab.make({ records, room });
    await lab.open(1);
    const parts = await rows();
    const other = want.findIndex((one, i) => one !== parts[i]);
    if (other >= 0 || parts.length !== want.length) {
      wrong.push(`log ${log}, ${room} records in an answer: ${parts[other]} instead of ${want[other]}`.slice(0, 300));
    }
    for (const loaded of [0, below(records.length), below(records.length)]) {
      lab.make({ records: records.slice(0, loaded) });
      await lab.open(1);
      for (let i = loaded; i < records.length;) {
        const next = i + 1 + below(8);
        lab.feed(records.slice(i, next));
        i = next;
        if (below(3) === 0) await frames();
      }
      const got = await rows();
      const at = want.findIndex((one, i) => one !== got[i]);
      if (at >= 0 || got.length !== want.length) {
        wrong.push(`log ${log}, ${loaded} of ${records.length} loaded: ${got[at]} instead of ${want[at]}`.slice(0, 300));
      }
    }
  }
  return wrong;
}

await run(async ({ page }) => {
  await openLab(page);
  const wrong = await page.evaluate(compare, [SEED, LOGS]);
  wrong.slice(0, 10).forEach(note);
  ok(wrong.length === 0, `${LOGS} logs, seed ${SEED}: live as loaded, and each number once`);
});
