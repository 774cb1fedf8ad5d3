/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_log.c - the log file of one build: appending, and the directory
 *
 * FORMAT        see bl_record.h; one record per line, LF ends it. The log of
 *               build 42 is <dir>/42.log
 * INVARIANTS    G1 only the runner writes; a log never shrinks below its tail
 *               G2 ids grow strictly within a log
 *               G3 bytes before the tail are whole records, and NULs between
 *                  two of them
 *               G4 a batch is in the file whole, or not at all (half a note
 *                  of a hole is a part of the hole, see bl_cursor.c)
 * DIAGNOSTICS   every I/O failure is returned, none is logged here
 * LIMITS        local file systems only (readers rely on ordered writes).
 * Holes: those of ext4, XFS, btrfs, tmpfs and others that know
 *               FALLOC_FL_PUNCH_HOLE
 */
#include "bl_log.h"

/* libc */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* APR */
#include <apr_file_io.h>
#include <apr_portable.h>
#include <apr_strings.h>
/* layer 0 */
#include "bl_build.h"

#define LOG_PERMS (APR_FPROT_UREAD | APR_FPROT_UWRITE | APR_FPROT_GREAD)

/* What one read of a pipe usually becomes; grows when lines are short. */
#define BATCH_START_BYTES (256 * 1024)

/* Longest note of a hole, as a record. */
#define NOTE_BYTES 512

struct bl_log_t {
    apr_pool_t *pool;
    apr_file_t *file;
    int fd;
    apr_off_t tail;
    int torn;            /* something may stand behind the tail */
    bl_stamp_t last_id;  /* committed */
    bl_stamp_t batch_id; /* last one in the batch */
    apr_pool_t *batch_pool;
    char *batch;
    apr_size_t batch_len;
    apr_size_t batch_cap;
};

const char *bl_log_path(const char *dir, apr_uint64_t build, apr_pool_t *p)
{
    return apr_psprintf(p, "%s/%" APR_UINT64_T_FMT ".log", dir, build);
}

/* ---- batch ---------------------------------------------------------- */

/* Only a failing disk makes a batch grow beyond what one read becomes, and
 * then nothing more is read: so this is bounded by the read size. */
static void batch_reserve(bl_log_t *log, apr_size_t len)
{
    apr_size_t cap = log->batch_cap;
    apr_pool_t *pool;
    char *batch;

    if (log->batch_len + len <= cap)
        return;
    while (cap < log->batch_len + len)
        cap = cap == 0 ? BATCH_START_BYTES : cap * 2;
    apr_pool_create(&pool, log->pool);
    batch = apr_palloc(pool, cap);
    if (log->batch_len > 0)
        memcpy(batch, log->batch, log->batch_len);
    if (log->batch_pool != NULL)
        apr_pool_destroy(log->batch_pool);
    log->batch_pool = pool;
    log->batch = batch;
    log->batch_cap = cap;
}

void bl_log_add(bl_log_t *log, const bl_record_t *rec)
{
    batch_reserve(log, rec->len + BL_REC_OVERHEAD);
    log->batch_len += bl_record_encode(log->batch + log->batch_len, rec);
    log->batch_id = rec->id;
}

/* G4: no half record, ever. Nothing is appended before this has worked. */
static apr_status_t cut_torn(bl_log_t *log)
{
    apr_status_t rv = apr_file_trunc(log->file, log->tail);

    log->torn = rv != APR_SUCCESS;
    return rv;
}

static apr_status_t write_whole(int fd, const char *bytes, apr_size_t len,
                                apr_off_t at)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, bytes, len, at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? APR_FROM_OS_ERROR(errno) : APR_ENOSPC;
        bytes += n;
        at += n;
        len -= (apr_size_t)n;
    }
    return APR_SUCCESS;
}

apr_status_t bl_log_commit(bl_log_t *log)
{
    apr_status_t rv = APR_SUCCESS;

    if (log->batch_len == 0)
        return APR_SUCCESS;
    if (log->torn)
        rv = cut_torn(log);
    if (rv != APR_SUCCESS)
        return rv;
    rv = write_whole(log->fd, log->batch, log->batch_len, log->tail);
    if (rv != APR_SUCCESS) {
        /* The next try writes all again. */
        cut_torn(log);
        return rv;
    }
    log->tail += (apr_off_t)log->batch_len;
    log->last_id = log->batch_id;
    log->batch_len = 0;
    return APR_SUCCESS;
}

/* ---- holes ---------------------------------------------------------- */

apr_status_t bl_log_punch(bl_log_t *log, const bl_hole_t *hole)
{
    int done;

    do {
        done = fallocate(log->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                         hole->from, hole->to - hole->from);
    } while (done != 0 && errno == EINTR);
    if (done == 0)
        return APR_SUCCESS;
    return errno == EOPNOTSUPP || errno == ENOSYS ? APR_ENOTIMPL
                                                  : APR_FROM_OS_ERROR(errno);
}

apr_status_t bl_log_fill(bl_log_t *log, const bl_hole_t *hole,
                         const bl_record_t *note)
{
    char line[NOTE_BYTES];
    apr_size_t len;

    if (note->len + BL_REC_OVERHEAD > sizeof(line))
        return APR_EINVAL;
    len = bl_record_encode(line, note);
    if (hole->from + (apr_off_t)len > hole->to)
        return APR_EINVAL;
    return write_whole(log->fd, line, len, hole->from);
}

int bl_log_pending(const bl_log_t *log)
{
    return log->batch_len > 0;
}

apr_off_t bl_log_tail(const bl_log_t *log)
{
    return log->tail;
}

apr_off_t bl_log_end(const bl_log_t *log)
{
    return log->tail + (apr_off_t)log->batch_len;
}

bl_stamp_t bl_log_last_id(const bl_log_t *log)
{
    return log->last_id;
}

/* ---- open and close ------------------------------------------------- */

/* Builds may be of the same user as the logs: what stands there under the name
 * of a log can be a fifo, which would be waited for, or a link, which would be
 * followed with the rights of httpd. */
apr_status_t bl_log_file_open(apr_file_t **out, const char *path,
                              apr_int32_t flags, apr_pool_t *p)
{
    struct stat opened, named;
    apr_os_file_t fd;
    apr_status_t rv;

    rv = apr_file_open(out, path, flags | APR_FOPEN_NONBLOCK, LOG_PERMS, p);
    /* What was made just now is a file, and nobody else's. */
    if (rv != APR_SUCCESS || flags & APR_FOPEN_EXCL)
        return rv;
    apr_os_file_get(&fd, *out);
    if (fstat(fd, &opened) != 0 || lstat(path, &named) != 0)
        rv = APR_FROM_OS_ERROR(errno);
    else if (!S_ISREG(named.st_mode) || named.st_dev != opened.st_dev ||
             named.st_ino != opened.st_ino)
        rv = APR_EGENERAL;
    if (rv != APR_SUCCESS)
        apr_file_close(*out);
    return rv;
}

static apr_status_t log_open(bl_log_t **out, const char *dir,
                             apr_uint64_t build, apr_int32_t flags,
                             apr_pool_t *p)
{
    apr_os_file_t fd;
    bl_log_t *log;
    apr_pool_t *pool;
    apr_status_t rv;

    apr_pool_create(&pool, p);
    log = apr_pcalloc(pool, sizeof(*log));
    log->pool = pool;
    rv = bl_log_file_open(&log->file, bl_log_path(dir, build, pool),
                          APR_FOPEN_READ | APR_FOPEN_WRITE | flags, pool);
    if (rv != APR_SUCCESS) {
        apr_pool_destroy(pool);
        return rv;
    }
    apr_os_file_get(&fd, log->file);
    log->fd = fd;
    *out = log;
    return APR_SUCCESS;
}

apr_status_t bl_log_create(bl_log_t **out, const char *dir, apr_uint64_t build,
                           apr_pool_t *p)
{
    return log_open(out, dir, build, APR_FOPEN_CREATE | APR_FOPEN_EXCL, p);
}

apr_status_t bl_log_reopen(bl_log_t **out, const char *dir, apr_uint64_t build,
                           apr_pool_t *p)
{
    bl_cursor_t *cursor;
    bl_record_t rec;
    apr_off_t size;
    bl_log_t *log;
    apr_status_t rv;

    rv = log_open(&log, dir, build, 0, p);
    if (rv != APR_SUCCESS)
        return rv;
    rv = bl_cursor_open(&cursor, dir, build, log->pool);
    if (rv != APR_SUCCESS)
        goto leave;
    rv = bl_cursor_size(&size, cursor);
    if (rv != APR_SUCCESS)
        goto leave;
    rv = bl_cursor_last(&rec, cursor, size);
    if (rv == APR_SUCCESS)
        log->last_id = rec.id;
    else if (rv != APR_EOF)
        goto leave;
    log->tail = bl_cursor_offset(cursor);
    bl_cursor_close(&cursor);
    rv = apr_file_trunc(log->file, log->tail);

leave:
    if (rv != APR_SUCCESS)
        bl_log_close(&log);
    else
        *out = log;
    return rv;
}

void bl_log_close(bl_log_t **log)
{
    if (*log != NULL)
        apr_pool_destroy((*log)->pool);
    *log = NULL;
}

/* ---- the directory -------------------------------------------------- */

apr_status_t bl_log_probe(const char *dir, apr_size_t bytes, apr_pool_t *p)
{
    const char *path = apr_pstrcat(p, dir, "/.probe", NULL);
    apr_status_t rv;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                  0600);

    if (fd < 0)
        return APR_FROM_OS_ERROR(errno);
    rv = write_whole(fd, apr_pcalloc(p, bytes), bytes, 0);
    /* What a file system puts off it may refuse here. */
    if (close(fd) != 0 && rv == APR_SUCCESS)
        rv = APR_FROM_OS_ERROR(errno);
    unlink(path);
    return rv;
}

static int by_number(const void *a, const void *b)
{
    apr_uint64_t x = *(const apr_uint64_t *)a, y = *(const apr_uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* "42.log", and nothing like "042.log" or "+42.log", nor a number that no
 * build can have. */
static int log_number(apr_uint64_t *out, const char *name)
{
    apr_uint64_t n = 0;
    const char *s;

    if (name[0] < '1' || name[0] > '9')
        return 0;
    for (s = name; *s >= '0' && *s <= '9'; s++) {
        if (n > BL_BUILD_NUMBER_MAX / 10)
            return 0;
        n = n * 10 + (apr_uint64_t)(*s - '0');
    }
    *out = n;
    return n <= BL_BUILD_NUMBER_MAX && strcmp(s, ".log") == 0;
}

apr_status_t bl_log_list(apr_array_header_t **out, const char *dir,
                         apr_pool_t *p)
{
    apr_array_header_t *list = apr_array_make(p, 64, sizeof(apr_uint64_t));
    apr_finfo_t entry;
    apr_dir_t *d;
    apr_status_t rv;

    rv = apr_dir_open(&d, dir, p);
    if (rv != APR_SUCCESS)
        return rv;
    while ((rv = apr_dir_read(&entry, APR_FINFO_NAME, d)) == APR_SUCCESS) {
        apr_uint64_t build;

        if (log_number(&build, entry.name))
            APR_ARRAY_PUSH(list, apr_uint64_t) = build;
    }
    apr_dir_close(d);
    /* Who is told of some of them takes the others for removed. */
    if (!APR_STATUS_IS_ENOENT(rv))
        return rv;
    qsort(list->elts, (apr_size_t)list->nelts, sizeof(apr_uint64_t),
          by_number);
    *out = list;
    return APR_SUCCESS;
}
