/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_excerpt.h - GET .../builds/42/lines: some lines of a log, by their
 * numbers
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     the form of the answer.
 * Not here: what the number of a line is, and where it stands (bl_window).
 */
#ifndef BL_EXCERPT_H
#define BL_EXCERPT_H

#include "httpd.h"

#include "bl_table.h"

/**
 * Send the lines that the query asks for:
 * {"build":42,"first":1,"lines":[{"line":1,"id":"...",...},...],"next":2,
 *  "after":"...","ended":true}
 *
 * An answer has a few megabytes at most. When there is more of what was asked
 * for, it says so ("more":true): first=NEXT&after=AFTER goes on.
 *
 * @param row  of the build; the user may see it
 * @return what the handler returns
 */
int bl_excerpt_send(request_rec *r, const bl_table_row_t *row);

#endif /* BL_EXCERPT_H */
