/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_seek.c - from a query for lines of a log to the place where they stand
 */
#include "bl_seek.h"

/* httpd */
#include "http_config.h"
/* layer 1 */
#include "bl_marks.h"

static bl_marks_shelf_t *shelf;

static void child_init(apr_pool_t *p, server_rec *s)
{
    /* Without it all is counted each time. */
    if (bl_marks_shelf_create(&shelf, p) != APR_SUCCESS)
        shelf = NULL;
}

void bl_seek_register_hooks(apr_pool_t *p)
{
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_MIDDLE);
}

/* @return 0: of this log nothing is to be kept */
static int state_of(bl_marks_key_t *key, const bl_cursor_t *cursor,
                    const bl_table_row_t *row)
{
    key->build = row->build;
    key->grows = !row->final;
    return shelf != NULL && row->tail > BL_MARKS_SPACING &&
           bl_cursor_hole_end(&key->hole, cursor, row->tail) == APR_SUCCESS;
}

static apr_status_t seek(apr_uint64_t *first, bl_window_t *window,
                         const bl_query_lines_t *query)
{
    if (query->first == 0)
        return bl_window_seek_last(first, window, query->count);
    *first = query->first;
    return query->after != 0
               ? bl_window_seek_id(window, query->after, query->first)
               : bl_window_seek(window, query->first);
}

apr_status_t bl_seek_window(bl_window_t **out, apr_uint64_t *first,
                            bl_cursor_t *cursor, const bl_table_row_t *row,
                            const bl_build_t *end,
                            const bl_query_lines_t *query, apr_pool_t *p)
{
    bl_marks_t *marks = NULL;
    bl_marks_key_t before, now;
    apr_status_t rv;

    if (state_of(&before, cursor, row)) {
        marks = apr_palloc(p, sizeof(*marks));
        bl_marks_shelf_get(marks, shelf, &before);
    }
    *out = bl_window_create(cursor, row->tail, !row->final, p);
    if (end != NULL)
        bl_window_know(*out, end->lines);
    if (marks != NULL)
        bl_window_use(*out, marks);
    rv = seek(first, *out, query);
    /* A hole that grew meanwhile has swallowed lines, counted or not. */
    if (rv == APR_SUCCESS && marks != NULL && state_of(&now, cursor, row) &&
        now.hole == before.hole)
        bl_marks_shelf_put(shelf, &before, marks);
    return rv;
}
