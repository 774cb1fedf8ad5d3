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

/** A path: a long one goes on in the next line behind a slash, and reads from the left. */
export function pathOf(text, tag = 'p') {
  const parts = text.split(/(?<=\/)/).flatMap((part) => [part, make('wbr')]);
  return make(tag, { class: 'path', dir: 'ltr' }, ...parts);
}

/** The element with this id; a page without it is a mistake of ours. */
export function byId(id) {
  const node = document.getElementById(id);
  if (node === null) throw new Error(`no element #${id}`);
  return node;
}

/**
 * Set a text only if it is another one, in the node that is there: what is read
 * aloud, or selected, stays.
 */
export function setText(node, text) {
  if (node.textContent === text) return;
  const { firstChild } = node;
  if (firstChild instanceof Text && firstChild.nextSibling === null) firstChild.data = text;
  else node.textContent = text;
}

/** Set an attribute only if it is another one: an image is not loaded again. */
export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/**
 * Make these nodes the children of parent, in this order. What stays in its
 * place is not touched, and the focus stays where it is: who reads or tabs
 * through a list is not thrown out of it by what goes on in it.
 */
export function arrange(parent, nodes) {
  const focused = document.activeElement;
  const wanted = new Set(nodes);
  for (const child of [...parent.children]) {
    if (!wanted.has(child)) child.remove();
  }
  let at = parent.firstElementChild;
  for (const node of nodes) {
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
  }
  // A node that was moved has lost it.
  if (parent.contains(focused) && document.activeElement !== focused) {
    focused.focus({ preventScroll: true });
  }
}
