/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_reader.c - a place among the logs of several builds
 *
 * A log of which nothing was handed out yet is open only when it is due: else
 * the id of its next record is all that is kept of it. So a place in the past
 * holds what was written at that time, not all that came after it.
 *
 * Two readers at the same place may know different things: one has read what
 * is gone for the other. So what is missing is told by the one that sees it
 * before anything behind it is handed out (R3), and again before the record
 * behind the hole, for those who came to it in between.
 *
 * LIMITS        a linear search over the logs for each record: they are the
 *               builds that run now, those that ended behind the place
 */
#include "bl_reader.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_tables.h>
/* layer 1 */
#include "bl_log.h"

typedef struct {
    apr_uint64_t build;  /* 0: free */
    bl_cursor_t *cursor; /* NULL: it is not due yet... */
    bl_stamp_t next;     /* ...but then */
    apr_off_t tail;
    int final;
    int named;        /* in this turn */
    int begun;        /* some of it was handed out */
    int has_record;   /* record is the next one... */
    int skipped;      /* the next one stands behind a hole... */
    bl_stamp_t noted; /* ...whose note has this id, and was handed out; 0 */
    bl_record_t record;
} source_t;

struct bl_reader_t {
    apr_pool_t *pool;
    const char *logs_dir;
    bl_stamp_t at;
    apr_array_header_t *sources; /* source_t */
    source_t *peeked;
    int passed;          /* a hole was seen that was not asked for... */
    int cut;             /* ...and one to which no record will come */
    apr_status_t status; /* of reading, in this turn... */
    apr_uint64_t failed; /* ...and whose log that was */
};

static source_t *source_at(const bl_reader_t *r, int i)
{
    return &APR_ARRAY_IDX(r->sources, i, source_t);
}

static source_t *source_find(const bl_reader_t *r, apr_uint64_t build)
{
    int i;

    for (i = 0; i < r->sources->nelts; i++) {
        if (source_at(r, i)->build == build)
            return source_at(r, i);
    }
    return NULL;
}

static void source_close(source_t *s)
{
    bl_cursor_close(&s->cursor);
    memset(s, 0, sizeof(*s));
}

static apr_status_t source_open(bl_reader_t *r, source_t *s)
{
    apr_status_t rv =
        bl_cursor_open(&s->cursor, r->logs_dir, s->build, r->pool);

    if (rv != APR_SUCCESS)
        return rv;
    rv = bl_cursor_seek(s->cursor, r->at, s->tail);
    if (rv == APR_SUCCESS)
        s->noted = bl_cursor_noted(s->cursor);
    else
        bl_cursor_close(&s->cursor);
    return rv;
}

/* Look at the next record. @return APR_SUCCESS; APR_EOF: none below the tail;
 * why it cannot be opened or read */
static apr_status_t source_peek(bl_reader_t *r, source_t *s)
{
    int knew = s->skipped;
    apr_status_t rv = APR_SUCCESS;

    if (s->cursor == NULL)
        rv = source_open(r, s);
    while (rv == APR_SUCCESS && !s->has_record) {
        rv = bl_cursor_next(&s->record, s->cursor, s->tail);
        if (rv != APR_SUCCESS)
            break;
        s->skipped |= s->noted != 0 || bl_cursor_skipped(s->cursor) != NULL;
        /* A damaged log may go back in its ids: nothing comes twice. */
        s->has_record = s->record.id > r->at;
        /* The note of a hole came too late to tell of it. */
        if (!s->has_record && (s->record.flags & BL_REC_GAP) != 0)
            s->skipped = 1;
    }
    if (APR_STATUS_IS_EOF(rv) && bl_cursor_is_passing(s->cursor))
        s->skipped = 1;
    /* It is new, or has grown since. */
    if (s->skipped &&
        (!knew || (s->has_record && s->next != 0 && s->record.id > s->next)))
        r->passed = 1;
    s->next = s->has_record ? s->record.id : 0;
    return rv;
}

/* It has a record, and others come first. */
static void source_wait(source_t *s)
{
    if (s->begun)
        return;
    s->has_record = 0;
    bl_cursor_close(&s->cursor);
}

/* The log of s was opened: is it due before the one that was so far? */
static void wait_in_line(const bl_reader_t *r, source_t *s)
{
    int i;

    for (i = 0; i < r->sources->nelts; i++) {
        source_t *other = source_at(r, i);

        if (other == s || !other->has_record)
            continue;
        source_wait(other->record.id < s->record.id ? s : other);
        if (!s->has_record)
            return;
    }
}

bl_reader_t *bl_reader_create(const char *logs_dir, bl_stamp_t at,
                              apr_pool_t *p)
{
    apr_pool_t *pool;
    bl_reader_t *r;

    apr_pool_create(&pool, p);
    r = apr_pcalloc(pool, sizeof(*r));
    r->pool = pool;
    r->logs_dir = logs_dir;
    r->at = at;
    r->sources = apr_array_make(pool, 4, sizeof(source_t));
    return r;
}

void bl_reader_destroy(bl_reader_t **reader)
{
    apr_pool_t *pool = (*reader)->pool;

    *reader = NULL;
    apr_pool_destroy(pool);
}

bl_stamp_t bl_reader_at(const bl_reader_t *r)
{
    return r->at;
}

void bl_reader_move(bl_reader_t *r, bl_stamp_t at)
{
    if (at > r->at)
        r->at = at;
}

apr_status_t bl_reader_status(const bl_reader_t *r, apr_uint64_t *build)
{
    *build = r->failed;
    return r->status;
}

void bl_reader_again(bl_reader_t *r)
{
    int i;

    for (i = 0; i < r->sources->nelts; i++) {
        source_t *s = source_at(r, i);

        if (s->cursor == NULL)
            continue;
        s->has_record = 0;
        s->skipped = 0;
        if (bl_cursor_seek(s->cursor, r->at, s->tail) != APR_SUCCESS)
            source_close(s);
    }
}

void bl_reader_turn(bl_reader_t *r)
{
    int i;

    r->peeked = NULL;
    r->passed = 0;
    r->status = APR_SUCCESS;
    for (i = 0; i < r->sources->nelts; i++) {
        source_at(r, i)->named = 0;
        r->passed |= source_at(r, i)->skipped;
    }
}

int bl_reader_has(const bl_reader_t *r, apr_uint64_t build)
{
    return source_find(r, build) != NULL;
}

apr_status_t bl_reader_name(bl_reader_t *r, apr_uint64_t build, apr_off_t tail,
                            int final)
{
    source_t *s = source_find(r, build);
    apr_status_t rv;

    if (s != NULL) {
        s->tail = tail;
        s->final = final;
        s->named = 1;
        return APR_SUCCESS;
    }
    s = source_find(r, 0);
    if (s == NULL)
        s = apr_array_push(r->sources);
    memset(s, 0, sizeof(*s));
    s->build = build;
    s->tail = tail;
    s->final = final;
    s->named = 1;
    rv = source_peek(r, s);
    if (rv == APR_SUCCESS)
        wait_in_line(r, s);
    else if (rv != APR_EOF)
        source_close(s);
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

/* @return 0: the log stays as it is, and nothing may come before it */
static int source_failed(bl_reader_t *r, source_t *s, apr_status_t rv)
{
    r->status = rv;
    r->failed = s->build;
    if (APR_STATUS_IS_EMFILE(rv) || APR_STATUS_IS_ENFILE(rv))
        return 0;
    source_close(s);
    return 1;
}

apr_uint64_t bl_reader_peek(const bl_record_t **rec, bl_reader_t *r,
                            bl_stamp_t up_to)
{
    source_t *best = NULL;
    int i;

    r->peeked = NULL;
    for (i = 0; i < r->sources->nelts; i++) {
        source_t *s = source_at(r, i);
        bl_stamp_t before = best != NULL ? best->record.id : up_to;
        apr_status_t rv;

        if (s->build == 0 || (s->cursor == NULL && s->next > before))
            continue;
        rv = source_peek(r, s);
        if (APR_STATUS_IS_EOF(rv)) {
            if (s->final || !s->named) {
                r->cut |= s->skipped;
                source_close(s);
            }
        }
        else if (rv != APR_SUCCESS) {
            if (!source_failed(r, s, rv))
                return 0;
        }
        else if (s->record.id > before) {
            source_wait(s);
        }
        else {
            if (best != NULL)
                source_wait(best);
            best = s;
        }
    }
    r->peeked = best;
    if (best == NULL)
        return 0;
    *rec = &best->record;
    return best->build;
}

/* Who was handed the note as the last thing knows. */
static int is_missing(const bl_reader_t *r, const source_t *s)
{
    return s->skipped && (s->noted == 0 || s->noted != r->at);
}

int bl_reader_skipped(const bl_reader_t *r)
{
    return r->peeked != NULL && is_missing(r, r->peeked);
}

int bl_reader_missing(bl_reader_t *r, bl_stamp_t *from)
{
    bl_stamp_t most = 0;
    int i, holes = r->cut, ends = 0;

    if (!r->passed)
        return 0;
    r->passed = 0;
    r->cut = 0;
    for (i = 0; i < r->sources->nelts; i++) {
        const source_t *s = source_at(r, i);

        if (!is_missing(r, s) || s == r->peeked)
            continue;
        holes++;
        ends += s->next != 0;
        if (s->next > most)
            most = s->next;
    }
    *from = ends == holes ? most : 0;
    return holes > 0;
}

void bl_reader_take(bl_reader_t *r)
{
    r->at = r->peeked->record.id;
    r->peeked->next = 0;
    r->peeked->noted = (r->peeked->record.flags & BL_REC_GAP) != 0 ? r->at : 0;
    r->peeked->has_record = 0;
    r->peeked->skipped = 0;
    r->peeked->begun = 1;
    r->peeked = NULL;
}
