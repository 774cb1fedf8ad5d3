/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_window.c - lines of a log by their numbers
 *
 * INVARIANTS    W1 to W3 in bl_window.h
 *               the next line record at the cursor, or the one held behind a
 *               hole, has the number w->number
 * LIMITS        while the hole of a log grows, lines vanish into it, and those
 *               behind it get other numbers; who counts meanwhile may be wrong
 *               by as many. In a log that was damaged, numbers counted from
 *               its end are those of before
 */
#include "bl_window.h"

/* layer 0 */
#include "bl_middle.h"

/* A search from the end looks at this much at least. */
#define SPAN_BYTES (64 * 1024)

struct bl_window_t {
    bl_cursor_t *cursor;
    apr_off_t tail;
    int grows;
    int is_known; /* lines */
    apr_uint64_t lines;
    apr_uint64_t number;
    bl_stamp_t after;
    int is_held;
    bl_record_t held; /* stands behind a hole that was told of just now */
};

bl_window_t *bl_window_create(bl_cursor_t *cursor, apr_off_t tail, int grows,
                              apr_pool_t *p)
{
    bl_window_t *w = apr_pcalloc(p, sizeof(*w));

    bl_cursor_set(cursor, 0);
    w->cursor = cursor;
    w->tail = tail;
    w->grows = grows;
    w->number = 1;
    return w;
}

void bl_window_know(bl_window_t *w, apr_uint64_t lines)
{
    w->is_known = 1;
    w->lines = lines;
}

apr_uint64_t bl_window_number(const bl_window_t *w)
{
    return w->number;
}

bl_stamp_t bl_window_after(const bl_window_t *w)
{
    return w->after;
}

/* ---- reading -------------------------------------------------------- */

/* The note of W3; the record behind the hole is held. */
static void tell_of_hole(bl_record_t *rec, bl_window_t *w)
{
    w->held = *rec;
    w->is_held = 1;
    bl_middle_record(rec, w->held.id);
}

/* The next record, line or not. */
static apr_status_t read_record(bl_record_t *rec, bl_window_t *w)
{
    apr_status_t rv;

    if (w->is_held) {
        *rec = w->held;
        w->is_held = 0;
        w->after = rec->id;
        return APR_SUCCESS;
    }
    rv = bl_cursor_next(rec, w->cursor, w->tail);
    if (rv != APR_SUCCESS)
        return rv;
    if (w->grows && bl_cursor_skipped(w->cursor) != NULL)
        tell_of_hole(rec, w);
    w->after = rec->id;
    return APR_SUCCESS;
}

apr_status_t bl_window_next(bl_record_t *rec, apr_uint64_t *number,
                            bl_window_t *w)
{
    apr_status_t rv;

    do {
        rv = read_record(rec, w);
        if (rv != APR_SUCCESS)
            return rv;
    } while (!BL_REC_IS_LINE(rec));
    *number = w->number;
    if ((rec->flags & BL_REC_PIECE) == 0)
        w->number++;
    return APR_SUCCESS;
}

/* ---- places --------------------------------------------------------- */

static void stand_at(bl_window_t *w, apr_off_t offset, apr_uint64_t number)
{
    bl_cursor_set(w->cursor, offset);
    w->is_held = 0;
    w->number = number;
    w->after = 0;
}

/* Go forwards to the line, or to the tail. */
static apr_status_t walk_to(bl_window_t *w, apr_uint64_t number)
{
    apr_status_t rv = APR_SUCCESS;
    apr_uint64_t ignored;
    bl_record_t rec;

    while (w->number < number && rv == APR_SUCCESS)
        rv = bl_window_next(&rec, &ignored, w);
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

apr_status_t bl_window_lines(apr_uint64_t *lines, bl_window_t *w)
{
    apr_status_t rv;

    if (!w->is_known) {
        stand_at(w, 0, 1);
        rv = walk_to(w, APR_UINT64_MAX);
        if (rv != APR_SUCCESS)
            return rv;
        bl_window_know(w, w->number - 1);
    }
    *lines = w->lines;
    return APR_SUCCESS;
}

/* Stand at the first record at or behind a byte: its number is found by
 * counting what follows it. */
static apr_status_t stand_behind(bl_window_t *w, apr_off_t offset)
{
    apr_status_t rv = bl_cursor_align(w->cursor, offset, w->tail);
    apr_off_t begin = bl_cursor_offset(w->cursor);

    if (rv != APR_SUCCESS)
        return rv;
    /* From here on, so that a hole before it is not counted now and then left
     * out. */
    stand_at(w, begin, 1);
    rv = walk_to(w, APR_UINT64_MAX);
    if (rv == APR_SUCCESS)
        /* 0: there are more than there should be in all. */
        stand_at(w, begin,
                 w->number <= w->lines + 1 ? w->lines + 2 - w->number : 0);
    return rv;
}

/* Find a place before the line from the tail on. */
static apr_status_t search_back(bl_window_t *w, apr_uint64_t number)
{
    apr_uint64_t behind = number <= w->lines ? w->lines + 1 - number : 1;
    /* As if all lines were of one length, and some more. */
    apr_off_t span = (apr_off_t)((double)w->tail / (double)(w->lines + 1) *
                                 (double)behind * 1.1) +
                     SPAN_BYTES;
    apr_status_t rv;

    while (span < w->tail) {
        rv = stand_behind(w, w->tail - span);
        /* The place may be in the middle of its line: it has to be in one
         * before. */
        if (rv == APR_SUCCESS && w->number > 0 && w->number < number)
            return APR_SUCCESS;
        if (rv != APR_SUCCESS && rv != APR_EOF)
            return rv;
        span *= 2;
    }
    stand_at(w, 0, 1);
    return APR_SUCCESS;
}

apr_status_t bl_window_seek(bl_window_t *w, apr_uint64_t number)
{
    apr_status_t rv = APR_SUCCESS;

    if (w->is_known && number > w->lines / 2)
        rv = search_back(w, number);
    else
        stand_at(w, 0, 1);
    return rv == APR_SUCCESS ? walk_to(w, number) : rv;
}

apr_status_t bl_window_seek_last(apr_uint64_t *number, bl_window_t *w,
                                 apr_uint64_t count)
{
    apr_uint64_t lines;
    apr_status_t rv = bl_window_lines(&lines, w);

    if (rv != APR_SUCCESS)
        return rv;
    *number = lines > count ? lines - count + 1 : 1;
    return bl_window_seek(w, *number);
}
