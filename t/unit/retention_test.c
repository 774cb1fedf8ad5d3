/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retention_test.c - a log is said to be gone when it is, and not before: the
 * historian looks for itself, and would keep a row for what it still finds
 * (N1 of bl_scribe.c)
 */
#include "bl_retention.h"

/* libc */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
/* APR */
#include <apr_general.h>
#include <apr_strings.h>
/* ours */
#include "bl_diag.h"
#include "bl_log.h"
#include "bl_tick.h"

#include "tap.h"

static apr_pool_t *pool;
static bl_host_t host;

/* What was heard: the builds, as digits, and how it was then. */
static apr_uint64_t gone;
static bl_stamp_t saved;
static int calls, early, late;

static int is_there(apr_uint64_t build)
{
    struct stat info;

    return stat(bl_log_path(host.logs_dir, build, pool), &info) == 0;
}

/* The id of a record is a hundred times the number of its build here. */
static void on_goes(void *baton, bl_stamp_t last_id, apr_pool_t *p)
{
    late += !is_there(last_id / 100);
    saved = last_id;
}

static void on_gone(void *baton, apr_uint64_t build)
{
    calls++;
    gone = gone * 10 + build;
    early += is_there(build) || saved != build * 100;
}

static void quiet(bl_diag_level_e level, apr_status_t rv, const char *message)
{
    printf("# %s\n", message);
}

static void end_build(bl_retention_t *retention, apr_uint64_t build)
{
    bl_log_t *log;

    if (bl_log_create(&log, host.logs_dir, build, pool) != APR_SUCCESS) {
        printf("Bail out! no log\n");
        exit(1);
    }
    bl_log_close(&log);
    bl_retention_add(retention, build, build * 100);
}

int main(void)
{
    static const bl_retention_calls_t told = {on_goes, on_gone, NULL};
    char dir[] = "/tmp/retention-XXXXXX";
    bl_limits_t limits = {1, 1, 1024, 2, 0, 0, 0, NULL};
    bl_retention_t *retention;
    apr_uint64_t build;
    const char *stuck;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    bl_diag_set(quiet);
    host.logs_dir = mkdtemp(dir);
    host.now = apr_time_now();
    host.tick = bl_tick_now();
    bl_table_create(&host.table, 1, pool);
    retention = bl_retention_create(&host, &told, pool);

    for (build = 1; build <= 5; build++)
        end_build(retention, build);
    bl_retention_tick(retention, &limits);
    is_u64(gone, 123, "three of five go, the oldest first");
    is_u64((uint64_t)late, 0, "who is told before finds the log");
    is_u64((uint64_t)early, 0, "who is told after does not");
    ok(is_there(4) && is_there(5), "the others stay");

    /* A directory of that name cannot be unlinked. */
    stuck = bl_log_path(dir, 4, pool);
    unlink(stuck);
    mkdir(stuck, 0700);
    end_build(retention, 6);
    bl_retention_tick(retention, &limits);
    is_u64((uint64_t)calls, 3, "what cannot be removed is not gone");
    rmdir(stuck);
    host.tick += apr_time_from_sec(60);
    bl_retention_tick(retention, &limits);
    is_u64(gone, 1234, "gone by another hand: said once");
    unlink(bl_log_path(dir, 5, pool));
    unlink(bl_log_path(dir, 6, pool));
    rmdir(dir);
    return done_testing();
}
