/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_marks.c - places in logs whose line numbers are known
 *
 * INVARIANTS    K1 to K3 in bl_marks.h
 */
#include "bl_marks.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_thread_mutex.h>

/* ---- of one log ----------------------------------------------------- */

void bl_marks_clear(bl_marks_t *marks, apr_off_t spacing)
{
    marks->spacing = spacing;
    marks->count = 0;
}

/* Of the first place that is not before the offset; count: all are. */
static unsigned index_of(const bl_marks_t *marks, apr_off_t offset)
{
    unsigned low = 0, high = marks->count;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (marks->at[middle].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Make room (K1). */
static void thin_out(bl_marks_t *marks)
{
    while (marks->count == BL_MARKS_MOST) {
        unsigned from, to = 1;

        marks->spacing *= 2;
        for (from = 1; from < BL_MARKS_MOST; from++)
            if (marks->at[from].offset - marks->at[to - 1].offset >=
                marks->spacing)
                marks->at[to++] = marks->at[from];
        marks->count = to;
    }
}

/* K2, and not nearer than wanted to the one at i - 1 and the one at i. */
static int is_fit(const bl_marks_t *marks, unsigned i, const bl_mark_t *mark)
{
    const bl_mark_t *next = marks->at + i;

    if (i > 0 && (mark->offset - next[-1].offset < marks->spacing ||
                  mark->number <= next[-1].number))
        return 0;
    return i == marks->count ||
           (next->offset - mark->offset >= marks->spacing &&
            next->number > mark->number);
}

void bl_marks_add(bl_marks_t *marks, const bl_mark_t *mark)
{
    unsigned i = index_of(marks, mark->offset);

    if (!is_fit(marks, i, mark))
        return;
    if (marks->count == BL_MARKS_MOST) {
        thin_out(marks);
        i = index_of(marks, mark->offset);
        if (!is_fit(marks, i, mark))
            return;
    }
    memmove(marks->at + i + 1, marks->at + i,
            sizeof(bl_mark_t) * (marks->count - i));
    marks->at[i] = *mark;
    marks->count++;
}

const bl_mark_t *bl_marks_behind(const bl_marks_t *marks, apr_uint64_t number)
{
    unsigned i = 0;

    while (i < marks->count && marks->at[i].number < number)
        i++;
    return i < marks->count ? marks->at + i : NULL;
}

const bl_mark_t *bl_marks_before(const bl_marks_t *marks, apr_uint64_t number)
{
    unsigned i = marks->count;

    while (i > 0 && marks->at[i - 1].number >= number)
        i--;
    return i > 0 ? marks->at + i - 1 : NULL;
}

/* ---- those of several logs ------------------------------------------ */

typedef struct {
    bl_marks_key_t key;
    apr_uint64_t used; /* when, by the shelf's clock */
    bl_marks_t marks;
} log_t;

struct bl_marks_shelf_t {
    apr_thread_mutex_t *lock; /* guards all that follows */
    apr_uint64_t clock;
    unsigned count;
    log_t *logs;
};

apr_status_t bl_marks_shelf_create(bl_marks_shelf_t **out, apr_pool_t *p)
{
    bl_marks_shelf_t *shelf = apr_pcalloc(p, sizeof(*shelf));
    apr_status_t rv =
        apr_thread_mutex_create(&shelf->lock, APR_THREAD_MUTEX_DEFAULT, p);

    if (rv != APR_SUCCESS)
        return rv;
    /* Not touched before it is used: then it takes no memory. */
    shelf->logs = apr_palloc(p, sizeof(log_t) * BL_MARKS_LOGS);
    *out = shelf;
    return APR_SUCCESS;
}

/* Under the lock. @return NULL: it is not known */
static log_t *log_of(bl_marks_shelf_t *shelf, apr_uint64_t build)
{
    unsigned i;

    for (i = 0; i < shelf->count; i++) {
        if (shelf->logs[i].key.build == build) {
            shelf->logs[i].used = ++shelf->clock;
            return &shelf->logs[i];
        }
    }
    return NULL;
}

/* Under the lock: room for a log that is not known. */
static log_t *log_new(bl_marks_shelf_t *shelf)
{
    unsigned i, oldest = 0;

    if (shelf->count < BL_MARKS_LOGS) {
        oldest = shelf->count++;
    }
    else {
        for (i = 1; i < shelf->count; i++)
            if (shelf->logs[i].used < shelf->logs[oldest].used)
                oldest = i;
    }
    memset(&shelf->logs[oldest], 0, sizeof(log_t));
    shelf->logs[oldest].used = ++shelf->clock;
    return &shelf->logs[oldest];
}

static int is_same(const bl_marks_key_t *a, const bl_marks_key_t *b)
{
    return a->build == b->build && a->grows == b->grows && a->hole == b->hole;
}

void bl_marks_shelf_get(bl_marks_t *marks, bl_marks_shelf_t *shelf,
                        const bl_marks_key_t *key)
{
    const log_t *known;

    bl_marks_clear(marks, BL_MARKS_SPACING);
    apr_thread_mutex_lock(shelf->lock);
    known = log_of(shelf, key->build);
    if (known != NULL && is_same(&known->key, key))
        *marks = known->marks;
    apr_thread_mutex_unlock(shelf->lock);
}

void bl_marks_shelf_put(bl_marks_shelf_t *shelf, const bl_marks_key_t *key,
                        const bl_marks_t *marks)
{
    log_t *known;
    unsigned i;

    if (marks->count == 0)
        return;
    apr_thread_mutex_lock(shelf->lock);
    known = log_of(shelf, key->build);
    if (known == NULL)
        known = log_new(shelf);
    if (!is_same(&known->key, key))
        bl_marks_clear(&known->marks, marks->spacing);
    known->key = *key;
    for (i = 0; i < marks->count; i++)
        bl_marks_add(&known->marks, &marks->at[i]);
    apr_thread_mutex_unlock(shelf->lock);
}
