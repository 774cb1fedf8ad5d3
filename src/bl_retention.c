/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_retention.c - which ended builds are kept
 *
 * DIAGNOSTICS   BL0215 builds were removed; BL0216 one cannot be; BL0218
 * others were removed by somebody else
 */
#include "bl_retention.h"

/* libc */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
/* APR */
#include <apr_file_io.h>
/* layer 0 */
#include "bl_diag.h"
/* layer 1 */
#include "bl_log.h"
#include "bl_tick.h"

/* Ages are looked at so often; numbers and sizes when a build has ended. */
#define LOOK_TIME apr_time_from_sec(10)

/* The loop is not held up by a directory full of old logs, nor by large ones:
 * to free their blocks takes time. */
#define AT_ONCE 50
#define TIME_AT_ONCE apr_time_from_msec(10)

typedef struct {
    apr_uint64_t build;
    bl_stamp_t last_id;
    apr_uint64_t bytes; /* on the disk */
} ended_t;

struct bl_retention_t {
    bl_host_t *host;
    bl_retention_calls_t calls;
    apr_pool_t *scratch;
    ended_t *list; /* in the order in which they ended */
    int first;     /* those before it are removed */
    int end;
    int room;
    apr_pool_t *pool;
    apr_uint64_t bytes; /* of all */
    apr_time_t due;
    int stuck; /* the oldest one cannot be removed: said */
};

bl_retention_t *bl_retention_create(bl_host_t *host,
                                    const bl_retention_calls_t *calls,
                                    apr_pool_t *p)
{
    bl_retention_t *r = apr_pcalloc(p, sizeof(*r));

    r->host = host;
    r->calls = *calls;
    apr_pool_create(&r->scratch, p);
    apr_pool_create(&r->pool, p);
    return r;
}

/* Room for one more behind the last; in a new pool when it has to grow, so
 * that no memory is left behind over the years. */
static void make_room(bl_retention_t *r)
{
    int count = r->end - r->first;
    apr_pool_t *pool;
    ended_t *list;

    if (r->end < r->room)
        return;
    r->room = count * 2 + 64;
    apr_pool_create(&pool, apr_pool_parent_get(r->pool));
    list = apr_palloc(pool, sizeof(*list) * (apr_size_t)r->room);
    if (count > 0)
        memcpy(list, r->list + r->first, sizeof(*list) * (apr_size_t)count);
    apr_pool_destroy(r->pool);
    r->pool = pool;
    r->list = list;
    r->first = 0;
    r->end = count;
}

static apr_uint64_t bytes_of(bl_retention_t *r, apr_uint64_t build)
{
    struct stat info;

    apr_pool_clear(r->scratch);
    /* Blocks, not length: a log may have a hole. */
    if (stat(bl_log_path(r->host->logs_dir, build, r->scratch), &info) != 0)
        return 0;
    return (apr_uint64_t)info.st_blocks * 512;
}

void bl_retention_add(bl_retention_t *r, apr_uint64_t build,
                      bl_stamp_t last_id)
{
    int at;

    make_room(r);
    for (at = r->end; at > r->first && r->list[at - 1].last_id > last_id; at--)
        r->list[at] = r->list[at - 1];
    r->list[at].build = build;
    r->list[at].last_id = last_id;
    r->list[at].bytes = bytes_of(r, build);
    r->bytes += r->list[at].bytes;
    r->end++;
    r->due = 0;
}

static int is_too_much(const bl_retention_t *r, const bl_limits_t *limits)
{
    apr_uint32_t count = (apr_uint32_t)(r->end - r->first);
    bl_stamp_t now = (bl_stamp_t)r->host->now;

    if (count == 0)
        return 0;
    if (limits->keep_count != 0 && count > limits->keep_count)
        return 1;
    if (limits->keep_size != 0 && r->bytes > limits->keep_size)
        return 1;
    return limits->keep_age != 0 && now > (bl_stamp_t)limits->keep_age &&
           r->list[r->first].last_id < now - (bl_stamp_t)limits->keep_age;
}

/* Its log has gone. */
static void forget(bl_retention_t *r, const ended_t *ended)
{
    bl_table_row_t row;

    /* Before the row goes: who misses the row is told why. */
    if (ended->last_id > bl_table_forgotten(r->host->table))
        bl_table_set_forgotten(r->host->table, ended->last_id);
    if (bl_table_find(&row, r->host->table, ended->build, -1) == APR_SUCCESS)
        bl_table_row_drop(r->host->table, row.row);
    r->calls.gone(r->calls.baton, ended->build);
    r->bytes -= ended->bytes;
}

static apr_status_t remove_oldest(bl_retention_t *r)
{
    const ended_t *oldest = &r->list[r->first];
    apr_status_t rv;

    apr_pool_clear(r->scratch);
    r->calls.goes(r->calls.baton, oldest->last_id, r->scratch);
    rv = apr_file_remove(
        bl_log_path(r->host->logs_dir, oldest->build, r->scratch), r->scratch);
    /* An administrator may have been first. */
    if (rv != APR_SUCCESS && !APR_STATUS_IS_ENOENT(rv))
        return rv;
    forget(r, oldest);
    r->first++;
    return APR_SUCCESS;
}

static int is_gone(bl_retention_t *r, apr_uint64_t build)
{
    struct stat info;

    apr_pool_clear(r->scratch);
    return stat(bl_log_path(r->host->logs_dir, build, r->scratch), &info) !=
               0 &&
           errno == ENOENT;
}

void bl_retention_look(bl_retention_t *r)
{
    struct stat info;
    int i, left = r->first, n;

    /* A directory that is away may come back with all of them. */
    if (stat(r->host->logs_dir, &info) != 0)
        return;
    for (i = r->first; i < r->end; i++) {
        if (!is_gone(r, r->list[i].build)) {
            r->list[left++] = r->list[i];
            continue;
        }
        r->calls.goes(r->calls.baton, r->list[i].last_id, r->scratch);
        forget(r, &r->list[i]);
    }
    n = r->end - left;
    r->end = left;
    if (n > 0)
        bl_diag(BL_DIAG_INFO, 0,
                "BL0218 %d ended builds are forgotten: somebody removed "
                "their logs",
                n);
}

apr_time_t bl_retention_tick(bl_retention_t *r, const bl_limits_t *limits)
{
    apr_uint64_t first, last = 0;
    apr_status_t rv = APR_SUCCESS;
    apr_time_t until;
    int n = 0, more = 0;

    if (r->host->tick < r->due)
        return r->due;
    first = r->first < r->end ? r->list[r->first].build : 0;
    until = bl_tick_now() + TIME_AT_ONCE;
    while (!more && is_too_much(r, limits)) {
        last = r->list[r->first].build;
        rv = remove_oldest(r);
        if (rv != APR_SUCCESS)
            break;
        n++;
        more = n == AT_ONCE || bl_tick_now() >= until;
    }
    if (n > 0)
        bl_diag(BL_DIAG_INFO, 0,
                "BL0215 BuildLogKeep: %d old builds were removed, from "
                "%" APR_UINT64_T_FMT " on",
                n, first);
    if (rv != APR_SUCCESS && !r->stuck)
        bl_diag(BL_DIAG_ERROR, rv,
                "BL0216 BuildLogKeep: the log of build %" APR_UINT64_T_FMT
                " cannot be removed; it is tried again",
                last);
    r->stuck = rv != APR_SUCCESS;
    r->due = r->host->tick + (more ? 0 : LOOK_TIME);
    return r->due;
}
