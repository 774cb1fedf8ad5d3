/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_test.c - any part of a log's text is the same bytes, however it is
 * asked for, and costs no more than it must (X1, X2; promise 4)
 *
 * What the text is, is kept beside the log; every part that is read is
 * compared with it.
 */
#include "bl_text.h"

/* libc */
#include <stdlib.h>
#include <unistd.h>
/* APR */
#include <apr_general.h>
#include <apr_strings.h>

#include "tap.h"

/* Some marks long. */
#define TEXT_BYTES (6 * 1024 * 1024)
#define RECORD_MOST 40000

static apr_pool_t *pool;
static char dir[64]; /* of the logs, removed at the end */
static char *text;   /* what the log says */
static apr_size_t length;
static apr_off_t tail; /* of the log */
static apr_uint64_t build = 7;

static unsigned random_below(unsigned n)
{
    static uint64_t state = 20261122;

    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % n;
}

/* ---- the log -------------------------------------------------------- */

static void add_record(bl_log_t *log, bl_stamp_t id)
{
    static char bytes[RECORD_MOST];
    unsigned most = random_below(50) == 0 ? RECORD_MOST : 200;
    bl_record_t rec;
    apr_size_t i;

    memset(&rec, 0, sizeof(rec));
    rec.id = id;
    rec.text = bytes;
    rec.len = random_below(most);
    for (i = 0; i < rec.len; i++)
        bytes[i] = (char)('a' + random_below(26));
    if (random_below(10) == 0)
        rec.flags = BL_REC_NOTE | BL_REC_BUILD;
    else if (random_below(5) == 0)
        rec.flags = BL_REC_PIECE;
    bl_log_add(log, &rec);
    if ((rec.flags & BL_REC_BUILD) != 0)
        return;
    memcpy(text + length, bytes, rec.len);
    length += rec.len;
    if ((rec.flags & BL_REC_PIECE) == 0)
        text[length++] = '\n';
}

static void make_log(void)
{
    bl_stamp_t id = 1763805600000000;
    bl_log_t *log;

    text = malloc(TEXT_BYTES + RECORD_MOST);
    if (bl_log_create(&log, dir, build, pool) != APR_SUCCESS) {
        printf("Bail out! no log below %s\n", dir);
        exit(1);
    }
    while (length < TEXT_BYTES) {
        add_record(log, id++);
        if (id % 100 == 0)
            bl_log_commit(log);
    }
    bl_log_commit(log);
    tail = bl_log_tail(log);
    bl_log_close(&log);
}

static bl_text_t *open_text(apr_off_t up_to)
{
    bl_cursor_t *cursor;

    if (bl_cursor_open(&cursor, dir, build, pool) != APR_SUCCESS) {
        printf("Bail out! no cursor\n");
        exit(1);
    }
    return bl_text_create(cursor, up_to, pool);
}

/* ---- reading -------------------------------------------------------- */

/* Is what stands at offset what should? */
static int part_is_right(bl_text_t *t, apr_size_t offset, apr_size_t want)
{
    static char buf[300000];
    apr_size_t len = want;
    apr_status_t rv = bl_text_read(buf, &len, t, (apr_off_t)offset);

    if (want > length - offset)
        want = length - offset;
    return rv == APR_SUCCESS && len == want &&
           memcmp(buf, text + offset, len) == 0;
}

static void test_sequence(void)
{
    bl_text_t *t = open_text(tail);
    apr_size_t at = 0, step;
    int good = 1;

    while (good && at < length) {
        step = 1 + random_below(random_below(3) == 0 ? 300000 : 100);
        good = part_is_right(t, at, step);
        at += step;
    }
    ok(good, "from start to end, in pieces of all lengths");
}

static void test_anywhere(void)
{
    bl_text_t *t = open_text(tail);
    unsigned i, bad = 0;
    apr_size_t len;
    char c;

    ok(part_is_right(t, length - 10, 10), "the last bytes, at first");
    ok(part_is_right(t, 0, 10), "then the first ones");
    for (i = 0; i < 2000; i++) {
        apr_size_t at = random_below((unsigned)length);

        bad += !part_is_right(t, at, 1 + random_below(500));
    }
    is_u64(bad, 0, "parts at random, forwards and back");
    for (i = 0, bad = 0; i < 3000; i++)
        bad += !part_is_right(t, 1000 + i, 1);
    is_u64(bad, 0, "byte by byte, over the ends of records");
    for (i = 3000, bad = 0; i > 0; i--)
        bad += !part_is_right(t, 1000 + i, 1);
    is_u64(bad, 0, "and backwards");

    len = 1;
    ok(bl_text_read(&c, &len, t, (apr_off_t)length) == APR_EOF && len == 0,
       "behind the last byte there is nothing");
    len = 1;
    ok(bl_text_read(&c, &len, t, (apr_off_t)length + 100000) == APR_EOF,
       "nor far behind it");
    ok(part_is_right(t, length - 5, 100), "an end cuts a part");
    ok(part_is_right(t, 5, 5), "and is not for ever");
}

/* What this process has read so far, in bytes. */
static apr_uint64_t bytes_read(void)
{
    FILE *in = fopen("/proc/self/io", "r");
    unsigned long long n = 0;

    if (in != NULL) {
        if (fscanf(in, "rchar: %llu", &n) != 1)
            n = 0;
        fclose(in);
    }
    return n;
}

static void test_cost(void)
{
    bl_text_t *t = open_text(tail);
    apr_uint64_t before = bytes_read(), all, most = 0;
    unsigned i;

    part_is_right(t, length - 1, 1);
    all = bytes_read() - before;
    ok(all >= (apr_uint64_t)tail && all < 2 * (apr_uint64_t)tail,
       "to find the end the log is read once: %" APR_UINT64_T_FMT " of %ld",
       all, (long)tail);
    for (i = 0; i < 50; i++) {
        apr_uint64_t cost;

        before = bytes_read();
        part_is_right(t, random_below((unsigned)length - 1), 1);
        cost = bytes_read() - before;
        most = cost > most ? cost : most;
    }
    ok(most < 3 * BL_TEXT_MARK_BYTES,
       "after that any offset costs a stretch of it: %" APR_UINT64_T_FMT,
       most);
}

/* ---- buckets -------------------------------------------------------- */

static apr_bucket_alloc_t *buckets;

static apr_bucket_brigade *brigade_of(bl_text_t *t)
{
    apr_bucket_brigade *bb = apr_brigade_create(pool, buckets);

    bl_text_insert(bb, t, (apr_off_t)length);
    return bb;
}

/* Read a brigade as a filter does; its blocks are freed as they were read.
 * @return how many bytes are as they should be, up to the first wrong one */
static apr_size_t drain(apr_bucket_brigade *bb, apr_size_t offset,
                        apr_size_t *block_most)
{
    apr_size_t done = 0;

    *block_most = 0;
    while (!APR_BRIGADE_EMPTY(bb)) {
        apr_bucket *b = APR_BRIGADE_FIRST(bb);
        const char *data;
        apr_size_t len;

        if (apr_bucket_read(b, &data, &len, APR_BLOCK_READ) != APR_SUCCESS ||
            offset + done + len > length ||
            memcmp(data, text + offset + done, len) != 0)
            break;
        done += len;
        *block_most = len > *block_most ? len : *block_most;
        apr_bucket_delete(b);
    }
    apr_brigade_cleanup(bb);
    return done;
}

static void test_bucket(void)
{
    apr_bucket_brigade *bb = brigade_of(open_text(tail));
    apr_size_t most;
    apr_off_t known = -1;

    is_u64(apr_brigade_length(bb, 0, &known), APR_SUCCESS,
           "a length is known");
    is_u64((apr_uint64_t)known, length, "before anything is read");
    is_u64(drain(bb, 0, &most), length, "all of it comes out");
    ok(most <= 64 * 1024, "block by block: %lu at most", (unsigned long)most);
}

/* As httpd's filter for ranges does it: copies, cut at both ends. */
static void test_ranges(void)
{
    bl_text_t *t = open_text(tail);
    apr_bucket_brigade *bb = brigade_of(t);
    unsigned i, bad = 0;

    for (i = 0; i < 300; i++) {
        apr_size_t first = random_below((unsigned)length), most;
        apr_size_t len = 1 + random_below((unsigned)(length - first) < 200000
                                              ? (unsigned)(length - first)
                                              : 200000);
        apr_bucket_brigade *part = apr_brigade_create(pool, buckets);
        apr_bucket *copy;

        if (apr_bucket_copy(APR_BRIGADE_FIRST(bb), &copy) != APR_SUCCESS)
            break;
        APR_BRIGADE_INSERT_TAIL(part, copy);
        if (first > 0) {
            apr_bucket_split(copy, first);
            apr_bucket_delete(copy);
        }
        if (len < length - first) {
            apr_bucket_split(APR_BRIGADE_FIRST(part), len);
            apr_bucket_delete(APR_BRIGADE_LAST(part));
        }
        bad += drain(part, first, &most) != len;
    }
    is_u64(i, 300, "300 ranges were cut out");
    is_u64(bad, 0, "each of them right");
    apr_brigade_cleanup(bb);

    /* Both halves are there at a time, and the second is read first. */
    bb = brigade_of(t);
    {
        apr_bucket *middle;
        apr_bucket_brigade *second;
        apr_size_t most;

        apr_brigade_partition(bb, (apr_off_t)length / 2, &middle);
        second = apr_brigade_split(bb, middle);
        is_u64(drain(second, length / 2, &most), length - length / 2,
               "the second half, before the first");
        is_u64(drain(bb, 0, &most), length / 2, "the first");
    }
}

/* What stays in a filter while it waits for its client stays unread. */
static void test_set_aside(void)
{
    apr_bucket_brigade *bb = brigade_of(open_text(tail));
    apr_uint64_t before = bytes_read();
    apr_size_t most;

    is_u64(apr_bucket_setaside(APR_BRIGADE_FIRST(bb), pool), APR_SUCCESS,
           "it can be set aside");
    ok(bytes_read() - before < 100000, "unread");
    is_u64(drain(bb, 0, &most), length, "and read later");
}

static void test_cut_log(void)
{
    bl_text_t *t = open_text(tail / 2);
    apr_bucket_brigade *bb = brigade_of(t);
    apr_size_t len, most;
    apr_bucket *last;
    const char *data;

    is_u64(bl_text_status(t), APR_SUCCESS, "nothing has gone wrong");
    ok(drain(bb, 0, &most) < length, "a log shorter than its text should be");
    is_u64(bl_text_status(t), APR_EOF, "is told");
    bb = brigade_of(t);
    apr_brigade_partition(bb, (apr_off_t)length - 10, &last);
    is_u64(apr_bucket_read(last, &data, &len, APR_BLOCK_READ), APR_EGENERAL,
           "by a status that nobody takes for a good end");
    apr_brigade_cleanup(bb);
}

/* No such log is needed for that: nothing is read. */
static void test_huge(void)
{
    const apr_off_t huge = APR_INT64_C(5) * 1024 * 1024 * 1024 + 7;
    apr_bucket_brigade *bb = apr_brigade_create(pool, buckets);
    apr_off_t known = 0;
    apr_bucket *b;
    unsigned bad = 0;

    bl_text_insert(bb, open_text(tail), huge);
    apr_brigade_length(bb, 0, &known);
    ok(known == huge, "5 GB and 7 bytes");
    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb);
         b = APR_BUCKET_NEXT(b))
        bad += b->length > 0x7fffffff;
    is_u64(bad, 0, "in buckets whose lengths fit everywhere");
    apr_brigade_cleanup(bb);
    bl_text_insert(bb, open_text(tail), 0);
    ok(APR_BRIGADE_EMPTY(bb), "of nothing there is no bucket");
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");
    char path[128];

    apr_initialize();
    apr_pool_create(&pool, NULL);
    if (tmp == NULL || strlen(tmp) > 40)
        tmp = "/tmp";
    apr_snprintf(dir, sizeof(dir), "%s/text_test-XXXXXX", tmp);
    if (mkdtemp(dir) == NULL) {
        printf("Bail out! no directory below %s\n", tmp);
        return 1;
    }
    buckets = apr_bucket_alloc_create(pool);
    make_log();
    test_sequence();
    test_anywhere();
    test_cost();
    test_bucket();
    test_ranges();
    test_set_aside();
    test_cut_log();
    test_huge();
    apr_snprintf(path, sizeof(path), "%s/%" APR_UINT64_T_FMT ".log", dir,
                 build);
    unlink(path);
    rmdir(dir);
    free(text);
    apr_terminate();
    return done_testing();
}
