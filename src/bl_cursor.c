/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_cursor.c - the reading side of bl_log.h
 *
 * A cursor reads blocks into its buffer and hands out records that point into
 * it. It never looks at bytes at or beyond the tail that its caller names.
 *
 * BUGS          a line that is no record (damage from outside) is skipped
 *               silently; the ids around it still grow
 */
#include "bl_log.h"

/* libc */
#include <errno.h>
#include <string.h>
#include <unistd.h>
/* APR */
#include <apr_file_io.h>
#include <apr_portable.h>

/* One read; also how far apart two probes of a search may end. */
#define BLOCK_BYTES (64 * 1024)

/* Enough for most records, so that a probe seldom reads twice. */
#define PROBE_BYTES 4096

struct bl_cursor_t {
    apr_pool_t *pool;
    apr_file_t *file;
    int fd;
    apr_off_t offset; /* of the next record in the file */
    char *buf;        /* holds the file from offset on... */
    apr_size_t start; /* ...beginning here in buf */
    apr_size_t len;   /* bytes of it */
    apr_size_t cap;
};

apr_status_t bl_cursor_open(bl_cursor_t **out, const char *dir,
                            apr_uint64_t build, apr_pool_t *p)
{
    bl_cursor_t *c;
    apr_pool_t *pool;
    apr_os_file_t fd;
    apr_status_t rv;

    apr_pool_create(&pool, p);
    c = apr_pcalloc(pool, sizeof(*c));
    c->pool = pool;
    rv = apr_file_open(&c->file, bl_log_path(dir, build, pool), APR_FOPEN_READ,
                       APR_FPROT_OS_DEFAULT, pool);
    if (rv != APR_SUCCESS) {
        apr_pool_destroy(pool);
        return rv;
    }
    apr_os_file_get(&fd, c->file);
    c->fd = fd;
    *out = c;
    return APR_SUCCESS;
}

apr_status_t bl_cursor_size(apr_off_t *size, bl_cursor_t *c)
{
    apr_finfo_t info;
    apr_status_t rv = apr_file_info_get(&info, APR_FINFO_SIZE, c->file);

    if (rv == APR_SUCCESS)
        *size = info.size;
    return rv;
}

apr_off_t bl_cursor_offset(const bl_cursor_t *c)
{
    return c->offset;
}

void bl_cursor_close(bl_cursor_t **c)
{
    if (*c != NULL)
        apr_pool_destroy((*c)->pool);
    *c = NULL;
}

/* Forgets the buffer. */
void bl_cursor_set(bl_cursor_t *c, apr_off_t offset)
{
    c->offset = offset;
    c->start = 0;
    c->len = 0;
}

static void cursor_skip(bl_cursor_t *c, apr_size_t used)
{
    c->offset += (apr_off_t)used;
    c->start += used;
    c->len -= used;
}

/* Make room behind what is buffered: move it to the front, or grow. Growing
 * is for records longer than the buffer, so it happens a few times at most. */
static void cursor_make_room(bl_cursor_t *c, apr_size_t want)
{
    if (c->start > 0 && c->cap - c->start - c->len < want) {
        memmove(c->buf, c->buf + c->start, c->len);
        c->start = 0;
    }
    if (c->cap - c->start - c->len < want) {
        apr_size_t cap = c->cap == 0 ? BLOCK_BYTES : c->cap * 2;
        char *buf;

        while (cap < c->len + want)
            cap *= 2;
        buf = apr_palloc(c->pool, cap);
        if (c->len > 0)
            memcpy(buf, c->buf + c->start, c->len);
        c->buf = buf;
        c->start = 0;
        c->cap = cap;
    }
}

/* Read more of the file, up to want bytes and never beyond the tail.
 * APR_EOF: there is no more below it. */
static apr_status_t cursor_fill(bl_cursor_t *c, apr_size_t want,
                                apr_off_t tail)
{
    apr_off_t at = c->offset + (apr_off_t)c->len;
    ssize_t n;

    if (at >= tail)
        return APR_EOF;
    if ((apr_off_t)want > tail - at)
        want = (apr_size_t)(tail - at);
    cursor_make_room(c, want);
    do {
        n = pread(c->fd, c->buf + c->start + c->len, want, at);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return APR_FROM_OS_ERROR(errno);
    if (n == 0)
        return APR_EOF; /* shorter than its tail: somebody cut it */
    c->len += (apr_size_t)n;
    return APR_SUCCESS;
}

static apr_status_t cursor_read(bl_record_t *rec, bl_cursor_t *c,
                                apr_size_t block, apr_off_t tail)
{
    for (;;) {
        apr_size_t used = 0;
        apr_status_t rv = APR_INCOMPLETE;

        if (c->len > 0)
            rv = bl_record_decode(rec, c->buf + c->start, c->len, &used);
        if (rv == APR_SUCCESS) {
            cursor_skip(c, used);
            return APR_SUCCESS;
        }
        if (rv == APR_EGENERAL || c->len > BL_REC_MAX) {
            cursor_skip(c, rv == APR_EGENERAL ? used : c->len);
            continue;
        }
        rv = cursor_fill(c, block, tail);
        if (rv != APR_SUCCESS)
            return rv;
    }
}

apr_status_t bl_cursor_next(bl_record_t *rec, bl_cursor_t *c, apr_off_t tail)
{
    return cursor_read(rec, c, BLOCK_BYTES, tail);
}

/* ---- finding a place ------------------------------------------------ */

/* Stand at the first record that begins at or behind a byte. */
static apr_status_t cursor_align(bl_cursor_t *c, apr_off_t offset,
                                 apr_off_t tail)
{
    if (offset == 0) {
        bl_cursor_set(c, 0);
        return APR_SUCCESS;
    }
    /* The byte before tells whether a record begins exactly here. */
    bl_cursor_set(c, offset - 1);
    for (;;) {
        const char *nl =
            c->len > 0 ? memchr(c->buf + c->start, '\n', c->len) : NULL;
        apr_status_t rv;

        if (nl != NULL) {
            cursor_skip(c, (apr_size_t)(nl + 1 - (c->buf + c->start)));
            return APR_SUCCESS;
        }
        cursor_skip(c, c->len);
        rv = cursor_fill(c, PROBE_BYTES, tail);
        if (rv != APR_SUCCESS)
            return rv;
    }
}

apr_status_t bl_cursor_seek(bl_cursor_t *c, bl_stamp_t after, apr_off_t tail)
{
    /* Every record that begins below low has an id <= after; the first one
     * that begins at or behind high has an id > after (or there is none). */
    apr_off_t low = 0, high = tail;
    bl_record_t rec;
    apr_status_t rv;

    while (after > 0 && high - low > BLOCK_BYTES) {
        apr_off_t middle = low + (high - low) / 2;

        rv = cursor_align(c, middle, tail);
        if (rv == APR_SUCCESS)
            rv = cursor_read(&rec, c, PROBE_BYTES, tail);
        if (rv == APR_EOF || (rv == APR_SUCCESS && rec.id > after))
            high = middle;
        else if (rv == APR_SUCCESS)
            low = c->offset;
        else
            return rv;
    }
    /* The rest is a block or so: walk. */
    bl_cursor_set(c, low);
    while (after > 0) {
        apr_off_t here = c->offset;

        rv = bl_cursor_next(&rec, c, tail);
        if (rv == APR_EOF)
            return APR_SUCCESS;
        if (rv != APR_SUCCESS)
            return rv;
        if (rec.id > after) {
            bl_cursor_set(c, here);
            return APR_SUCCESS;
        }
    }
    return APR_SUCCESS;
}

/* From a byte to the tail: how many lines, and the id before each of the last
 * count ones, in a ring. */
typedef struct {
    bl_stamp_t *before; /* ring of count ids */
    apr_uint32_t count;
    apr_uint64_t lines;
} tail_scan_t;

static apr_status_t scan_from(tail_scan_t *scan, bl_cursor_t *c,
                              apr_off_t from, apr_off_t tail)
{
    bl_stamp_t last = 0;
    bl_record_t rec;
    apr_status_t rv;

    scan->lines = 0;
    rv = cursor_align(c, from, tail);
    if (rv != APR_SUCCESS)
        return rv == APR_EOF ? APR_SUCCESS : rv;
    while ((rv = bl_cursor_next(&rec, c, tail)) == APR_SUCCESS) {
        /* The first record of a scan that begins inside the log only tells
         * the id before the second one. */
        if (BL_REC_IS_LINE(&rec) && (from == 0 || last != 0)) {
            scan->before[scan->lines % scan->count] = last;
            scan->lines++;
        }
        last = rec.id;
    }
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

apr_status_t bl_cursor_seek_tail(bl_stamp_t *after, bl_cursor_t *c,
                                 apr_uint32_t count, apr_off_t tail)
{
    apr_off_t span = BLOCK_BYTES, from;
    tail_scan_t scan;
    apr_status_t rv;

    if (count == 0) {
        bl_record_t rec;

        rv = bl_cursor_last(&rec, c, tail);
        *after = rv == APR_SUCCESS ? rec.id : 0;
        return rv == APR_EOF ? APR_SUCCESS : rv;
    }
    scan.count = count;
    scan.before = apr_pcalloc(c->pool, sizeof(bl_stamp_t) * count);
    do {
        from = span < tail ? tail - span : 0;
        rv = scan_from(&scan, c, from, tail);
        if (rv != APR_SUCCESS)
            return rv;
        span *= 4;
    } while (from > 0 && scan.lines < count);
    *after = scan.lines < count ? 0 : scan.before[scan.lines % count];
    return APR_SUCCESS;
}

apr_status_t bl_cursor_last(bl_record_t *rec, bl_cursor_t *c, apr_off_t tail)
{
    apr_off_t span = PROBE_BYTES, from, end = 0;
    bl_record_t found, next;
    apr_status_t rv;
    int any = 0;

    do {
        from = span < tail ? tail - span : 0;
        rv = cursor_align(c, from, tail);
        /* Walk to the end; then read the last one again, because its text
         * must be in the buffer. */
        while (rv == APR_SUCCESS) {
            apr_off_t here = c->offset;

            rv = bl_cursor_next(&next, c, tail);
            if (rv == APR_SUCCESS) {
                /* Damage that was skipped stands before the record. */
                found = next;
                end = c->offset;
                any = 1;
                from = here;
            }
        }
        if (rv != APR_EOF)
            return rv;
        span *= 4;
    } while (!any && span / 4 < tail);
    if (!any) {
        bl_cursor_set(c, 0);
        return APR_EOF;
    }
    bl_cursor_set(c, from);
    rv = bl_cursor_next(&found, c, end);
    if (rv == APR_SUCCESS)
        *rec = found;
    return rv;
}
