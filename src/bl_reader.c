/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_reader.c - a place among the logs of several builds
 *
 * LIMITS        a linear search over the open logs for each record: they are
 *               the builds that run now and a few that just ended
 */
#include "bl_reader.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_tables.h>
/* layer 1 */
#include "bl_log.h"

typedef struct {
    apr_uint64_t build; /* 0: free */
    bl_cursor_t *cursor;
    apr_off_t tail;
    int final;
    int named;      /* in this turn */
    int has_record; /* record is the next one... */
    int skipped;    /* ...and stands behind a hole */
    bl_record_t record;
} source_t;

struct bl_reader_t {
    apr_pool_t *pool;
    const char *logs_dir;
    bl_stamp_t at;
    apr_array_header_t *sources; /* source_t */
    source_t *peeked;
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

/* Look at the next record. @return 0: none below the tail */
static int source_peek(bl_reader_t *r, source_t *s)
{
    while (!s->has_record) {
        apr_status_t rv = bl_cursor_next(&s->record, s->cursor, s->tail);

        if (rv == APR_EOF)
            return 0;
        if (rv != APR_SUCCESS) {
            r->status = rv;
            r->failed = s->build;
            source_close(s);
            return 0;
        }
        s->skipped |= bl_cursor_skipped(s->cursor) != NULL;
        /* A damaged log may go back in its ids: nothing comes twice. */
        s->has_record = s->record.id > r->at;
        /* The note of a hole came too late to tell of it. */
        if (!s->has_record && (s->record.flags & BL_REC_GAP) != 0)
            s->skipped = 1;
    }
    return 1;
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

        if (s->build == 0)
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
    r->status = APR_SUCCESS;
    for (i = 0; i < r->sources->nelts; i++)
        source_at(r, i)->named = 0;
}

int bl_reader_has(const bl_reader_t *r, apr_uint64_t build)
{
    return source_find(r, build) != NULL;
}

apr_status_t bl_reader_name(bl_reader_t *r, apr_uint64_t build, apr_off_t tail,
                            int final)
{
    source_t *s = source_find(r, build);

    if (s == NULL) {
        bl_cursor_t *cursor;
        apr_status_t rv;

        rv = bl_cursor_open(&cursor, r->logs_dir, build, r->pool);
        if (rv != APR_SUCCESS)
            return rv;
        rv = bl_cursor_seek(cursor, r->at, tail);
        if (rv != APR_SUCCESS) {
            bl_cursor_close(&cursor);
            return rv;
        }
        s = source_find(r, 0);
        if (s == NULL)
            s = apr_array_push(r->sources);
        memset(s, 0, sizeof(*s));
        s->build = build;
        s->cursor = cursor;
    }
    s->tail = tail;
    s->final = final;
    s->named = 1;
    return APR_SUCCESS;
}

apr_uint64_t bl_reader_peek(const bl_record_t **rec, bl_reader_t *r,
                            bl_stamp_t up_to)
{
    source_t *best = NULL;
    int i;

    for (i = 0; i < r->sources->nelts; i++) {
        source_t *s = source_at(r, i);

        if (s->build == 0)
            continue;
        if (!source_peek(r, s)) {
            if (s->build != 0 && (s->final || !s->named))
                source_close(s);
            continue;
        }
        if (s->record.id <= up_to &&
            (best == NULL || s->record.id < best->record.id))
            best = s;
    }
    r->peeked = best;
    if (best == NULL)
        return 0;
    *rec = &best->record;
    return best->build;
}

int bl_reader_skipped(const bl_reader_t *r)
{
    return r->peeked != NULL && r->peeked->skipped;
}

void bl_reader_take(bl_reader_t *r)
{
    r->at = r->peeked->record.id;
    r->peeked->has_record = 0;
    r->peeked->skipped = 0;
    r->peeked = NULL;
}
