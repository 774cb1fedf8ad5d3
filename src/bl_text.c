/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_text.c - the text of a log that has ended, by offset
 *
 * INVARIANTS    X1, X2 in bl_text.h
 *               marks grow in both offsets; the first is 0, 0
 *               a bucket's start is its offset in the text
 */
#include "bl_text.h"

/* APR */
#include <apr_tables.h>
/* layer 0 */
#include "bl_plain.h"

/* What a bucket reads at a time. */
#define BLOCK_BYTES (32 * 1024)

/* One bucket is not longer: its length has to fit everywhere. */
#define BUCKET_BYTES (1024 * 1024 * 1024)

/* A record begins here. */
typedef struct {
    apr_off_t text; /* offset in the text */
    apr_off_t file; /* offset in the log */
} mark_t;

struct bl_text_t {
    bl_cursor_t *cursor;
    apr_off_t tail;
    apr_off_t at;              /* in the text: the next byte */
    bl_record_t rec;           /* that has it, when left is not 0 */
    apr_size_t len;            /* bytes of rec in the text */
    apr_size_t left;           /* of them behind at */
    apr_array_header_t *marks; /* mark_t */
    apr_status_t status;       /* of the bucket that could not be read */
};

static mark_t *mark_at(const bl_text_t *t, int i)
{
    return &APR_ARRAY_IDX(t->marks, i, mark_t);
}

static void mark_add(bl_text_t *t, apr_off_t text, apr_off_t file)
{
    mark_t *mark = apr_array_push(t->marks);

    mark->text = text;
    mark->file = file;
}

bl_text_t *bl_text_create(bl_cursor_t *cursor, apr_off_t tail, apr_pool_t *p)
{
    bl_text_t *t = apr_pcalloc(p, sizeof(*t));

    bl_cursor_set(cursor, 0);
    t->cursor = cursor;
    t->tail = tail;
    t->marks = apr_array_make(p, 16, sizeof(mark_t));
    mark_add(t, 0, 0);
    return t;
}

/* ---- offsets -------------------------------------------------------- */

/* The next record that has text. */
static apr_status_t next_record(bl_text_t *t)
{
    apr_status_t rv;

    while (t->left == 0) {
        if (t->at - mark_at(t, t->marks->nelts - 1)->text >=
            BL_TEXT_MARK_BYTES)
            mark_add(t, t->at, bl_cursor_offset(t->cursor));
        rv = bl_cursor_next(&t->rec, t->cursor, t->tail);
        if (rv != APR_SUCCESS)
            return rv;
        if (BL_REC_IS_LINE(&t->rec))
            t->len = t->left = bl_plain_text_len(&t->rec);
    }
    return APR_SUCCESS;
}

/* The last mark that is not behind an offset. */
static const mark_t *mark_before(const bl_text_t *t, apr_off_t offset)
{
    int low = 0, high = t->marks->nelts;

    while (high - low > 1) {
        int middle = low + (high - low) / 2;

        if (mark_at(t, middle)->text <= offset)
            low = middle;
        else
            high = middle;
    }
    return mark_at(t, low);
}

static apr_status_t go_to(bl_text_t *t, apr_off_t offset)
{
    const mark_t *mark = mark_before(t, offset);

    /* Back, or forwards over what is known already. */
    if (offset < t->at || mark->text > t->at) {
        bl_cursor_set(t->cursor, mark->file);
        t->at = mark->text;
        t->left = 0;
    }
    while (t->at < offset) {
        apr_status_t rv = next_record(t);
        apr_off_t step = offset - t->at;

        if (rv != APR_SUCCESS)
            return rv;
        if (step > (apr_off_t)t->left)
            step = (apr_off_t)t->left;
        t->at += step;
        t->left -= (apr_size_t)step;
    }
    return APR_SUCCESS;
}

apr_status_t bl_text_read(char *out, apr_size_t *len, bl_text_t *t,
                          apr_off_t offset)
{
    apr_size_t room = *len, done = 0;
    apr_status_t rv = go_to(t, offset);

    while (rv == APR_SUCCESS && done < room) {
        apr_size_t n = room - done;

        rv = next_record(t);
        if (rv != APR_SUCCESS)
            break;
        if (n > t->left)
            n = t->left;
        bl_plain_text_copy(out + done, &t->rec, t->len - t->left, n);
        t->at += (apr_off_t)n;
        t->left -= n;
        done += n;
    }
    *len = done;
    return done > 0 ? APR_SUCCESS : rv;
}

/* ---- buckets -------------------------------------------------------- */

/* What all buckets of a text share. */
typedef struct {
    apr_bucket_refcount refcount; /* first */
    bl_text_t *text;
} shared_t;

static const apr_bucket_type_t text_type;

static apr_bucket *bucket_create(apr_bucket_alloc_t *list, shared_t *shared,
                                 apr_off_t start, apr_size_t length)
{
    apr_bucket *b = apr_bucket_alloc(sizeof(*b), list);

    APR_BUCKET_INIT(b);
    b->free = apr_bucket_free;
    b->list = list;
    b->type = &text_type;
    b->data = shared;
    b->start = start;
    b->length = length;
    return b;
}

static void text_destroy(void *data)
{
    if (apr_bucket_shared_destroy(data))
        apr_bucket_free(data);
}

/* The bucket becomes its first block, in memory; what remains becomes a bucket
 * behind it. */
static apr_status_t text_read(apr_bucket *b, const char **data,
                              apr_size_t *len, apr_read_type_e block)
{
    shared_t *shared = b->data;
    apr_off_t start = b->start;
    apr_size_t all = b->length, n = all < BLOCK_BYTES ? all : BLOCK_BYTES;
    char *buf = apr_bucket_alloc(n, b->list);
    apr_status_t rv = bl_text_read(buf, &n, shared->text, start);

    if (rv != APR_SUCCESS) {
        apr_bucket_free(buf);
        shared->text->status = rv;
        /* Some filters take an end of file for a good end. */
        return rv == APR_EOF ? APR_EGENERAL : rv;
    }
    apr_bucket_heap_make(b, buf, n, apr_bucket_free);
    if (n < all)
        APR_BUCKET_INSERT_AFTER(
            b, bucket_create(b->list, shared, start + (apr_off_t)n, all - n));
    else
        text_destroy(shared);
    *data = buf;
    *len = n;
    return APR_SUCCESS;
}

/* Setting aside does nothing: the text lives as long as its request, whose end
 * comes behind these buckets through the same filters. To do more would be to
 * read all of it into memory. */
static const apr_bucket_type_t text_type = {
    "BLTEXT",
    5,
    APR_BUCKET_DATA,
    text_destroy,
    text_read,
    apr_bucket_setaside_noop,
    apr_bucket_shared_split,
    apr_bucket_shared_copy,
};

void bl_text_insert(apr_bucket_brigade *bb, bl_text_t *t, apr_off_t length)
{
    shared_t *shared = apr_bucket_alloc(sizeof(*shared), bb->bucket_alloc);
    apr_off_t start;

    shared->text = t;
    shared->refcount.refcount = 1; /* until all are made */
    for (start = 0; start < length; start += BUCKET_BYTES) {
        apr_off_t n = length - start;

        if (n > BUCKET_BYTES)
            n = BUCKET_BYTES;
        shared->refcount.refcount++;
        APR_BRIGADE_INSERT_TAIL(
            bb, bucket_create(bb->bucket_alloc, shared, start, (apr_size_t)n));
    }
    text_destroy(shared);
}

apr_status_t bl_text_status(const bl_text_t *t)
{
    return t->status;
}
