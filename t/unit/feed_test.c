/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed_test.c - a viewer of all builds has every line once and in order, or is
 * told of a gap (promise 1; F1 of bl_feed.h), and a feed keeps open what it
 * reads now, not all that may come (promise 4; F2, R1 of bl_reader.h)
 *
 * Builds that ended one after the other. What fails while logs are read:
 * t/fault/feed_fault.c.
 */
#include "bl_feed.h"

/* libc */
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>
/* APR */
#include <apr_general.h>
#include <apr_strings.h>

#include "bl_log.h"
#include "tap.h"

#define BUILDS 60
#define LINES 12 /* of a build */
#define TEXT 600
#define FIRST_ID APR_UINT64_C(1763805600000000)

static apr_pool_t *pool;
static char dir[64];
static bl_table_t *table;
static bl_stamp_t last_id = FIRST_ID;
static int row_of[BUILDS + 1];

static int descriptors(void)
{
    DIR *fds = opendir("/proc/self/fd");
    int n = 0;

    while (fds != NULL && readdir(fds) != NULL)
        n++;
    if (fds != NULL)
        closedir(fds);
    return n;
}

/* ---- builds ----------------------------------------------------------- */

static void make_build(int build)
{
    char text[TEXT];
    bl_record_t rec;
    bl_log_t *log;
    int n;

    memset(&rec, 0, sizeof(rec));
    rec.text = text;
    rec.len = sizeof(text);
    bl_log_create(&log, dir, (apr_uint64_t)build, pool);
    bl_table_row_add(table, &row_of[build], (apr_uint64_t)build, "/srv/demo",
                     "{}");
    for (n = 0; n < LINES; n++) {
        memset(text, '.', sizeof(text));
        text[apr_snprintf(text, sizeof(text), "line %d", build * LINES + n)] =
            ' ';
        rec.id = last_id += 10;
        bl_log_add(log, &rec);
    }
    bl_log_commit(log);
    bl_table_row_publish(table, row_of[build], bl_log_tail(log), last_id);
    bl_table_row_set(table, row_of[build], 1, "{}");
    bl_table_publish(table, last_id);
    bl_log_close(&log);
}

static void make_builds(void)
{
    int build;

    bl_table_reset(table);
    last_id = FIRST_ID;
    for (build = 1; build <= BUILDS; build++) {
        unlink(bl_log_path(dir, (apr_uint64_t)build, pool));
        make_build(build);
    }
}

/* The id of a line; of line LINES: the first. */
static bl_stamp_t id_of(int line)
{
    return FIRST_ID + 10 * (bl_stamp_t)(line - LINES + 1);
}

/* As BuildLogKeep does it, or who looks after somebody else has. */
static void remove_build(int build)
{
    bl_stamp_t last = id_of(build * LINES + LINES - 1);

    unlink(bl_log_path(dir, (apr_uint64_t)build, pool));
    if (last > bl_table_forgotten(table))
        bl_table_set_forgotten(table, last);
    bl_table_row_drop(table, row_of[build]);
}

/* ---- a viewer --------------------------------------------------------- */

typedef struct {
    bl_feed_t *feed;
    bl_stamp_t at;
    int next;    /* line that is due */
    int missing; /* lines that did not come, said by a gap before them */
    int silent;  /* ...or not */
    int again;
    int gaps;
    bl_stamp_t gap; /* lines before this id may be missing */
    int most;       /* descriptors */
} viewer_t;

static void take_event(viewer_t *v, const char *event, apr_size_t len)
{
    static const char line[] = "line ", from[] = "\"from\":\"";
    const char *at;
    int n;

    if (memmem(event, len, "event: gap\n", 11) != NULL) {
        at = memmem(event, len, from, sizeof(from) - 1);
        v->gaps++;
        v->gap =
            at != NULL ? (bl_stamp_t)apr_atoi64(at + sizeof(from) - 1) : 0;
    }
    at = memmem(event, len, line, sizeof(line) - 1);
    if (at == NULL)
        return;
    n = atoi(at + sizeof(line) - 1);
    if (n < v->next)
        v->again++;
    for (; v->next < n; v->next++) {
        if (id_of(v->next) < v->gap)
            v->missing++;
        else
            v->silent++;
    }
    v->next = n + 1;
}

/* @return 0: there is nothing more */
static int next_chunk(viewer_t *v)
{
    const char *bytes, *end;
    bl_chunk_t chunk;
    apr_size_t len;
    int now;

    if (bl_feed_next(&chunk, v->feed, v->at) != APR_SUCCESS)
        return 0;
    now = descriptors();
    if (now > v->most)
        v->most = now;
    v->at = chunk.to;
    if (chunk.bucket == NULL)
        return 1;
    apr_bucket_read(chunk.bucket, &bytes, &len, APR_BLOCK_READ);
    while ((end = memmem(bytes, len, "\n\n", 2)) != NULL) {
        take_event(v, bytes, (apr_size_t)(end + 2 - bytes));
        len -= (apr_size_t)(end + 2 - bytes);
        bytes = end + 2;
    }
    return 1;
}

static viewer_t viewer_at(bl_feed_t *feed, int line)
{
    viewer_t v;

    memset(&v, 0, sizeof(v));
    v.feed = feed;
    v.next = line;
    v.at = id_of(line) - 1;
    return v;
}

static bl_feed_t *feed_of_all(void)
{
    bl_feed_spec_t spec;

    memset(&spec, 0, sizeof(spec));
    spec.time_format = "%H:%M:%S";
    spec.format = BL_SSE_TEXT;
    spec.view = "+/srv/demo\n";
    return bl_feed_create(&spec, dir, table, apr_bucket_alloc_create(pool),
                          pool);
}

static int has_all(const viewer_t *v)
{
    return v->next == (BUILDS + 1) * LINES && v->missing == 0 &&
           v->silent == 0 && v->again == 0;
}

/* ---- what is kept open -------------------------------------------------- */

static void test_one_after_the_other(void)
{
    bl_feed_t *feed = feed_of_all();
    viewer_t v = viewer_at(feed, LINES);
    int before = descriptors();

    while (next_chunk(&v))
        ;
    ok(has_all(&v) && v.gaps == 0, "%d builds: every line, once, in order",
       BUILDS);
    ok(v.most - before <= 2,
       "builds that never ran at the same time are not open at the same time: "
       "%d",
       v.most - before);
    is_u64((apr_uint64_t)descriptors(), (apr_uint64_t)before,
           "logs of ended builds that were read are not open");
    bl_feed_destroy(&feed);
}

static void test_rest(void)
{
    bl_feed_t *feed = feed_of_all();
    int before = descriptors(), i;
    viewer_t v[4];

    for (i = 0; i < 4; i++) {
        v[i] = viewer_at(feed, LINES + i);
        next_chunk(&v[i]);
    }
    ok(descriptors() - before <= 8, "four viewers on their way: %d logs",
       descriptors() - before);
    bl_feed_rest(feed);
    next_chunk(&v[0]);
    next_chunk(&v[0]);
    bl_feed_rest(feed);
    ok(descriptors() - before <= 2, "one of them comes on: %d logs",
       descriptors() - before);
    for (i = 0; i < 4; i++) {
        while (next_chunk(&v[i]))
            ;
        ok(has_all(&v[i]) && v[i].gaps == 0,
           "viewer %d comes on after a rest: every line, once, in order", i);
    }
    bl_feed_rest(feed);
    is_u64((apr_uint64_t)descriptors(), (apr_uint64_t)before,
           "all is told: nothing is open");
    bl_feed_destroy(&feed);
}

/* ---- nothing is passed over in silence ---------------------------------- */

static void test_removed(void)
{
    bl_feed_t *feed = feed_of_all();
    viewer_t v = viewer_at(feed, LINES);

    /* It is told of a gap up to the newest of what is forgotten... */
    remove_build(BUILDS);
    next_chunk(&v);
    is_u64((apr_uint64_t)v.gaps, 1, "a build is removed: a gap");
    v.gap = 0;
    /* ...and then an older one goes, which it has not come to. */
    remove_build(40);
    while (next_chunk(&v))
        ;
    is_u64((apr_uint64_t)v.silent, 0, "nothing is left out in silence");
    is_u64((apr_uint64_t)v.missing, LINES, "but what was removed, by a gap");
    ok(v.again == 0 && v.next == BUILDS * LINES, "all others: once, in order");
    bl_feed_destroy(&feed);
    make_builds();
}

static void test_removed_at_rest(void)
{
    bl_feed_t *feed = feed_of_all();
    viewer_t v = viewer_at(feed, LINES);

    remove_build(BUILDS);
    next_chunk(&v);
    v.gap = 0;
    bl_feed_rest(feed);
    bl_feed_rest(feed);
    remove_build(2);
    remove_build(40);
    while (next_chunk(&v))
        ;
    is_u64((apr_uint64_t)v.silent, 0,
           "at rest: nothing is left out in silence");
    ok(v.again == 0 && v.next == BUILDS * LINES, "all others: once, in order");
    bl_feed_destroy(&feed);
    make_builds();
}

/* A row goes to another build; the log is there. */
static void test_row_taken(void)
{
    bl_feed_t *feed = feed_of_all();
    viewer_t v = viewer_at(feed, LINES);

    next_chunk(&v);
    bl_table_set_forgotten(table, id_of(40 * LINES + LINES - 1));
    bl_table_row_drop(table, row_of[40]);
    while (next_chunk(&v))
        ;
    ok(has_all(&v), "what was named once is read, with or without a row");
    bl_feed_destroy(&feed);
    make_builds();
}

/* ---- what is left out of a log ------------------------------------------ */

#define LONG (BUILDS + 1) /* a build of LONG_LINES, whose end is not there */
#define LONG_LINES 90
#define LONG_LINE(n) (LONG * LINES + (n))
#define SHOWN 85 /* the first line behind the watermark */

static bl_log_t *long_log;
static apr_off_t long_at[LONG_LINES]; /* where each line begins */

/* Its row says that it can be read up to line shown. */
static void make_long(int shown)
{
    char text[TEXT];
    bl_record_t rec;
    int n;

    memset(&rec, 0, sizeof(rec));
    rec.text = text;
    rec.len = sizeof(text);
    unlink(bl_log_path(dir, LONG, pool));
    bl_log_create(&long_log, dir, LONG, pool);
    bl_table_row_add(table, &row_of[0], LONG, "/srv/demo", "{}");
    for (n = 0; n < LONG_LINES; n++) {
        memset(text, '.', sizeof(text));
        text[apr_snprintf(text, sizeof(text), "line %d", LONG_LINE(n))] = ' ';
        rec.id = id_of(LONG_LINE(n));
        long_at[n] = bl_log_end(long_log);
        bl_log_add(long_log, &rec);
    }
    bl_log_commit(long_log);
    bl_table_row_publish(
        table, row_of[0],
        shown < LONG_LINES ? long_at[shown] : bl_log_tail(long_log), rec.id);
    /* Something else waits to be written. */
    bl_table_publish(table, id_of(LONG_LINE(SHOWN)) - 1);
}

static bl_hole_t leave_out(int from, int to)
{
    bl_hole_t hole;

    hole.from = long_at[from];
    hole.to = long_at[to];
    if (bl_log_punch(long_log, &hole) != APR_SUCCESS) {
        printf("Bail out! no holes on this file system\n");
        exit(1);
    }
    return hole;
}

static void unmake_long(bl_feed_t *feed)
{
    bl_feed_destroy(&feed);
    bl_log_close(&long_log);
    make_builds();
}

/* One viewer goes ahead, with what its reader had read before it was left out.
 * The other one was cut off on the way. */
static void test_left_out(void)
{
    bl_feed_t *feed = feed_of_all();
    viewer_t ahead = viewer_at(feed, LONG_LINE(0)), v;

    make_long(LONG_LINES);
    next_chunk(&ahead);
    leave_out(60, 88);
    while (next_chunk(&ahead))
        ;
    is_u64((apr_uint64_t)ahead.next, LONG_LINE(SHOWN), "one is ahead");
    v = viewer_at(feed, LONG_LINE(70));
    while (next_chunk(&v))
        ;
    bl_table_publish(table, id_of(LONG_LINE(LONG_LINES)) - 1);
    while (next_chunk(&v))
        ;
    is_u64((apr_uint64_t)v.silent, 0,
           "the other one has not what it had: it is told");
    ok(v.next == LONG_LINE(LONG_LINES) && v.again == 0, "and goes on");
    unmake_long(feed);
}

/* One viewer is told by the note of the log, and goes on to where the other
 * one is, who had all up to there. */
static void test_noted(void)
{
    bl_feed_t *feed = feed_of_all();
    viewer_t behind = viewer_at(feed, LONG_LINE(0)),
             v = viewer_at(feed, LONG_LINE(SHOWN));
    bl_record_t note;
    bl_hole_t hole;

    make_long(LONG_LINES);
    hole = leave_out(60, 88);
    memset(&note, 0, sizeof(note));
    note.id = id_of(LONG_LINE(60)) - 5;
    note.flags = BL_REC_NOTE | BL_REC_GAP;
    note.text = "left out";
    note.len = strlen(note.text);
    bl_log_fill(long_log, &hole, &note);
    while (next_chunk(&behind))
        ;
    is_u64((apr_uint64_t)behind.gaps, 0, "one is told by the note");
    v.at = behind.at;
    bl_table_publish(table, id_of(LONG_LINE(LONG_LINES)) - 1);
    while (next_chunk(&v))
        ;
    is_u64((apr_uint64_t)v.silent, 0,
           "the other one was not: it is told of a gap");
    ok(v.next == LONG_LINE(LONG_LINES) && v.again == 0, "and goes on");
    unmake_long(feed);
}

/* The hole reaches to where the log may be read: nothing stands behind it. */
static void test_to_the_tail(int final)
{
    bl_feed_t *feed = feed_of_all();
    viewer_t v = viewer_at(feed, LONG_LINE(0));
    int before = descriptors();

    make_long(88);
    leave_out(60, 88);
    if (final)
        bl_table_row_set(table, row_of[0], 1, "{}");
    while (next_chunk(&v))
        ;
    is_u64((apr_uint64_t)v.next, LONG_LINE(60), "%s: all before the hole",
           final ? "a log that ends in a hole" : "its tail is in a hole");
    is_u64((apr_uint64_t)v.gaps, 1, "and a gap before anything else");
    ok(v.at == id_of(LONG_LINE(SHOWN)) - 1, "it is passed");
    if (final)
        is_u64((apr_uint64_t)descriptors(), (apr_uint64_t)before + 1,
               "it is not kept open (but by who writes it)");
    else {
        bl_table_row_publish(table, row_of[0], bl_log_tail(long_log),
                             id_of(LONG_LINE(LONG_LINES)) - 10);
        bl_table_publish(table, id_of(LONG_LINE(LONG_LINES)) - 1);
        while (next_chunk(&v))
            ;
        is_u64((apr_uint64_t)v.silent, 0, "said before the line behind it");
        is_u64((apr_uint64_t)v.next, LONG_LINE(LONG_LINES), "which comes");
    }
    unmake_long(feed);
}

int main(void)
{
    int build;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    strcpy(dir, "/tmp/feed_test-XXXXXX");
    if (mkdtemp(dir) == NULL ||
        bl_table_create(&table, 1, pool) != APR_SUCCESS) {
        printf("Bail out! no directory or table\n");
        return 1;
    }
    bl_table_set_runner(table, (apr_uint32_t)getpid());
    make_builds();
    test_one_after_the_other();
    test_rest();
    test_removed();
    test_removed_at_rest();
    test_row_taken();
    test_left_out();
    test_noted();
    test_to_the_tail(0);
    test_to_the_tail(1);
    for (build = 1; build <= LONG; build++)
        unlink(bl_log_path(dir, (apr_uint64_t)build, pool));
    rmdir(dir);
    apr_terminate();
    return done_testing();
}
