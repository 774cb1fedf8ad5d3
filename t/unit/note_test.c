/* SPDX-License-Identifier: Apache-2.0 */
/*
 * note_test.c - the note of what was left out of a log has an id of its own:
 * whoever comes back with a place in the middle is told of the gap (promises 2
 * and 4)
 *
 * A place is the id of a record, or the id before that of one which is not
 * written yet. From each of them all that is behind it is read, or a note or
 * a hole stands before it.
 */
#include "bl_recovery.h"
#include "bl_trim.h"

/* libc */
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
/* APR */
#include <apr_general.h>
#include <apr_strings.h>

#include "tap.h"

#define NOW ((apr_time_t)1763805600000000)
#define RECORDS_MOST 1000

static apr_pool_t *pool;
static char dir[] = "/tmp/note_test-XXXXXX";

/* A log, and what it was given. */
typedef struct {
    bl_build_t build;
    bl_log_t *log;
    bl_stamp_t ids[RECORDS_MOST];
    unsigned count;
} printed_t;

static void bail_out(const char *what)
{
    printf("Bail out! %s\n", what);
    exit(1);
}

static void print_begin(printed_t *p, apr_uint64_t build)
{
    memset(p, 0, sizeof(*p));
    p->build.id = build;
    p->build.project = "/srv/demo";
    p->build.title = "demo";
    p->build.state = BL_BUILD_RUNNING;
    p->build.step = -1;
    p->build.created = NOW;
    p->build.started = NOW;
    p->build.exit = p->build.signal = BL_BUILD_NONE;
    if (bl_log_create(&p->log, dir, build, pool) != APR_SUCCESS)
        bail_out("no log");
}

static void print(printed_t *p, bl_stamp_t id, unsigned flags,
                  const char *text)
{
    bl_record_t rec;

    memset(&rec, 0, sizeof(rec));
    rec.id = id;
    rec.flags = flags;
    rec.text = text;
    rec.len = strlen(text);
    bl_log_add(p->log, &rec);
    if (bl_log_commit(p->log) != APR_SUCCESS)
        bail_out("cannot write");
    p->ids[p->count++] = id;
}

static const char *words(unsigned n)
{
    return apr_psprintf(pool, "line %05u %064u", n, n);
}

/* ---- reading -------------------------------------------------------- */

/* Go on from a place: is what comes next there, or told to be missing?
 * @return 0: neither */
static int is_told(const printed_t *p, bl_stamp_t place, bl_stamp_t next)
{
    bl_cursor_t *cursor;
    bl_record_t rec;
    apr_off_t size;
    int told;

    if (bl_cursor_open(&cursor, dir, p->build.id, pool) != APR_SUCCESS ||
        bl_cursor_size(&size, cursor) != APR_SUCCESS ||
        bl_cursor_seek(cursor, place, size) != APR_SUCCESS ||
        bl_cursor_next(&rec, cursor, size) != APR_SUCCESS)
        bail_out("cannot read");
    told = rec.id == next || (rec.flags & BL_REC_GAP) != 0 ||
           bl_cursor_skipped(cursor) != NULL;
    bl_cursor_close(&cursor);
    return told;
}

static unsigned count_untold(const printed_t *p)
{
    unsigned i, untold = 0;

    for (i = 0; i < p->count; i++)
        untold += !is_told(p, p->ids[i] - 1, p->ids[i]);
    for (i = 1; i < p->count; i++)
        untold += !is_told(p, p->ids[i - 1], p->ids[i]);
    return untold;
}

/* @return its id; 0: no note of a hole stands there */
static bl_stamp_t note_of(const printed_t *p)
{
    bl_cursor_t *cursor;
    bl_record_t rec;
    apr_off_t size = 0;
    bl_stamp_t id = 0;

    if (bl_cursor_open(&cursor, dir, p->build.id, pool) != APR_SUCCESS ||
        bl_cursor_size(&size, cursor) != APR_SUCCESS)
        bail_out("cannot read");
    while (bl_cursor_next(&rec, cursor, size) == APR_SUCCESS) {
        if ((rec.flags & BL_REC_GAP) != 0)
            id = rec.id;
    }
    bl_cursor_close(&cursor);
    return id;
}

static int has(const printed_t *p, bl_stamp_t id)
{
    unsigned i;

    for (i = 0; i < p->count; i++) {
        if (p->ids[i] == id)
            return 1;
    }
    return 0;
}

/* ---- the runner that prints ----------------------------------------- */

/* Two builds print by turns, faster than the clock ticks. */
static void test_trim(apr_time_t clock_step)
{
    static printed_t one, other;
    bl_tally_t *tally = bl_tally_create(pool);
    bl_host_t host;
    bl_trim_t *trim;
    apr_status_t rv;
    unsigned n;

    memset(&host, 0, sizeof(host));
    host.logs_dir = dir;
    host.now = NOW;
    host.last_id = NOW;
    print_begin(&one, 1);
    print_begin(&other, 2);
    trim = bl_trim_create(&host, &one.build, one.log, 4096, pool);
    for (n = 0; n < RECORDS_MOST / 2; n++) {
        host.now += clock_step;
        bl_trim_next(trim, tally);
        host.last_id = bl_stamp_next(host.last_id, host.now);
        bl_trim_shorten(trim);
        print(&one, host.last_id, 0, words(n));
        host.last_id = bl_stamp_next(host.last_id, host.now);
        print(&other, host.last_id, 0, words(n));
    }
    do
        rv = bl_trim_settle(trim, tally);
    while (rv == APR_EAGAIN);
    is_u64(rv, APR_SUCCESS, "clock + %d: settled", (int)clock_step);
    ok(note_of(&one) != 0, "something is left out, and a note says so");
    ok(!has(&other, note_of(&one)), "its id is nobody else's");
    is_u64(count_untold(&one), 0, "from each place: what is there, or a gap");
    bl_log_close(&one.log);
    bl_log_close(&other.log);
    remove(bl_log_path(dir, 1, pool));
    remove(bl_log_path(dir, 2, pool));
}

/* ---- the runner that finds ------------------------------------------ */

static void ended(void *baton, apr_uint64_t build, bl_stamp_t last_id)
{
    (void)build;
    (void)last_id;
    ++*(int *)baton;
}

/* Of one build the middle is left out, and its runner was killed; another one
 * has printed so many lines in a row right behind the first one's head. Then
 * come the two ids that the runner has kept for the note, or (spare 0) a hole
 * that no runner of ours has made. */
static void test_recovery(unsigned between, unsigned spare)
{
    static printed_t one, other;
    bl_recovered_t out;
    bl_host_t host;
    bl_hole_t hole;
    bl_stamp_t id = NOW;
    unsigned n;
    int count = 0;

    memset(&host, 0, sizeof(host));
    memset(&out, 0, sizeof(out));
    out.ended = ended;
    out.baton = &count;
    host.logs_dir = dir;
    host.spool_dir = apr_pstrcat(pool, dir, "/none", NULL);
    host.now = NOW + apr_time_from_sec(1);
    if (bl_table_create(&host.table, 1, pool) != APR_SUCCESS)
        bail_out("no table");
    print_begin(&one, 1);
    print_begin(&other, 2);
    print(&other, ++id, BL_REC_BUILD, bl_build_to_json(&other.build, pool));
    print(&one, ++id, BL_REC_BUILD, bl_build_to_json(&one.build, pool));
    for (n = 0; n < 20; n++)
        print(&one, ++id, 0, words(n));
    hole.from = bl_log_end(one.log);
    for (n = 0; n < between; n++)
        print(&other, ++id, 0, words(n));
    id += spare;
    for (n = 20; n < 200; n++) {
        if (n == 180)
            hole.to = bl_log_end(one.log);
        print(&one, ++id, 0, words(n));
        print(&other, ++id, 0, words(n));
    }
    if (bl_log_punch(one.log, &hole) != APR_SUCCESS)
        bail_out("no holes on this file system");
    bl_log_close(&one.log);
    bl_log_close(&other.log);

    is_u64(bl_recovery_run(&out, &host, pool), APR_SUCCESS,
           "%u between, %u spare: found", between, spare);
    is_u64((uint64_t)count, 2, "both have an end");
    ok((note_of(&one) != 0) == (spare >= 2),
       "a note, if there is an id for it");
    ok(note_of(&one) == 0 || !has(&other, note_of(&one)),
       "its id is nobody else's");
    is_u64(count_untold(&one), 0, "from each place: what is there, or a gap");
    remove(bl_log_path(dir, 1, pool));
    remove(bl_log_path(dir, 2, pool));
}

static int remove_one(const char *path, const struct stat *info, int kind,
                      struct FTW *at)
{
    (void)info;
    (void)kind;
    (void)at;
    return remove(path);
}

int main(void)
{
    unsigned between;

    apr_initialize();
    atexit(apr_terminate);
    apr_pool_create(&pool, NULL);
    if (mkdtemp(dir) == NULL)
        bail_out("no directory");
    test_trim(0);
    test_trim(1);
    test_trim(2);
    test_trim(1000);
    for (between = 0; between < 4; between++) {
        test_recovery(between, 0);
        test_recovery(between, 2);
    }
    test_recovery(100, 2);
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return done_testing();
}
