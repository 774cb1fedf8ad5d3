/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_fault.c - a log and its readers when any call of the system fails
 * (promises 1 and 7; G1 .. G4 of bl_log.c)
 *
 * A log is made, grows, gets a hole and its note, is left with half a record
 * behind its tail, is opened again and grows on. Whatever failed: what stands
 * in the file is what was committed, whole records; the next try works; no
 * descriptor is left. Then it is read, record by record and by search: each
 * record comes once, or the reader is told that reading failed.
 */
#include "bl_log.h"

/* libc */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
/* APR */
#include <apr_general.h>
#include <apr_strings.h>

#include "every.h"

#define BATCHES 4
#define RECORDS 30 /* of a batch */
#define TEXT 400
#define TRIES 10

static apr_pool_t *pool;
static char dir[64];
static apr_uint64_t build = 1;

/* ---- what the log should hold ---------------------------------------- */

static char bytes[BATCHES * RECORDS * (TEXT + BL_REC_OVERHEAD)];
static size_t committed;       /* of bytes */
static size_t added;           /* behind them: the batch */
static size_t begins[BATCHES]; /* of each batch */
static bl_stamp_t last_id;
static unsigned last_records;

static bl_record_t record(unsigned flags, bl_stamp_t id)
{
    static char text[TEXT];
    bl_record_t rec;

    memset(&rec, 0, sizeof(rec));
    memset(text, 'a' + (int)(id % 26), sizeof(text));
    rec.id = id;
    rec.flags = flags;
    rec.text = text;
    rec.len = 1 + id * 37 % TEXT;
    return rec;
}

static unsigned file_is_wrong(const char *when, size_t behind)
{
    static char got[sizeof(bytes) + 4096];
    int fd = open(bl_log_path(dir, build, pool), O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, got, sizeof(got)) : -1;

    if (fd >= 0)
        close(fd);
    if (n == (ssize_t)(committed + behind) &&
        memcmp(got, bytes, committed) == 0)
        return 0;
    return wrong("%s: %d bytes in the file, not %d or others", when, (int)n,
                 (int)committed);
}

/* ---- writing --------------------------------------------------------- */

static unsigned after_failure(bl_log_t *log, const char *when)
{
    unsigned bad;

    fault_rest();
    bad = file_is_wrong(when, 0);
    if (bl_log_tail(log) != (apr_off_t)committed ||
        bl_log_last_id(log) != (committed > 0 ? last_id : 0) ||
        bl_log_pending(log) != (added > 0))
        bad += wrong("%s: the log believes something else", when);
    fault_go_on();
    return bad;
}

static unsigned grow(bl_log_t *log, int batch)
{
    bl_stamp_t id = last_id;
    unsigned bad = 0;
    int i;

    begins[batch] = committed;
    for (i = 0; i < RECORDS; i++) {
        bl_record_t rec = record(i % 7 == 0 ? BL_REC_PIECE : 0, id += 3);

        bl_log_add(log, &rec);
        added += bl_record_encode(bytes + committed + added, &rec);
    }
    for (i = 0; i < TRIES && bl_log_commit(log) != APR_SUCCESS; i++)
        bad += after_failure(log, "commit");
    committed += added;
    added = 0;
    last_id = id;
    bad += after_failure(log, "committed");
    return bad;
}

/* The second batch goes, and a note comes. */
static unsigned leave_out(bl_log_t *log)
{
    bl_hole_t hole = {(apr_off_t)begins[1], (apr_off_t)begins[2]};
    bl_record_t note =
        record(BL_REC_NOTE | BL_REC_GAP, 1 + 3 * (RECORDS + 1) - 2);
    unsigned bad = 0;
    int i;

    for (i = 0; i < TRIES && bl_log_punch(log, &hole) != APR_SUCCESS; i++)
        bad += after_failure(log, "punch");
    memset(bytes + begins[1], 0, begins[2] - begins[1]);
    bad += after_failure(log, "punched");
    for (i = 0; i < TRIES && bl_log_fill(log, &hole, &note) != APR_SUCCESS;
         i++) {
        char half[1024];
        apr_size_t len = bl_record_encode(half, &note);

        /* Half a note is a part of the hole. */
        fault_rest();
        if (fault_plan()->error == 0)
            memcpy(bytes + begins[1], half, len / 2);
        bad += file_is_wrong("fill", 0);
        memset(bytes + begins[1], 0, len);
        fault_go_on();
    }
    bl_record_encode(bytes + begins[1], &note);
    bad += after_failure(log, "filled");
    return bad;
}

static int opened(bl_log_t **log, int again, unsigned *bad)
{
    int i;

    for (i = 0; i < TRIES; i++) {
        apr_status_t rv = again ? bl_log_reopen(log, dir, build, pool)
                                : bl_log_create(log, dir, build, pool);

        if (rv == APR_SUCCESS)
            return 1;
        if (*log != NULL)
            *bad += wrong("a log that could not be opened");
    }
    *bad += wrong("the log cannot be opened at all: the same again and again");
    return 0;
}

/* A runner that was killed in the middle of a write. */
static void tear(void)
{
    static const char torn[] = "2026-11-22T10:00:00.123456Z stdout F a lin";
    int fd = open(bl_log_path(dir, build, pool), O_WRONLY | O_APPEND);

    if (write(fd, torn, sizeof(torn) - 1) < 0)
        printf("# no torn record\n");
    close(fd);
}

static unsigned write_log(void)
{
    bl_log_t *log = NULL;
    unsigned bad = 0;
    int before, i;

    fault_rest();
    unlink(bl_log_path(dir, build, pool));
    apr_pool_clear(pool);
    before = descriptors();
    committed = added = 0;
    last_id = 1;
    fault_go_on();
    if (!opened(&log, 0, &bad))
        return bad;
    for (i = 0; i < BATCHES - 1; i++)
        bad += grow(log, i);
    bad += leave_out(log);
    bl_log_close(&log);
    fault_rest();
    tear();
    fault_go_on();
    if (!opened(&log, 1, &bad))
        return bad;
    bad += after_failure(log, "opened again");
    bad += grow(log, BATCHES - 1);
    bl_log_close(&log);
    fault_rest();
    if (descriptors() != before)
        bad += wrong("%d descriptors, and not %d", descriptors(), before);
    return bad;
}

/* ---- reading --------------------------------------------------------- */

/* All records behind an id, each once; a call that failed is made again, with
 * the same cursor or with a new one. */
static unsigned walk(bl_stamp_t after, int anew)
{
    bl_stamp_t id = after, before;
    bl_cursor_t *c = NULL;
    apr_status_t rv = APR_EINIT;
    unsigned records = 0, failures = 0;
    bl_record_t rec;

    while (rv != APR_EOF && failures < TRIES) {
        if (c == NULL) {
            rv = bl_cursor_open(&c, dir, build, pool);
            if (rv == APR_SUCCESS)
                rv = bl_cursor_seek(c, id, (apr_off_t)committed);
            if (rv != APR_SUCCESS) {
                bl_cursor_close(&c);
                failures++;
                continue;
            }
        }
        before = id;
        rv = bl_cursor_next(&rec, c, (apr_off_t)committed);
        if (rv == APR_SUCCESS) {
            id = rec.id;
            records++;
            if (id <= before)
                return wrong("a record comes twice");
        }
        else if (rv != APR_EOF) {
            failures++;
            if (anew)
                bl_cursor_close(&c);
        }
    }
    bl_cursor_close(&c);
    if (failures == TRIES)
        return wrong("reading fails again and again");
    if (id != last_id || (after == 0 && records != last_records))
        return wrong("%u records, and not %u", records, last_records);
    return 0;
}

/* The last one, the last ones, the first that begins somewhere. */
static unsigned search(void)
{
    apr_status_t rv = APR_EINIT;
    bl_stamp_t after = 0;
    bl_cursor_t *c = NULL;
    apr_off_t size = 0;
    bl_record_t rec;
    int i;

    for (i = 0; i < TRIES && rv != APR_SUCCESS; i++) {
        bl_cursor_close(&c);
        rv = bl_cursor_open(&c, dir, build, pool);
        if (rv == APR_SUCCESS)
            rv = bl_cursor_size(&size, c);
        if (rv == APR_SUCCESS)
            rv = bl_cursor_last(&rec, c, size);
        if (rv == APR_SUCCESS &&
            (rec.id != last_id || size != (apr_off_t)committed))
            return wrong("another last record");
        if (rv == APR_SUCCESS)
            rv = bl_cursor_seek_tail(&after, c, 5, size);
        if (rv == APR_SUCCESS && after != last_id - 15)
            return wrong("another id before the last five");
        if (rv == APR_SUCCESS)
            rv = bl_cursor_align(c, (apr_off_t)begins[3] - 5, size);
        if (rv == APR_SUCCESS && bl_cursor_offset(c) != (apr_off_t)begins[3])
            return wrong("another place");
    }
    bl_cursor_close(&c);
    return rv == APR_SUCCESS ? 0 : wrong("searching fails again and again");
}

static unsigned read_log(void)
{
    apr_array_header_t *list;
    unsigned bad = 0;
    int before, i;

    fault_rest();
    apr_pool_clear(pool);
    before = descriptors();
    fault_go_on();
    for (i = 0; i < 2; i++) {
        bad += walk(0, i);
        bad += walk(last_id - 200, i);
    }
    bad += search();
    /* All that are there, or it says that it could not read them. */
    if (bl_log_list(&list, dir, pool) == APR_SUCCESS && list->nelts != 3)
        bad += wrong("%d logs of 3", list->nelts);
    fault_rest();
    if (descriptors() != before)
        bad += wrong("%d descriptors, and not %d", descriptors(), before);
    return bad;
}

int main(void)
{
    static const seam_t writing[] = {
        {"pwrite", "", ENOSPC, 1},
        {"pwrite", "", EIO, 3},
        {"pwrite", "", 0, 1},
        {"pwrite", "", 0, 4},
        {"pwrite", "", EINTR, 2},
        {"fallocate", "", ENOSPC, 1},
        {"fallocate", "", EOPNOTSUPP, 1},
        {"fallocate", "", EINTR, 2},
        {"ftruncate", "", EIO, 1},
        {"open", "", EMFILE, 1},
        {"open", "", ENOSPC, 2},
        {"pread", "", EIO, 1},
        {"pread", "", EINTR, 3},
        {"fstat", "", EIO, 1},
    };
    static const seam_t reading[] = {
        {"open", "", EMFILE, 1}, {"pread", "", EIO, 1},
        {"pread", "", EIO, 3},   {"pread", "", EINTR, 3},
        {"lseek", "", EIO, 1},   {"lseek", "", EINVAL, 100},
        {"fstat", "", EIO, 1},   {"opendir", "", EMFILE, 1},
        {"readdir", "", EIO, 1},
    };
    size_t i;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    strcpy(dir, "/tmp/log_fault-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        printf("Bail out! no directory\n");
        return 1;
    }
    for (i = 0; i < sizeof(writing) / sizeof(writing[0]); i++)
        every(&writing[i], write_log);

    fault_plan()->hits = 0;
    ok(write_log() == 0, "with all calls working");
    last_records = (BATCHES - 1) * RECORDS + 1;
    close(open(apr_pstrcat(pool, dir, "/2.log", NULL), O_CREAT, 0600));
    close(open(apr_pstrcat(pool, dir, "/3.log", NULL), O_CREAT, 0600));
    for (i = 0; i < sizeof(reading) / sizeof(reading[0]); i++)
        every(&reading[i], read_log);

    for (i = 1; i <= 3; i++)
        unlink(bl_log_path(dir, i, pool));
    rmdir(dir);
    apr_terminate();
    return done_testing();
}
