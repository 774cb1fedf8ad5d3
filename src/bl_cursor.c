/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_cursor.c - the reading side of bl_log.h
 *
 * A cursor reads blocks into its buffer and hands out records that point into
 * it. It never looks at bytes at or beyond the tail that its caller names.
 *
 * HOLES         The runner punches a hole, or writes its note, while others
 *               read, and a read may see a part of that: some pages as they
 *               were, some of NULs. So:
 *               C1 no NUL comes into the buffer: a read ends before it
 *               C2 what stands behind NULs is a record only if it does so
 *                  still when the punching is over. lseek(2) with SEEK_DATA
 *                  waits for that: it takes the file's lock, and on most file
 *                  systems read(2) does not (on the others a read sees all of
 *                  a change or nothing)
 *               C3 what stands before a NUL and is no whole record was one,
 *                  and is a part of the hole
 *               C4 of a record that came with two reads the beginning is
 *                  looked at again: the second read may have met the note of
 *                  the hole that has swallowed it
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
    int joined;          /* what is buffered came with two reads (C4) */
    bl_hole_t hole;      /* passed since the last record; to 0: none */
    bl_hole_t skipped;   /* before the last record; to 0: none to be told */
    apr_off_t noted;     /* a hole that begins here has a note; -1: none... */
    bl_stamp_t noted_id; /* ...and its id */
};

/* Beside those of the system: a NUL comes next. */
#define STATUS_HOLE APR_OS_START_USERERR

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
    rv = bl_log_file_open(&c->file, bl_log_path(dir, build, pool),
                          APR_FOPEN_READ, pool);
    if (rv != APR_SUCCESS) {
        apr_pool_destroy(pool);
        return rv;
    }
    apr_os_file_get(&fd, c->file);
    c->fd = fd;
    c->noted = -1;
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

const bl_hole_t *bl_cursor_skipped(const bl_cursor_t *c)
{
    return c->skipped.to != 0 ? &c->skipped : NULL;
}

int bl_cursor_is_passing(const bl_cursor_t *c)
{
    return c->hole.to != 0 && c->hole.from != c->noted;
}

bl_stamp_t bl_cursor_noted(const bl_cursor_t *c)
{
    return c->noted >= 0 && c->noted == c->offset ? c->noted_id : 0;
}

void bl_cursor_close(bl_cursor_t **c)
{
    if (*c != NULL)
        apr_pool_destroy((*c)->pool);
    *c = NULL;
}

/* Forget the buffer and go on at a byte. */
static void cursor_move(bl_cursor_t *c, apr_off_t offset)
{
    c->offset = offset;
    c->start = 0;
    c->len = 0;
    c->joined = 0;
}

/* Stand at a byte, wherever the cursor comes from. */
void bl_cursor_set(bl_cursor_t *c, apr_off_t offset)
{
    cursor_move(c, offset);
    c->hole.to = 0;
}

static void cursor_skip(bl_cursor_t *c, apr_size_t used)
{
    c->offset += (apr_off_t)used;
    c->start += used;
    c->len -= used;
    c->joined = 0;
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

static ssize_t read_at(const bl_cursor_t *c, char *into, apr_size_t len,
                       apr_off_t at)
{
    ssize_t n;

    do {
        n = pread(c->fd, into, len, at);
    } while (n < 0 && errno == EINTR);
    return n;
}

/* Read more of the file, up to want bytes, before any NUL (C1) and never
 * beyond the tail. APR_EOF: there is no more below it. STATUS_HOLE. */
static apr_status_t cursor_fill(bl_cursor_t *c, apr_size_t want,
                                apr_off_t tail)
{
    apr_off_t at = c->offset + (apr_off_t)c->len;
    const char *nul;
    char *into;
    ssize_t n;

    if (at >= tail)
        return APR_EOF;
    if ((apr_off_t)want > tail - at)
        want = (apr_size_t)(tail - at);
    cursor_make_room(c, want);
    into = c->buf + c->start + c->len;
    n = read_at(c, into, want, at);
    if (n < 0)
        return APR_FROM_OS_ERROR(errno);
    if (n == 0)
        return APR_EOF; /* shorter than its tail: somebody cut it */
    c->joined = c->len > 0;
    nul = memchr(into, '\0', (apr_size_t)n);
    if (nul == into)
        return STATUS_HOLE;
    c->len += nul != NULL ? (apr_size_t)(nul - into) : (apr_size_t)n;
    return APR_SUCCESS;
}

/* ---- holes ---------------------------------------------------------- */

/* The lock of C2; and where the next bytes are that take room on the
 * disk. @return at, if the file system does not know; -1: there are none */
static apr_off_t next_data(const bl_cursor_t *c, apr_off_t at)
{
    off_t data = lseek(c->fd, at, SEEK_DATA);

    if (data == (off_t)-1)
        return errno == ENXIO ? -1 : at;
    return data;
}

/* Find the first byte from at on that is no NUL; *end is the tail if there is
 * none below it. */
static apr_status_t pass_nuls(apr_off_t *end, const bl_cursor_t *c,
                              apr_off_t at, apr_off_t tail)
{
    char buf[PROBE_BYTES];

    *end = tail;
    while (at < tail) {
        apr_off_t data = next_data(c, at);
        ssize_t n, i = 0;

        if (data < 0 || data >= tail)
            break;
        n = read_at(c, buf, sizeof(buf), data);
        if (n < 0)
            return APR_FROM_OS_ERROR(errno);
        if (n == 0)
            break;
        while (i < n && buf[i] == '\0')
            i++;
        at = data + i;
        if (i < n && at < tail)
            *end = at;
        if (i < n)
            break;
    }
    return APR_SUCCESS;
}

apr_status_t bl_cursor_hole_end(apr_off_t *end, const bl_cursor_t *c,
                                apr_off_t tail)
{
    off_t hole = lseek(c->fd, 0, SEEK_HOLE);

    *end = 0;
    if (hole == (off_t)-1 || hole >= tail)
        return APR_SUCCESS; /* or the file system has no holes at all */
    return pass_nuls(end, c, hole, tail);
}

/* A NUL comes next: go on behind the hole, or where it is by now. */
static apr_status_t cursor_pass(bl_cursor_t *c, apr_off_t tail)
{
    apr_off_t begin = c->offset, nul = begin + (apr_off_t)c->len, end;
    apr_status_t rv;

    cursor_move(c, begin); /* C3 */
    rv = pass_nuls(&end, c, nul, tail);
    if (rv != APR_SUCCESS)
        return rv;
    /* Nothing to pass: its note was written meanwhile. */
    if (end > begin) {
        if (c->hole.to == 0)
            c->hole.from = begin;
        c->hole.to = end;
    }
    next_data(c, end); /* C2 */
    cursor_move(c, end);
    return APR_SUCCESS;
}

/* ---- reading -------------------------------------------------------- */

/* C4 */
static int is_still_there(const bl_cursor_t *c, apr_size_t len)
{
    char head[64];

    if (len > sizeof(head))
        len = sizeof(head);
    return read_at(c, head, len, c->offset) == (ssize_t)len &&
           memcmp(head, c->buf + c->start, len) == 0;
}

/* A record was read: what stood before it, and what it says itself. */
static void cursor_took(bl_cursor_t *c, const bl_record_t *rec)
{
    c->skipped = c->hole;
    if (c->hole.from == c->noted)
        c->skipped.to = 0;
    c->hole.to = 0;
    if ((rec->flags & BL_REC_GAP) != 0) {
        c->noted = c->offset;
        c->noted_id = rec->id;
    }
}

static apr_status_t cursor_read(bl_record_t *rec, bl_cursor_t *c,
                                apr_size_t block, apr_off_t tail)
{
    for (;;) {
        apr_size_t used = 0;
        apr_status_t rv = APR_INCOMPLETE;

        if (c->len > 0)
            rv = bl_record_decode(rec, c->buf + c->start, c->len, &used);
        if (rv == APR_SUCCESS && c->joined && !is_still_there(c, used)) {
            cursor_move(c, c->offset);
            continue;
        }
        if (rv == APR_SUCCESS) {
            cursor_skip(c, used);
            cursor_took(c, rec);
            return APR_SUCCESS;
        }
        if (rv == APR_EGENERAL || c->len > BL_REC_MAX) {
            cursor_skip(c, rv == APR_EGENERAL ? used : c->len);
            continue;
        }
        rv = cursor_fill(c, block, tail);
        if (rv == STATUS_HOLE)
            rv = cursor_pass(c, tail);
        if (rv != APR_SUCCESS)
            return rv;
    }
}

apr_status_t bl_cursor_next(bl_record_t *rec, bl_cursor_t *c, apr_off_t tail)
{
    return cursor_read(rec, c, BLOCK_BYTES, tail);
}

/* ---- finding a place ------------------------------------------------ */

apr_status_t bl_cursor_align(bl_cursor_t *c, apr_off_t offset, apr_off_t tail)
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
        if (rv == STATUS_HOLE)
            rv = cursor_pass(c, tail);
        if (rv != APR_SUCCESS)
            return rv;
    }
}

static apr_status_t cursor_find(bl_cursor_t *c, bl_stamp_t after,
                                apr_off_t tail)
{
    /* Every record that begins below low has an id <= after; the first one
     * that begins at or behind high has an id > after (or there is none). */
    apr_off_t low = 0, high = tail;
    bl_record_t rec;
    apr_status_t rv;

    while (after > 0 && high - low > BLOCK_BYTES) {
        apr_off_t middle = low + (high - low) / 2;

        rv = bl_cursor_align(c, middle, tail);
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

apr_status_t bl_cursor_seek(bl_cursor_t *c, bl_stamp_t after, apr_off_t tail)
{
    apr_status_t rv = cursor_find(c, after, tail);

    /* The note of a hole says nothing to who was in the middle of it. */
    if (c->noted_id != after)
        c->noted = -1;
    return rv;
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
    rv = bl_cursor_align(c, from, tail);
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

/* Where the last record below the tail is; damage, or a hole, may stand before
 * it at *from. */
static apr_status_t find_last(apr_off_t *from, apr_off_t *end, bl_cursor_t *c,
                              apr_off_t tail)
{
    apr_off_t span = PROBE_BYTES;
    apr_status_t rv;

    *from = *end = 0;
    do {
        rv = bl_cursor_align(c, span < tail ? tail - span : 0, tail);
        while (rv == APR_SUCCESS) {
            apr_off_t here = c->offset;
            bl_record_t rec;

            rv = bl_cursor_next(&rec, c, tail);
            if (rv == APR_SUCCESS) {
                *from = here;
                *end = c->offset;
            }
        }
        if (rv != APR_EOF)
            return rv;
        span *= 4;
    } while (*end == 0 && span / 4 < tail);
    return *end > 0 ? APR_SUCCESS : APR_EOF;
}

apr_status_t bl_cursor_last(bl_record_t *rec, bl_cursor_t *c, apr_off_t tail)
{
    apr_off_t from, end;
    apr_status_t rv;

    /* Read again, because its text must be in the buffer. When it is not there
     * any more, a hole has swallowed it: there is another last one. */
    do {
        rv = find_last(&from, &end, c, tail);
        if (rv != APR_SUCCESS) {
            bl_cursor_set(c, 0);
            return rv;
        }
        bl_cursor_set(c, from);
        rv = bl_cursor_next(rec, c, end);
    } while (rv == APR_EOF);
    return rv;
}
