// SPDX-License-Identifier: Apache-2.0
// A build is asked for: from a project's row, the form, or the view of another
// build. A button asks once at a time; that one waits for its answer does not
// make the others dumb.

import { startBuild } from './api.mjs';
import { hashOf } from './address.mjs';
import { t } from './i18n.mjs';
import { en } from './words.mjs';
import { noteRecord } from './projects.mjs';
import { answer } from './telling.mjs';

/** Ask for a build and go to it. Rejects with a Problem. @param button  shows that it is busy */
export async function start(path, button) {
  if (button.getAttribute('aria-disabled') === 'true') return;
  button.setAttribute('aria-disabled', 'true');
  try {
    const { msg, build } = await startBuild(path);
    noteRecord(build);
    location.hash = hashOf(build.id);
    // A text of the server's own is shown as it is.
    answer(msg === en['start.accepted'] ? t('start.accepted') : msg);
  } finally {
    button.removeAttribute('aria-disabled');
  }
}
