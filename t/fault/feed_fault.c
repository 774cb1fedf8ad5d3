/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed_fault.c - viewers of one build and of all, when any call of the system
 * fails that reads logs for them (promise 1: each line once and in order, or
 * the stream says gap; F1 of bl_feed.h)
 *
 * Four logs whose records take turns; one of them is that of an old build, of
 * which only its file tells. A viewer asks for what follows, again and again,
 * as the pump does for it: when that fails it is let go, and comes back with
 * the id that it has, to a feed of its own.
 */
#include "bl_feed.h"

/* libc */
#include <stdlib.h>
#include <unistd.h>
/* APR */
#include <apr_general.h>
#include <apr_strings.h>

#include "bl_log.h"
#include "every.h"

#define LOGS 4
#define OLD (LOGS + 1) /* the build of which only the file tells */
#define LINES 900      /* of all; enough for some blocks of a log */
#define TEXT 700
#define TRIES 8

static apr_pool_t *pool;
static char dir[64];
static bl_table_t *table;
static bl_stamp_t ids[LINES]; /* of line n */
static int row_of[LOGS];

/* ---- what there is ---------------------------------------------------- */

static bl_record_t record(bl_stamp_t id, int n, unsigned flags)
{
    static char text[TEXT];
    bl_record_t rec;

    memset(text, '.', sizeof(text));
    text[apr_snprintf(text, sizeof(text), "line %d", n)] = ' ';
    memset(&rec, 0, sizeof(rec));
    rec.id = id;
    rec.flags = flags;
    rec.text = text;
    rec.len = sizeof(text);
    return rec;
}

static void make_logs(void)
{
    bl_record_t end = {0, BL_STDOUT, BL_REC_NOTE | BL_REC_END, 0, "{}", 2};
    bl_stamp_t id = 1763805600000000;
    bl_log_t *logs[OLD];
    int i, n;

    for (i = 0; i < OLD; i++) {
        apr_uint64_t build = (apr_uint64_t)i + 1;

        if (build != OLD)
            bl_table_row_add(table, &row_of[i], build, "/srv/demo", "{}");
        if (bl_log_create(&logs[i], dir, build, pool) != APR_SUCCESS) {
            printf("Bail out! no log\n");
            exit(1);
        }
    }
    for (n = 0; n < LINES; n++) {
        bl_record_t rec = record(ids[n] = id += 10, n, 0);

        bl_log_add(logs[n % LOGS], &rec);
        bl_log_add(logs[OLD - 1], &rec);
    }
    end.id = id + 1;
    bl_log_add(logs[OLD - 1], &end);
    bl_log_commit(logs[OLD - 1]);
    bl_log_close(&logs[OLD - 1]);
    for (i = 0; i < LOGS; i++) {
        bl_log_commit(logs[i]);
        /* Two of them have ended. */
        bl_table_row_set(table, row_of[i], i % 2, "{}");
        bl_table_row_publish(table, row_of[i], bl_log_tail(logs[i]),
                             bl_log_last_id(logs[i]));
        bl_log_close(&logs[i]);
    }
    bl_table_set_runner(table, (apr_uint32_t)getpid());
    bl_table_publish(table, id);
}

/* ---- a viewer --------------------------------------------------------- */

static struct {
    int next;       /* line that is due */
    int step;       /* 1: of all builds, LOGS: of one */
    bl_stamp_t gap; /* what comes up to this id may be missing; 0: nothing */
    int gaps;
} seen;

/* {"after":"ID","from":"ID"} */
static void take_gap(const char *event, apr_size_t len)
{
    static const char from[] = "\"from\":\"";
    const char *at = memmem(event, len, from, sizeof(from) - 1);

    seen.gaps++;
    seen.gap = at != NULL ? (bl_stamp_t)apr_atoi64(at + sizeof(from) - 1) : 0;
}

static unsigned take_event(const char *event, apr_size_t len)
{
    static const char line[] = "line ";
    const char *at = memmem(event, len, line, sizeof(line) - 1);
    int n;

    if (memmem(event, len, "event: gap\n", 11) != NULL)
        take_gap(event, len);
    if (at == NULL)
        return 0;
    n = atoi(at + sizeof(line) - 1);
    for (; seen.next < n && ids[seen.next] <= seen.gap;)
        seen.next += seen.step;
    if (n != seen.next)
        return wrong("line %d, and not %d", n, seen.next);
    seen.next = n + seen.step;
    return 0;
}

static unsigned take_bytes(const apr_bucket *bucket)
{
    const char *bytes, *end;
    apr_size_t len;
    unsigned bad = 0;

    apr_bucket_read((apr_bucket *)bucket, &bytes, &len, APR_BLOCK_READ);
    while (len > 0 && bad == 0 &&
           (end = memmem(bytes, len, "\n\n", 2)) != NULL) {
        apr_size_t event = (apr_size_t)(end + 2 - bytes);

        bad += take_event(bytes, event);
        bytes += event;
        len -= event;
    }
    return bad != 0 || len == 0 ? bad : wrong("half an event");
}

static bl_feed_t *feed_of(apr_uint64_t build, apr_pool_t *p)
{
    bl_feed_spec_t spec;

    memset(&spec, 0, sizeof(spec));
    spec.build = build;
    spec.time_format = "%H:%M:%S";
    spec.format = BL_SSE_TEXT;
    spec.view = "+/srv/demo\n";
    return bl_feed_create(&spec, dir, table, apr_bucket_alloc_create(p), p);
}

/* From the first line to the last, with a new feed after each failure. */
static unsigned view(apr_uint64_t build)
{
    bl_stamp_t at = build != 0 ? 0 : ids[0] - 1;
    int one = build != 0 && build != OLD;
    int last = one ? LINES - LOGS + (int)build - 1 : LINES - 1;
    int chunks = 0, failures = 0;
    bl_feed_t *feed = NULL;
    apr_pool_t *p = NULL;
    unsigned bad = 0;

    memset(&seen, 0, sizeof(seen));
    seen.next = one ? (int)build - 1 : 0;
    seen.step = one ? LOGS : 1;
    while (failures < TRIES && bad == 0) {
        bl_chunk_t chunk;
        apr_status_t rv;

        if (feed == NULL) {
            apr_pool_create(&p, NULL);
            feed = feed_of(build, p);
        }
        rv = bl_feed_next(&chunk, feed, at);
        if (rv == APR_SUCCESS && chunk.bucket != NULL)
            bad += take_bytes(chunk.bucket);
        if (rv == APR_SUCCESS)
            at = chunk.to;
        if (++chunks > LINES)
            bad += wrong("chunks without end");
        if (seen.next > last || seen.gap >= ids[last])
            break;
        if (APR_STATUS_IS_EAGAIN(rv))
            failures++; /* it is asked again */
        else if (rv != APR_SUCCESS) {
            failures++;
            bl_feed_destroy(&feed);
            apr_pool_destroy(p);
        }
    }
    if (feed != NULL) {
        bl_feed_destroy(&feed);
        apr_pool_destroy(p);
    }
    if (build != 0 && seen.gaps > 0)
        bad += wrong("a gap in a log that is there");
    if (failures == TRIES)
        bad += wrong("nothing comes any more behind line %d", seen.next);
    return bad;
}

static unsigned view_all(void)
{
    unsigned bad = 0;
    int before;

    fault_rest();
    before = descriptors();
    fault_go_on();
    bad += view(0);
    bad += view(1);
    bad += view(2);
    bad += view(OLD);
    fault_rest();
    if (descriptors() != before)
        bad += wrong("%d descriptors, and not %d", descriptors(), before);
    return bad;
}

int main(void)
{
    static const seam_t seams[] = {
        {"open", "", EMFILE, 1}, {"open", "", EMFILE, 5},
        {"open", "", EACCES, 1}, {"pread", "", EIO, 1},
        {"pread", "", EIO, 5},   {"pread", "", EINTR, 3},
        {"fstat", "", EIO, 1},
    };
    size_t i;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    strcpy(dir, "/tmp/feed_fault-XXXXXX");
    if (mkdtemp(dir) == NULL ||
        bl_table_create(&table, 1, pool) != APR_SUCCESS) {
        printf("Bail out! no directory or table\n");
        return 1;
    }
    make_logs();
    fault_plan()->hits = 0;
    ok(view_all() == 0 && seen.gaps == 0, "with all calls working");
    for (i = 0; i < sizeof(seams) / sizeof(seams[0]); i++)
        every(&seams[i], view_all);

    for (i = 1; i <= OLD; i++)
        unlink(bl_log_path(dir, i, pool));
    rmdir(dir);
    apr_terminate();
    return done_testing();
}
