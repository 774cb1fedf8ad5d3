// SPDX-License-Identifier: Apache-2.0
// The text of a row as nodes: colours as classes and, where a program named a
// colour of its own, as a property set by CSSOM; links only to http and https.
// Text becomes text nodes, never markup.
//
// Links are those that a sequence makes (OSC 8) and addresses in the text.
//
// ansi_up reads the colours (SGR): it is given nothing else, and of what it
// makes only its state is used, not its HTML. log.css makes the colours
// legible; a colour with a ground is made so here, for it depends on the pair.

import { AnsiUp } from '../../vendor/ansi_up.mjs';
import { hasControls, parts } from './escapes.mjs';
import { linksIn, safeAddress } from './links.mjs';

// More spans do not make a row more legible, only slow.
const SPANS_MAX = 400;
// WCAG 2 AA for text.
const CONTRAST = 4.5;

// Characters that turn the direction of what follows: shown, and isolated.
const BIDI = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const BIDI_CUT = /([\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069])/;

/** Shows text in node, which began with these colours (coloursAfter). */
export function paint(node, text, colours = '') {
  const isPlain = colours === '' && !hasControls(text) && !BIDI.test(text);
  if (isPlain && !text.includes('://')) {
    node.textContent = text;
    return;
  }
  node.replaceChildren(...painter.nodes(text, colours));
}

class Painter {
  #ansi = new AnsiUp();
  #inverse = false;
  #struck = false;
  #spans = 0;
  #made = [];
  #said = null; // the link that a sequence has begun (OSC 8)
  #links = []; // addresses in the text that are still to come
  #link = null; // the one that was begun

  nodes(text, colours) {
    this.#spans = 0;
    this.#made = [];
    this.#said = null;
    this.#link = null;
    this.#sgr('0');
    for (const part of parts(colours)) this.#sgr(part.sgr);
    const all = parts(text);
    this.#links = linksIn(outside(all));
    let at = 0;
    for (const part of all) {
      if (part.sgr !== undefined) {
        this.#sgr(part.sgr);
      } else if (part.link !== undefined) {
        const href = safeAddress(part.link);
        this.#said = href === null ? null : this.#begin(href);
        if (href !== null) this.#said.title = href;
      } else {
        if (this.#said !== null) this.#said.append(...this.#text(part.text));
        else this.#linked(part.text, at);
        at += part.text.length;
      }
    }
    return this.#made;
  }

  #begin(href) {
    const link = document.createElement('a');
    link.href = href;
    link.rel = 'noopener noreferrer nofollow';
    link.target = '_blank';
    this.#made.push(link);
    return link;
  }

  // Text that begins at this place of the row. The colours may change within an
  // address: it is one link all the same.
  #linked(text, at) {
    let from = 0;
    while (from < text.length) {
      const [next] = this.#links;
      const begin = next === undefined ? text.length : Math.min(next.from - at, text.length);
      if (begin > from) {
        this.#made.push(...this.#text(text.slice(from, begin)));
        from = begin;
        continue;
      }
      const end = Math.min(next.to - at, text.length);
      this.#link ??= this.#begin(next.href);
      this.#link.append(...this.#text(text.slice(from, end)));
      from = end;
      if (at + end === next.to) {
        this.#links.shift();
        this.#link = null;
      }
    }
  }

  // 38:2::R:G:B is 38;2;R;G;B; 4:3, an underline that is wavy, is an underline.
  #sgr(parameters) {
    const plain = !parameters.includes(':') ? parameters : parameters
      .replace(/([34]8):2:(?:\d*:)?(\d+):(\d+):(\d+)/g, '$1;2;$2;$3;$4')
      .replace(/([34]8):5:(\d+)/g, '$1;5;$2')
      .replace(/:\d*/g, '');
    this.#ansi.ansi_to_html(`\x1b[${plain}m`);
    // What ansi_up does not know: inverse, struck through.
    const codes = plain.replace(/[34]8;(?:5;\d*|2;\d*;\d*;\d*)/g, '').split(';').map(Number);
    for (const code of codes) {
      if (code === 0) this.#inverse = this.#struck = false;
      else if (code === 7 || code === 27) this.#inverse = code === 7;
      else if (code === 9 || code === 29) this.#struck = code === 9;
    }
  }

  #text(text) {
    const nodes = isolated(text);
    if (this.#spans >= SPANS_MAX) return nodes;
    const span = document.createElement('span');
    this.#style(span);
    if (span.className === '' && span.style.length === 0) return nodes;
    this.#spans += 1;
    span.append(...nodes);
    return [span];
  }

  #style(span) {
    const { bold, faint, italic, underline } = this.#ansi;
    const looks = { bold, faint, italic, underline, struck: this.#struck };
    for (const [name, on] of Object.entries(looks)) if (on) span.classList.add(`ansi-${name}`);

    let { fg, bg } = this.#ansi;
    if (this.#inverse) {
      if (fg === null && bg === null) span.classList.add('ansi-inverse');
      [fg, bg] = [bg, fg];
    }
    if (bg !== null) {
      span.style.backgroundColor = css(bg.rgb);
      span.style.color = css(legible(fg?.rgb ?? null, bg.rgb));
    } else if (fg !== null && fg.class_name === 'truecolor') {
      span.classList.add('ansi-rgb');
      span.style.setProperty('--rgb', css(fg.rgb));
    } else if (fg !== null) {
      span.classList.add(`${fg.class_name}-fg`);
    }
  }
}

const painter = new Painter();

// All text; what is a link by a sequence is left blank.
function outside(all) {
  let inLink = false;
  return all.map(({ text = '', link }) => {
    if (link !== undefined) inLink = safeAddress(link) !== null;
    return inLink ? ' '.repeat(text.length) : text;
  }).join('');
}

const css = (rgb) => `rgb(${rgb.join(' ')})`;

/** The colour on this ground, or black or white if it could not be read. */
function legible(fg, bg) {
  const ground = luminance(bg);
  if (fg !== null && contrast(luminance(fg), ground) >= CONTRAST) return fg;
  return contrast(0, ground) > contrast(1, ground) ? [0, 0, 0] : [255, 255, 255];
}

function contrast(a, b) {
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

function luminance(rgb) {
  const [r, g, b] = rgb.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

// Each such character in an element of its own, where it turns nothing; its
// name is drawn by log.css.
function isolated(text) {
  if (!BIDI.test(text)) return [document.createTextNode(text)];
  return text.split(BIDI_CUT).filter((piece) => piece !== '').map((piece) => {
    if (!BIDI.test(piece)) return document.createTextNode(piece);
    const node = document.createElement('bdi');
    node.className = 'turn';
    node.dataset.name = `U+${piece.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
    node.textContent = piece;
    return node;
  });
}
