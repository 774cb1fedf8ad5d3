/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_html.h - hostile text becomes text of an HTML document
 *
 * Layer:    0 (value). Pure.
 * Runs in:  anywhere; a bl_html_t belongs to one thread.
 * Owns:     what of a text is shown, and how it is escaped.
 * Not here: the documents (bl_page); which sequences there are (bl_control).
 *
 * H1  what is written is UTF-8 and has none of < > & " ' but in references of
 *     its own: it ends no element and no attribute in quotes
 * H2  it has no control character but TAB: escape sequences of terminals are
 *     left out (also when they come in pieces), others become U+FFFD. So do
 *     bytes that are no UTF-8, and what changes the direction of the text
 *     around it (U+202A..202E, U+2066..2069)
 */
#ifndef BL_HTML_H
#define BL_HTML_H

#include <apr_pools.h>

#include "bl_control.h"

/* A text that comes in pieces: inside of which sequence the last one ended.
 * Zeroed at first, and where a line ends. */
typedef struct {
    bl_control_e state;
} bl_html_t;

/* Most bytes that one byte of text may become: less room makes no progress. */
#define BL_HTML_GROWTH 6

/**
 * Escape some of a text, as much as there is room for. A character is not cut:
 * the end of the text is one of a character.
 *
 * @param out   room bytes, BL_HTML_GROWTH at least
 * @param text  becomes what is left to be done...
 * @param len   ...and its length; 0: all is done
 * @return bytes written
 */
apr_size_t bl_html_text(char *out, apr_size_t room, bl_html_t *html,
                        const char **text, apr_size_t *len);

/** A whole text. */
const char *bl_html_escape(const char *text, apr_pool_t *p);

#endif /* BL_HTML_H */
