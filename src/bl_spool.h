/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_spool.h - the orders of builds that wait, on disk
 *
 * Layer:    1 (store). APR only, no httpd.h.
 * Runs in:  runner only.
 * Owns:     the files below queue/: an order each, in the form of its message.
 * Not here: the queue (bl_runner), the record of the build (its log has it).
 *
 * A runner that is killed has builds waiting; the next one begins them as if
 * nothing had been. What an order holds may be secret (its environment): the
 * files are their owner's alone.
 *
 * P1  an order that says that some of its variables are secret (BuildLogMask)
 *     is on disk in a sealed form only, for runners of the same server, with
 *     all that their values may stand in
 */
#ifndef BL_SPOOL_H
#define BL_SPOOL_H

#include <apr_errno.h>
#include <apr_pools.h>
#include <apr_tables.h>

#include "bl_seal.h"
#include "bl_wire.h"

/** The directory below the state directory, made in p. */
const char *bl_spool_dir(const char *state_dir, apr_pool_t *p);

/** Make the directory if it is not there. */
apr_status_t bl_spool_make(const char *dir, apr_pool_t *p);

/** Keep an order, whole or not at all. @return APR_SUCCESS; an I/O status */
apr_status_t bl_spool_save(const char *dir, apr_uint64_t build,
                           const bl_order_t *order, const bl_seal_key_t *key,
                           apr_pool_t *p);

/** @return APR_SUCCESS; APR_ENOENT: there is none; APR_EGENERAL: it is none of
 * this version; APR_EMISMATCH: another server has sealed it, or for another
 * build; an I/O status */
apr_status_t bl_spool_load(bl_order_t **out, const char *dir,
                           apr_uint64_t build, const bl_seal_key_t *key,
                           apr_pool_t *p);

/** Forget an order; it need not be there. */
void bl_spool_remove(const char *dir, apr_uint64_t build, apr_pool_t *p);

/** Forget all orders but those of these builds (apr_uint64_t). */
void bl_spool_sweep(const char *dir, const apr_array_header_t *kept,
                    apr_pool_t *p);

#endif /* BL_SPOOL_H */
