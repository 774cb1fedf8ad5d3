/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_seek.h - from a query for lines of a log to the place where they stand
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     what this child has counted of large logs (its shelf of marks),
 *           and when that holds no more.
 * Not here: the counting (bl_window), which marks are kept (bl_marks).
 */
#ifndef BL_SEEK_H
#define BL_SEEK_H

#include "bl_build.h"
#include "bl_query.h"
#include "bl_table.h"
#include "bl_window.h"

void bl_seek_register_hooks(apr_pool_t *p);

/**
 * Make a window that stands before the lines that a query asks for.
 *
 * @param first   number of the first of them; the window stands at the tail if
 *                the log ends before it
 * @param cursor  of the log; the window's from now on
 * @param end     its last record; NULL: it has none that says how many lines
 *                there are
 * @return APR_SUCCESS; an I/O status
 */
apr_status_t bl_seek_window(bl_window_t **out, apr_uint64_t *first,
                            bl_cursor_t *cursor, const bl_table_row_t *row,
                            const bl_build_t *end,
                            const bl_query_lines_t *query, apr_pool_t *p);

#endif /* BL_SEEK_H */
