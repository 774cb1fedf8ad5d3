// SPDX-License-Identifier: Apache-2.0
// Elements. Text becomes text nodes, never markup.

/** make('a', { href: '#' }, 'text', node): null and false children are left out. */
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) node.setAttribute(name, value);
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
