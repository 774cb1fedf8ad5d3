/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_host.c - what the parts of the runner share
 */
#include "bl_host.h"

/* libc */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
/* layer 0 */
#include "bl_diag.h"
/* layer 1 */
#include "bl_tick.h"
#include "bl_tree.h"

/* The runner stands still while it ends orphans; KILL takes a moment at most,
 * and who cannot be killed (a process deep in the kernel) is left. */
#define ORPHAN_LOOKS 200
#define ORPHAN_LOOK_TIME apr_time_from_msec(10)

/* Between two tries to put a watch into the pollset. */
#define LATE_TIME apr_time_from_msec(100)

void bl_host_set_now(bl_host_t *host)
{
    apr_time_t now = apr_time_now();
    apr_interval_time_t ahead = (apr_interval_time_t)host->last_id - now;

    if (now < host->now)
        host->skew += host->now - now;
    if (host->skew > ahead)
        host->skew = ahead > 0 ? ahead : 0;
    host->now = now;
    host->tick = bl_tick_now();
}

void bl_watch_file(bl_watch_t *watch, apr_file_t *file,
                   void (*ready)(void *baton, apr_int16_t events), void *baton,
                   apr_pool_t *p)
{
    memset(watch, 0, sizeof(*watch));
    watch->ready = ready;
    watch->baton = baton;
    watch->fd.p = p;
    watch->fd.desc_type = APR_POLL_FILE;
    watch->fd.desc.f = file;
    watch->fd.reqevents = APR_POLLIN;
    watch->fd.client_data = watch;
}

static apr_status_t watch_add(bl_host_t *host, bl_watch_t *watch)
{
    apr_status_t rv = apr_pollset_add(host->pollset, &watch->fd);

    watch->added = rv == APR_SUCCESS;
    return rv;
}

static void forget_late(bl_host_t *host, bl_watch_t *watch)
{
    bl_watch_t **at = &host->late;

    if (!watch->is_late)
        return;
    while (*at != watch)
        at = &(*at)->next_late;
    *at = watch->next_late;
    watch->is_late = 0;
}

void bl_watch_set(bl_host_t *host, bl_watch_t *watch, int on)
{
    apr_status_t rv;

    if (!on) {
        forget_late(host, watch);
        if (watch->added)
            apr_pollset_remove(host->pollset, &watch->fd);
        watch->added = 0;
        return;
    }
    if (watch->added || watch->is_late)
        return;
    rv = watch_add(host, watch);
    if (rv == APR_SUCCESS)
        return;
    bl_diag(BL_DIAG_ERROR, rv,
            "BL0203 the runner cannot watch a descriptor; it is tried again "
            "until it can");
    watch->is_late = 1;
    watch->next_late = host->late;
    host->late = watch;
}

apr_time_t bl_host_tick(bl_host_t *host)
{
    bl_watch_t *watch = host->late;

    while (watch != NULL) {
        bl_watch_t *next = watch->next_late;

        if (watch_add(host, watch) == APR_SUCCESS)
            forget_late(host, watch);
        watch = next;
    }
    return host->tick + LATE_TIME;
}

void bl_host_add_keeper(bl_host_t *host, pid_t pid)
{
    APR_ARRAY_PUSH(host->keepers, pid_t) = pid;
}

void bl_host_forget_keeper(bl_host_t *host, pid_t pid)
{
    pid_t *pids = (pid_t *)host->keepers->elts;
    int i;

    for (i = 0; i < host->keepers->nelts; i++) {
        if (pids[i] == pid) {
            pids[i] = pids[--host->keepers->nelts];
            return;
        }
    }
}

static int is_keeper(void *baton, pid_t child)
{
    const bl_host_t *host = baton;
    const pid_t *pids = (const pid_t *)host->keepers->elts;
    int i;

    for (i = 0; i < host->keepers->nelts; i++) {
        if (pids[i] == child)
            return 1;
    }
    return 0;
}

void bl_host_end_orphans(bl_host_t *host)
{
    apr_pool_t *scratch;
    int looks, left = 1;

    apr_pool_create(&scratch, host->keepers->pool);
    for (looks = 0; looks < ORPHAN_LOOKS && left != 0; looks++) {
        apr_pool_clear(scratch);
        left = bl_tree_signal(getpid(), SIGKILL, is_keeper, host, scratch);
        /* Keepers may be reaped here too: nobody asks for their status. */
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (left != 0)
            apr_sleep(ORPHAN_LOOK_TIME);
    }
    if (left != 0)
        bl_diag(BL_DIAG_ERROR, 0,
                "BL0204 %d processes of a build cannot be ended (-1: they "
                "cannot be seen)",
                left);
    apr_pool_destroy(scratch);
}
