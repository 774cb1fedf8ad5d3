/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_frame.h - an answer in HTML: who wants one, its head, its end, and how
 * text comes into it
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     the choice between JSON and HTML, the policy that a page is under,
 *           its style, and the answers that are not much more than a frame.
 * Not here: what pages show (bl_page), how text is escaped (bl_html).
 *
 * Pages are for browsers without JavaScript. They have none: their policy
 * allows the one style that they carry, forms to this site, and nothing else.
 * Their links are relative, wherever the handlers are mapped.
 */
#ifndef BL_FRAME_H
#define BL_FRAME_H

#include "httpd.h"

#include "bl_html.h"

/** Does this client prefer HTML to JSON? An answer that depends on it says so
 * (Vary). */
int bl_frame_wanted(request_rec *r);

/**
 * Begin a page: its head, and where else one may go. The status is r->status.
 *
 * @param refresh  seconds after which it is to be loaded again; 0: never
 * @return 0: the client asked for the head alone, and that is done
 */
int bl_frame_begin(request_rec *r, const char *title, int refresh);

/** Write markup: constants of ours, nothing that came from outside. */
void bl_frame_put(request_rec *r, const char *markup);

/** Write text, escaped, also for an attribute in quotes. NULL: nothing. */
void bl_frame_text(request_rec *r, const char *text);

/** Write some of a long text that comes in pieces. */
void bl_frame_more(request_rec *r, bl_html_t *html, const char *text,
                   apr_size_t len);

/** End the page. @return what the handler returns */
int bl_frame_end(request_rec *r);

/** Answer with a page that refuses; r->status is set. */
int bl_frame_error(request_rec *r, const char *title, const char *detail);

/** Answer a form: 303, look there. */
int bl_frame_see_other(request_rec *r, const char *location);

#endif /* BL_FRAME_H */
