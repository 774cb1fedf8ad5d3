// SPDX-License-Identifier: Apache-2.0
// Requests to the server, and what went wrong with them.

/** A refusal: title and detail are for people; status 0: no answer at all. */
export class Problem extends Error {
  constructor(status, title, detail, retryAfter = null) {
    super(sentence(detail ? `${title}: ${detail}` : title));
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** @return {"msg", "build"} */
export function startBuild(projectPath) {
  return request('/api/project/build', {
    method: 'POST',
    body: new URLSearchParams({ projectPath }),
  });
}

/** @return the record */
export function getBuild(id) {
  return request(`/api/project/builds/${id}`);
}

/**
 * @return { projects: array of {"path", "title", "last"},
 *           streamOrigin: where streams are better taken from, or null }
 */
export function getProjects() {
  return request('/api/project/projects');
}

function sentence(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

async function request(url, options = {}) {
  let response;
  try {
    response = await fetch(url, {
      ...options,
      cache: 'no-store',
      headers: { Accept: 'application/json, application/problem+json' },
    });
  } catch {
    throw new Problem(0, 'The server cannot be reached',
      'check the connection, and whether the server runs.');
  }
  if (!response.ok) throw await refusal(response);
  try {
    return await response.json();
  } catch {
    throw new Problem(response.status, 'The answer of the server cannot be read',
      'something between this page and the module answers in its place.');
  }
}

async function refusal(response) {
  const fallback = response.statusText || 'no reason given';
  const retryAfter = response.headers.get('Retry-After');
  try {
    const { title, detail } = await response.json();
    return new Problem(response.status, title ?? fallback, detail, retryAfter);
  } catch {
    return new Problem(response.status, `The server answered ${response.status}`,
      fallback, retryAfter);
  }
}
