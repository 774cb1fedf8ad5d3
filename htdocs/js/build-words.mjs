// SPDX-License-Identifier: Apache-2.0
// A build in words.

import { t } from './i18n.mjs';
import { between, duration, since } from './time.mjs';

export const isFinal = (record) => record.state !== 'queued' && record.state !== 'running';
export const titleOf = (record) => record.title || record.project;

/** A text that may run from right to left, in a title, where no element keeps it apart. */
export const isolated = (text) => (/\p{Script=Arabic}|\p{Script=Hebrew}|\p{Script=Syriac}|\p{Script=Thaana}/u.test(text)
  ? `\u2068${text}\u2069` : text);

/** "Build 42 of demo" */
export const nameOf = (record) => t('build.name', { id: record.id, title: titleOf(record) });

export const wordOf = (state) => t(`state.${state}`);

/** The icon of a state; beside it stands its word, or something that says it. */
export const iconOf = (state) => `icons/${/^[a-z-]+$/.test(state) ? state : 'lost'}.svg`;

/** How it ended: "with exit code 3 in step build after 12 s". */
export function ending(record) {
  const { signal, exit, state } = record;
  const failed = failedStep(record);
  const parts = [];
  // That its processes were ended is how others end, not why.
  if (state === 'failed' && signal) parts.push(t('end.signal', { signal }));
  else if (state === 'failed' && exit !== null) parts.push(t('end.exit', { exit }));
  parts.push(reasonOf(record));
  if (failed !== null) parts.push(t('end.step', { step: failed }));
  const took = between(record.started, record.ended);
  if (took !== null) parts.push(t('end.after', { time: took }));
  return parts.filter(Boolean).join(t('end.join'));
}

/** What a screen reader is told, and the title of the log's end. */
export function outcome(record) {
  const text = t(`told.${record.state}`, { name: nameOf(record) });
  const how = ending(record);
  return how === '' ? text : `${text} ${how}`;
}

// What the server says of a build, in its own words (bl_words, bl_job).
const REASONS = [
  [/^by (?<user>\S.*)$/, 'end.by'],
  [/^not over after (?<time>.*)$/, 'end.late'],
  [/^no output for (?<time>.*)$/, 'end.silent'],
  [/^the server stopped$/, 'end.stopped'],
  [/^the runner ended while it was (?:running|waiting)$/, 'end.runner'],
];

/** The reason of the server, where it says more than the steps do. */
export function reasonOf(record) {
  const isTold = record.state === 'failed'
    && (record.exit !== null || record.signal !== null);
  if (isTold || !record.reason) return '';
  for (const [pattern, key] of REASONS) {
    const found = pattern.exec(record.reason);
    if (found !== null) return t(key, { ...found.groups, time: timeOf(found.groups?.time ?? '') });
  }
  return record.reason;
}

// "10 min", as the server writes it.
function timeOf(text) {
  const [, n, unit] = /^(\d+) (h|min|s|ms)$/.exec(text) ?? [];
  return unit === undefined ? text : t(`unit.${unit}`, { n });
}

/** A step beside its name. */
export function stepDetail(step) {
  const took = between(step.started, step.ended);
  if (step.state === 'failed') {
    const how = step.signal ? t('end.signal', { signal: step.signal })
      : t('end.code', { exit: step.exit });
    return [how, took].filter(Boolean).join(t('end.list'));
  }
  if (step.state === 'running' && step.started) return duration(since(step.started));
  return took ?? '';
}

/**
 * How far a running build is, as its project's builds usually take:
 * { share: of 1, text: "12 s left of about 1 min" }, or null.
 */
export function estimate(record, average) {
  if (!average || record.state !== 'running' || !record.started) return null;
  const usual = average.seconds * 1000;
  // Whole seconds: builds that take no time are not estimated.
  if (!(usual > 0)) return null;
  const left = usual - since(record.started);
  const of = duration(usual);
  // What is late by less than a moment is not late.
  if (left > -1000 && left < 0) return { share: 1, isLate: false, text: t('estimate.now', { usual: of }) };
  if (left < 0) return { share: 1, isLate: true, text: t('estimate.late', { usual: of, over: duration(-left) }) };
  return { share: 1 - left / usual, isLate: false, text: t('estimate.left', { usual: of, left: duration(left) }) };
}

function failedStep({ state, step, steps = [] }) {
  if (state !== 'failed' && state !== 'timed-out') return null;
  return steps.find((one) => one.state === 'failed')?.name ?? step ?? null;
}
