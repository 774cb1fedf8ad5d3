/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_seen.h - deliveries of hooks that have begun a build: not a second time
 *
 * Layer:    1 (store). APR only, no httpd.h.
 * Runs in:  runner only.
 * Owns:     the file "deliveries", how many marks it holds.
 * Not here: what a mark is made of (bl_hook).
 *
 * K1  the latest BL_SEEN_MOST marks are known, over restarts of everything;
 * the file does not grow beyond them K2  what cannot be written is known at
 * least as long as the runner lives
 */
#ifndef BL_SEEN_H
#define BL_SEEN_H

#include <apr_errno.h>
#include <apr_pools.h>

/* A delivery has two at most. */
#define BL_SEEN_MOST 4096

/* Of a mark, which is a text. */
#define BL_SEEN_MARK_LEN 32

typedef struct bl_seen_t bl_seen_t;

/**
 * Open the store, or begin one.
 *
 * @param out  is set in any case (K2)
 * @return APR_SUCCESS; an I/O status: nothing will be stored, or what was
 *         stored is not known
 */
apr_status_t bl_seen_open(bl_seen_t **out, const char *path, apr_pool_t *p);

/** @return the build that a delivery with this mark has begun; 0: none */
apr_uint64_t bl_seen_find(const bl_seen_t *seen, const char *mark);

/** From now on this mark is known. @return APR_SUCCESS; an I/O status: K2 */
apr_status_t bl_seen_add(bl_seen_t *seen, const char *mark,
                         apr_uint64_t build);

#endif /* BL_SEEN_H */
