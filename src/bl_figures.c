/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_figures.c - how the server does, in figures
 */
#include "bl_figures.h"

/* libc */
#include <sys/statvfs.h>
/* layer 1 */
#include "bl_tick.h"
/* layer 3 */
#include "bl_config.h"
#include "bl_daemon.h"

/* Its loop has a turn each second at least. More is a disk that does not
 * answer, or a process that was stopped. */
#define SILENT_TIME apr_time_from_sec(5)

static int answers(const bl_table_t *table, const bl_counts_runner_t *runner)
{
    return bl_table_runner(table) != 0 &&
           bl_tick_now() - runner->beat < SILENT_TIME;
}

int bl_figures_runner_answers(void)
{
    bl_counts_runner_t runner;

    bl_counts_runner(&runner, bl_table_counts(bl_daemon_table()));
    return answers(bl_daemon_table(), &runner);
}

apr_int64_t bl_figures_uptime(const bl_figures_t *f)
{
    apr_time_t now = apr_time_now();

    /* The clock may have been set back. */
    if (f->pid == 0 || now < f->runner.begun)
        return 0;
    return apr_time_sec(now - f->runner.begun);
}

static void take_child(bl_figures_t *f, const bl_table_t *table, int slot)
{
    bl_figures_child_t child;
    int kind;

    child.pid = bl_slots_pid(bl_table_slots(table), slot);
    if (child.pid == 0)
        return;
    bl_counts_lag(&child.behind, &child.lag, bl_table_counts(table), slot);
    f->all.behind += child.behind;
    if (child.lag > f->all.lag)
        f->all.lag = child.lag;
    for (kind = 0; kind < BL_VIEWER_KINDS; kind++) {
        child.viewers[kind] = bl_slots_viewers_of(bl_table_slots(table), slot,
                                                  (bl_viewer_e)kind);
        f->all.viewers[kind] += child.viewers[kind];
    }
    APR_ARRAY_PUSH(f->children, bl_figures_child_t) = child;
}

static apr_int64_t room_for_logs(void)
{
    struct statvfs fs;

    if (statvfs(bl_daemon_logs_dir(), &fs) != 0)
        return -1;
    return (apr_int64_t)fs.f_bavail * (apr_int64_t)fs.f_frsize;
}

void bl_figures_take(bl_figures_t *out, apr_pool_t *p)
{
    const bl_table_t *table = bl_daemon_table();
    const bl_counts_t *counts = bl_table_counts(table);
    int i, slots = bl_slots_count(bl_table_slots(table));

    memset(out, 0, sizeof(*out));
    out->pid = bl_table_runner(table);
    bl_counts_runner(&out->runner, counts);
    out->answers = answers(table, &out->runner);
    for (i = 0; i < BL_COUNT_COUNT; i++)
        out->counts[i] = bl_counts_sum(counts, slots, (bl_count_e)i);
    out->children = apr_array_make(p, slots, sizeof(bl_figures_child_t));
    for (i = 0; i < slots; i++)
        take_child(out, table, i);
    out->viewers_most = bl_config_server()->max_clients;
    out->room = room_for_logs();
}
