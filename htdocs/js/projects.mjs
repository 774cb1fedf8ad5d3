// SPDX-License-Identifier: Apache-2.0
// The projects of this server, asked for once and kept up to date: by records
// that come, and again when one has ended, for its average.

import { getProjects } from './api.mjs';
import { isFinal } from './build-words.mjs';
import { moveStreams } from './following.mjs';
import { locale } from './i18n.mjs';

const AGAIN_MS = 1500;
// service-2 before service-10.
const { compare } = new Intl.Collator(locale, { numeric: true });

let all = null; // null: not known
let asked = null;
let timer = 0;
const watchers = new Set();

/** All that may be built; rejects with a Problem. */
export async function loadProjects() {
  asked ??= getProjects().finally(() => { asked = null; });
  const { projects, streamOrigin } = await asked;
  all = projects.sort((a, b) => compare(a.title, b.title) || compare(a.path, b.path));
  moveStreams(streamOrigin);
  tell();
  return all;
}

/** By their titles; none, when they are not known. */
export const knownProjects = () => all ?? [];
export const areProjectsKnown = () => all !== null;
export const projectOf = (path) => all?.find((one) => one.path === path);

/** act() whenever something changed. @return a function that ends it */
export function watchProjects(act) {
  watchers.add(act);
  return () => watchers.delete(act);
}

/** A record came. */
export function noteRecord(record) {
  const project = projectOf(record.project);
  if (project === undefined || (project.last !== null && record.id < project.last.id)) return;
  const was = project.last;
  if (was?.id === record.id && isFinal(was)) return;
  project.last = record;
  tell();
  if (isFinal(record)) {
    clearTimeout(timer);
    timer = setTimeout(() => loadProjects().catch(() => {}), AGAIN_MS);
  }
}

function tell() {
  for (const act of watchers) act();
}
