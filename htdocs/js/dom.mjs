// SPDX-License-Identifier: Apache-2.0
// Elements. Text becomes text nodes, never markup.

/**
 * make('a', { href: '#', onclick: f }, 'text', node): null and false children
 * and attributes are left out.
 */
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== false));
  return node;
}

/** The element with this id; a page without it is a mistake of ours. */
export function byId(id) {
  const node = document.getElementById(id);
  if (node === null) throw new Error(`no element #${id}`);
  return node;
}

/** Set a text only if it is another one: what is read aloud, or selected, stays. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
