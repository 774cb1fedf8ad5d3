// SPDX-License-Identifier: Apache-2.0
// A build is asked for: from a project's row, the form, or the view of another
// build. One at a time.

import { startBuild } from './api.mjs';
import { hashOf } from './address.mjs';
import { t } from './i18n.mjs';
import { en } from './words.mjs';
import { noteRecord } from './projects.mjs';
import { answer } from './telling.mjs';

let busy = false;

/** Ask for a build and go to it. Rejects with a Problem. @param button  shows that it is busy */
export async function start(path, button) {
  if (busy) return;
  busy = true;
  button?.setAttribute('aria-disabled', 'true');
  try {
    const { msg, build } = await startBuild(path);
    noteRecord(build);
    location.hash = hashOf(build.id);
    // A text of the server's own is shown as it is.
    answer(msg === en['start.accepted'] ? t('start.accepted') : msg);
  } finally {
    busy = false;
    button?.removeAttribute('aria-disabled');
  }
}
