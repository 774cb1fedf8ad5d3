/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_host.h - what the parts of the runner share
 *
 * Layer:    2 (actor, runner side).
 * Runs in:  runner, its only thread.
 * Owns:     the runner's pollset, its clock of ids, its one read buffer.
 */
#ifndef BL_HOST_H
#define BL_HOST_H

#include <apr_poll.h>
#include <apr_pools.h>
#include <apr_tables.h>
#include <sys/types.h>

#include "bl_cgroup.h"
#include "bl_seal.h"
#include "bl_table.h"

/* One read of a pipe. */
#define BL_HOST_READ_BYTES (64 * 1024)

typedef struct {
    const char *logs_dir;
    const char *spool_dir;
    const char *home;          /* of the user that builds run as */
    const bl_seal_key_t *seal; /* of this server */
    const bl_cgroup_t *cgroup; /* NULL: builds have no groups */
    const char *server; /* "BUILDLOG_SERVER=...": whose build a process is */
    bl_table_t *table;
    apr_pollset_t *pollset;
    apr_uint32_t line_limit;  /* bytes */
    apr_time_t now;           /* of this turn of the loop: for stamps */
    apr_time_t tick;          /* the same by bl_tick: for deadlines */
    bl_stamp_t last_id;       /* the last id given (S1) */
    apr_interval_time_t skew; /* see bl_host_set_now */
    char *read_buf;           /* BL_HOST_READ_BYTES */
    int changed;              /* something to publish; the loop clears it */
    apr_uint64_t lines;       /* into logs since they were counted */
    apr_uint64_t bytes;
    int no_holes;                /* logs cannot be shortened: it was said */
    apr_array_header_t *keepers; /* pid_t, those that live; the historian */
    struct bl_watch_t *late;     /* those that the pollset did not take */
} bl_host_t;

/* Something in the pollset: the client_data of its descriptor. */
typedef struct bl_watch_t bl_watch_t;
struct bl_watch_t {
    void (*ready)(void *baton, apr_int16_t events);
    void *baton;
    apr_pollfd_t fd;
    int added;
    int is_late;
    bl_watch_t *next_late;
};

/** The loop begins a turn. When the clock has stepped back, ids go on from
 * where they are: skew is how far they are ahead for this reason alone, and
 * not because much was printed. It becomes 0 as the clock catches up. */
void bl_host_set_now(bl_host_t *host);

/** Make a watch for the input of a file; it is not in the pollset yet. */
void bl_watch_file(bl_watch_t *watch, apr_file_t *file,
                   void (*ready)(void *baton, apr_int16_t events), void *baton,
                   apr_pool_t *p);

/** Put a watch into the pollset, or take it out: before its memory goes. One
 * that does not get in (the kernel has no memory, or no watches left for this
 * user) is tried again until it does. */
void bl_watch_set(bl_host_t *host, bl_watch_t *watch, int on);

/** In each turn of the loop. @return when it is due at the latest, by bl_tick
 */
apr_time_t bl_host_tick(bl_host_t *host);

/** A child that bl_host_end_orphans spares: a keeper, or the historian. */
void bl_host_add_keeper(bl_host_t *host, pid_t pid);
void bl_host_forget_keeper(bl_host_t *host, pid_t pid);

/** A keeper was killed: the runner, the next subreaper, has inherited what was
 * below it. End all that, and wait until it is gone. */
void bl_host_end_orphans(bl_host_t *host);

#endif /* BL_HOST_H */
