/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_replace.h - a small file, replaced whole
 *
 * Layer:    1 (store). APR only.
 * Runs in:  runner.
 * Owns:     how a file is replaced so that a crash, or a full disk, leaves the
 *           old one or the new one.
 * Not here: what is in it.
 */
#ifndef BL_REPLACE_H
#define BL_REPLACE_H

#include <apr_errno.h>
#include <apr_pools.h>

/**
 * Write a file beside it (".new"), and let it take the place. Only its owner
 * can read it.
 *
 * @return APR_SUCCESS; an I/O status: the old one is as it was
 */
apr_status_t bl_replace(const char *path, const char *bytes, apr_size_t len,
                        apr_pool_t *p);

/**
 * Read it: all of it, with a NUL behind it.
 *
 * @return APR_SUCCESS; APR_EGENERAL: it is no plain file, or longer than most;
 *         APR_ENOENT; an I/O status
 */
apr_status_t bl_replace_read(const char **bytes, apr_size_t *len,
                             const char *path, apr_size_t most, apr_pool_t *p);

#endif /* BL_REPLACE_H */
