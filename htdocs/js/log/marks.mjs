// SPDX-License-Identifier: Apache-2.0
// Markers that other systems' tools print to fold a log: GitHub's (and
// Azure's) groups, GitLab's (and Travis') sections, Buildkite's headers.

import { strip } from './escapes.mjs';

const GROUP = /^(?:::|##\[)(end)?group(?:::|\])(.*)$/;
const SECTION = /^section_(start|end):(\d+):([\w.-]+)(\[[^\]]*\])?$/;
const TRAVIS = /^travis_fold:(start|end):([\w.-]+)$/;
const HEADER = /^(---|\+\+\+|~~~) (\S.*)$/;
const REOPEN = /^\^\^\^ \+\+\+\s*$/;
// The names of two files in a unified diff look like headers, and what Go's
// tests say at their end.
const NO_HEADER = /^(?:---|\+\+\+) (?:[ab]\/|\/dev\/null|.*\t|(?:PASS|FAIL|SKIP|BENCH): )/;

// What begins no marker, most lines, is known by its first characters.
const FIRST = /^(?:\x1b\[[0-9;]*[A-Za-z])*(?:::|##\[|section_|travis_fold|--- |\+\+\+ |~~~ |\^\^\^ )/;

/**
 * The marker that a line is, or null:
 * { type: open | close | reopen, kind: group | section | header, name, title, folded }
 * title null: the line that replaces this one is the title.
 */
export function markOf(text) {
  if (!FIRST.test(text)) return null;
  const plain = strip(text).trimEnd();
  return group(plain) ?? section(plain) ?? header(plain);
}

function group(plain) {
  const found = GROUP.exec(plain);
  if (found === null) return null;
  if (found[1]) return mark('close', 'group', '', '', false);
  return mark('open', 'group', '', found[2].trim() || '…', true);
}

function section(plain) {
  const gitlab = SECTION.exec(plain);
  const travis = gitlab === null ? TRAVIS.exec(plain) : null;
  if (gitlab === null && travis === null) return null;
  const type = (gitlab ?? travis)[1] === 'start' ? 'open' : 'close';
  const name = gitlab === null ? travis[2] : gitlab[3];
  return mark(type, 'section', name, null, /collapsed=true/.test(gitlab?.[4] ?? ''));
}

function header(plain) {
  if (REOPEN.test(plain)) return mark('reopen', 'header', '', '', false);
  const found = HEADER.exec(plain);
  if (found === null || NO_HEADER.test(plain)) return null;
  return mark('open', 'header', '', found[2], found[1] !== '+++');
}

function mark(type, kind, name, title, folded) {
  return { type, kind, name, title, folded };
}

// A word that says that something went wrong, and no count of nothing. GitHub's
// command (::error file=a.c::text) is one, too; so are FAIL, if it is shouted,
// and what TAP says.
const PROBLEM = new RegExp('(?:^|^::|[\\s\\[({"\'])(?:error|fatal|panic(?:ked)?|exception|traceback'
  + '|failed|failure|err!|[a-z]+(?:error|exception))(?=$|[\\s:!\\[\\])}(,."\'])', 'i');
const SHOUTED = /^\s*(?:(?:--- )?FAIL\b(?!:? +0\b)|not ok \d(?!.*# (?:TODO|SKIP)\b))/;
const NONE = /\b(?:0|no|without) (?:errors?|fail(?:ed|ures?)|problems?)\b|\b(?:failed|errors?): 0\b/i;

/** Does this line say that something went wrong? */
export function isProblem(text) {
  const plain = strip(text);
  return (PROBLEM.test(plain) || SHOUTED.test(plain)) && !NONE.test(plain);
}
