// SPDX-License-Identifier: Apache-2.0
// The smallest page: a form that starts a build, and a bare onmessage.

const form = document.querySelector('form');
const answer = document.querySelector('output');
const log = document.querySelector('pre');

const source = new EventSource('/api/log/push');
source.onmessage = (event) => log.append(event.data, '\n');

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  try {
    const body = new URLSearchParams(new FormData(form));
    const response = await fetch(form.action, { method: 'POST', body });
    const told = await response.json();
    answer.value = told.msg ?? told.detail ?? told.title;
  } catch (error) {
    answer.value = `No usable answer: ${error.message}`;
  }
});
