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
    bl_record_t held;   /* stands behind a hole that was told of just now */
    bl_marks_t *marks;  /* NULL: none are used */
    bl_marks_t *making; /* where a walk leaves marks; NULL: nowhere */
    apr_off_t mark_at;  /* where it may leave the next one */
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

void bl_window_use(bl_window_t *w, bl_marks_t *marks)
{
    w->marks = w->making = marks;
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
    if (w->making != NULL)
        w->mark_at = offset + w->making->spacing;
}

/* Go forwards to the line, or to the tail. */
static apr_status_t walk_to(bl_window_t *w, apr_uint64_t number)
{
    apr_status_t rv = APR_SUCCESS;
    apr_uint64_t ignored;
    bl_record_t rec;

    while (w->number < number && rv == APR_SUCCESS) {
        bl_mark_t here;
        int is_due;

        here.offset = bl_cursor_offset(w->cursor);
        here.number = w->number;
        is_due = w->making != NULL && here.offset >= w->mark_at && !w->is_held;
        rv = bl_window_next(&rec, &ignored, w);
        /* Only with a record behind it: who stands there finds one. */
        if (is_due && rv == APR_SUCCESS) {
            bl_marks_add(w->making, &here);
            w->mark_at = here.offset + w->making->spacing;
        }
    }
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

/* The nearest place before the line whose number is known. */
static bl_mark_t known_before(const bl_window_t *w, apr_uint64_t number)
{
    const bl_mark_t *mark =
        w->marks != NULL ? bl_marks_before(w->marks, number) : NULL;
    bl_mark_t start = {0, 1};

    /* It may be in the middle of its line: it has to be in one before. */
    return mark != NULL ? *mark : start;
}

/* The nearest one behind it. @return 0: there is none */
static int known_behind(bl_mark_t *out, const bl_window_t *w,
                        apr_uint64_t number)
{
    const bl_mark_t *mark =
        w->marks != NULL ? bl_marks_behind(w->marks, number) : NULL;

    if (mark != NULL) {
        *out = *mark;
        return 1;
    }
    out->offset = w->tail;
    out->number = w->lines + 1;
    return w->is_known;
}

apr_status_t bl_window_lines(apr_uint64_t *lines, bl_window_t *w)
{
    apr_status_t rv;

    if (!w->is_known) {
        bl_mark_t from = known_before(w, APR_UINT64_MAX);

        stand_at(w, from.offset, from.number);
        rv = walk_to(w, APR_UINT64_MAX);
        if (rv != APR_SUCCESS)
            return rv;
        bl_window_know(w, w->number - 1);
    }
    *lines = w->lines;
    return APR_SUCCESS;
}

/* The walk counted from 1: now it is known where it began. */
static void keep_marks(bl_window_t *w, const bl_marks_t *made,
                       const bl_mark_t *begin)
{
    unsigned i;

    bl_marks_add(w->marks, begin);
    for (i = 0; i < made->count; i++) {
        bl_mark_t mark = made->at[i];

        mark.number += begin->number - 1;
        bl_marks_add(w->marks, &mark);
    }
}

/* Stand at the first record at or behind a byte: its number is found by
 * counting what follows it, up to a place whose number is known. */
static apr_status_t stand_behind(bl_window_t *w, apr_off_t offset,
                                 const bl_mark_t *known)
{
    apr_status_t rv = bl_cursor_align(w->cursor, offset, known->offset);
    bl_mark_t begin = {bl_cursor_offset(w->cursor), 0};
    apr_off_t tail = w->tail;
    bl_marks_t made;

    if (rv != APR_SUCCESS)
        return rv;
    bl_marks_clear(&made, w->marks != NULL ? w->marks->spacing : 0);
    if (w->marks != NULL)
        w->making = &made;
    /* From here on, so that a hole before it is not counted now and then left
     * out. */
    stand_at(w, begin.offset, 1);
    w->tail = known->offset;
    rv = walk_to(w, APR_UINT64_MAX);
    w->tail = tail;
    w->making = w->marks;
    /* 0: there are more than there should be. */
    if (rv == APR_SUCCESS && w->number <= known->number)
        begin.number = known->number - w->number + 1;
    if (begin.number > 0 && w->marks != NULL)
        keep_marks(w, &made, &begin);
    stand_at(w, begin.offset, begin.number);
    return rv;
}

/* Find a place before the line, and not before another one, from a place
 * behind the line. */
static apr_status_t search_back(bl_window_t *w, apr_uint64_t number,
                                const bl_mark_t *low, const bl_mark_t *high)
{
    apr_uint64_t behind = number < high->number ? high->number - number : 1;
    /* As if all lines were of one length, and some more. */
    apr_off_t span = (apr_off_t)((double)(high->offset - low->offset) /
                                 (double)(high->number - low->number) *
                                 (double)behind * 1.1) +
                     SPAN_BYTES;
    apr_status_t rv;

    while (span < high->offset - low->offset) {
        rv = stand_behind(w, high->offset - span, high);
        /* The place may be in the middle of its line: it has to be in one
         * before. */
        if (rv == APR_SUCCESS && w->number > 0 && w->number < number)
            return APR_SUCCESS;
        if (rv != APR_SUCCESS && rv != APR_EOF)
            return rv;
        span *= 2;
    }
    stand_at(w, low->offset, low->number);
    return APR_SUCCESS;
}

/* Is it less to count from there back? Twice as much is read then. */
static int is_nearer(const bl_mark_t *high, const bl_mark_t *low,
                     apr_uint64_t number)
{
    return high->number > low->number &&
           (number > high->number ||
            high->number - number < number - low->number);
}

apr_status_t bl_window_seek(bl_window_t *w, apr_uint64_t number)
{
    bl_mark_t low = known_before(w, number), high;
    apr_status_t rv = APR_SUCCESS;

    if (known_behind(&high, w, number) && is_nearer(&high, &low, number))
        rv = search_back(w, number, &low, &high);
    else
        stand_at(w, low.offset, low.number);
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

apr_status_t bl_window_seek_id(bl_window_t *w, bl_stamp_t id,
                               apr_uint64_t number)
{
    apr_status_t rv = bl_cursor_seek(w->cursor, id, w->tail);

    if (rv != APR_SUCCESS)
        return rv;
    stand_at(w, bl_cursor_offset(w->cursor), number);
    w->after = id;
    return APR_SUCCESS;
}

apr_off_t bl_window_left(const bl_window_t *w)
{
    return w->tail - bl_cursor_offset(w->cursor);
}

apr_status_t bl_window_fit(apr_uint64_t *first, bl_window_t *w,
                           apr_uint64_t count, apr_uint64_t most,
                           apr_size_t (*takes)(void *baton,
                                               const bl_record_t *rec,
                                               apr_size_t before),
                           void *baton, apr_pool_t *p)
{
    /* Of each line; the last one may have no end yet. */
    apr_size_t *taken = apr_pcalloc(p, (count + 1) * sizeof(*taken));
    apr_uint64_t number, at = 0;
    apr_uint64_t sum;
    bl_record_t rec;
    apr_status_t rv;

    while ((rv = bl_window_next(&rec, &number, w)) == APR_SUCCESS &&
           number - *first <= count) { /* or it grew under us (LIMITS) */
        at = number - *first;
        taken[at] += takes(baton, &rec, taken[at]);
    }
    if (rv != APR_SUCCESS && rv != APR_EOF)
        return rv;
    for (sum = taken[at]; at > 0 && sum + taken[at - 1] <= most; at--)
        sum += taken[at - 1];
    *first += at;
    return bl_window_seek(w, *first);
}
