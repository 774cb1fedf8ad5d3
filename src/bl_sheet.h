/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_sheet.h - lines of a log as a part of a page
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     how many lines, and how much of them, one page has, and the links
 *           to others.
 * Not here: the page (bl_page), what of a line is shown (bl_html).
 *
 * However long a log or a line of it is, a page stays small: it has lines of
 * BL_SHEET_BYTES_MOST of text, and of each BL_SHEET_LINE_MOST.
 */
#ifndef BL_SHEET_H
#define BL_SHEET_H

#include "httpd.h"

#include "bl_query.h"
#include "bl_table.h"

/* Lines on a page when nobody says how many. */
#define BL_SHEET_LINES 1000

/* Of the text in the log. What is escaped is larger, BL_HTML_GROWTH times at
 * most, mostly not at all. */
#define BL_SHEET_BYTES_MOST (512 * 1024)
#define BL_SHEET_LINE_MOST (16 * 1024)

/** Write lines of a build's log into the page of this build. */
void bl_sheet_put(request_rec *r, const bl_query_lines_t *query,
                  const bl_table_row_t *row);

#endif /* BL_SHEET_H */
