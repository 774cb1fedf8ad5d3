/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_pump.h - the thread that writes to all viewers of an httpd child
 *
 * Layer:    2 (actor, pump side).
 * Runs in:  one pump per child; bl_pump_req_* in request threads, the others
 *           in the child's main thread.
 * Owns:     the thread, its inbox, its sleep.
 * Not here: the viewers (bl_audience); HTTP: the response's head was written
 *           before (layer 3).
 *
 * A viewer belongs to the pump from the moment it was handed over; what it may
 * rely on stands in bl_audience.h.
 */
#ifndef BL_PUMP_H
#define BL_PUMP_H

#include <apr_errno.h>
#include <apr_pools.h>
#include <apr_portable.h>

#include "bl_feed.h"
#include "bl_wake.h"

typedef struct bl_pump_t bl_pump_t;

/**
 * Make a pump; its thread begins with the first viewer.
 *
 * @param slot  of the table, claimed by this child
 * @param p     the child's pool
 */
apr_status_t bl_pump_create(bl_pump_t **out, bl_table_t *table,
                            bl_wake_t *wake, int slot, const char *logs_dir,
                            apr_pool_t *p);

/**
 * Hand a viewer over, already counted in the table.
 *
 * @param fd    the pump owns it after APR_SUCCESS
 * @param spec  copied
 * @param at    what follows this id is written
 * @return APR_SUCCESS; why there is no thread
 */
apr_status_t bl_pump_req_adopt(bl_pump_t *pump, apr_os_sock_t fd,
                               const bl_feed_spec_t *spec, bl_stamp_t at);

/** The child will end: let all viewers go, with a hint when to come back.
 * Only sets a flag and wakes: may be called in a signal handler. */
void bl_pump_begin_stop(bl_pump_t *pump);

/** The child ends: wait (half a second at most) for the thread. */
void bl_pump_join(bl_pump_t *pump);

#endif /* BL_PUMP_H */
