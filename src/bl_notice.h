/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_notice.h - who is still to be told how a build ended, on disk
 *
 * Layer:    1 (store). APR only, no httpd.h.
 * Runs in:  the runner makes them; from then on they are the courier's.
 * Owns:     the files below notices/: one for each build and each receiver;
 *           when a receiver is tried again.
 * Not here: who the receivers are (bl_wire's limits), how one is told
 * (bl_post).
 *
 * The directory is the queue. A notice is made with the order, before anybody
 * knows how the build will end, and goes when it was delivered or given up. So
 * whatever is killed, and whenever: how a build ended is told, by the next
 * courier, also that it is lost.
 *
 * In a notice there is no address and no secret: a receiver is known by the
 * digest of both (builds can read these files).
 */
#ifndef BL_NOTICE_H
#define BL_NOTICE_H

#include <apr_errno.h>
#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>

typedef struct {
    apr_uint64_t build;
    int index;          /* of the receiver, among those of the build */
    const char *target; /* bl_target_t's key */
    /* When the build has ended; body NULL: it has not, as far as this knows.
     */
    const char *id;   /* of the message, the same at every try */
    const char *body; /* the final record */
    int tries;        /* that failed */
    apr_time_t due;   /* not before */
} bl_notice_t;

/** The directory below the state directory, made in p. */
const char *bl_notice_dir(const char *state_dir, apr_pool_t *p);

/** Make the directory if it is not there. */
apr_status_t bl_notice_make(const char *dir, apr_pool_t *p);

/** Write one, in place of the one of its build and receiver; whole or not at
 * all. @return APR_SUCCESS; an I/O status */
apr_status_t bl_notice_save(const char *dir, const bl_notice_t *notice,
                            apr_pool_t *p);

/** @return APR_SUCCESS; APR_ENOENT: there is none; APR_EGENERAL: it is
 * damaged; an I/O status */
apr_status_t bl_notice_load(bl_notice_t **out, const char *dir,
                            apr_uint64_t build, int index, apr_pool_t *p);

void bl_notice_remove(const char *dir, apr_uint64_t build, int index,
                      apr_pool_t *p);

/** All of them: bl_notice_t with build and index alone, by build. @return
 * APR_SUCCESS; an I/O status */
apr_status_t bl_notice_list(apr_array_header_t **out, const char *dir,
                            apr_pool_t *p);

/** How long to wait after so many tries that failed; -1: give up. */
apr_interval_time_t bl_notice_delay(int tries);

#endif /* BL_NOTICE_H */
