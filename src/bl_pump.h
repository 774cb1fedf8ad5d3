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

#include "bl_client.h"
#include "bl_feed.h"
#include "bl_wake.h"

typedef struct bl_pump_t bl_pump_t;

/**
 * Make a pump; its thread begins with the first viewer.
 *
 * @param slot        of the table, claimed by this child
 * @param generation  of the configuration that the child has; when the table
 *                    has another one it is as if bl_pump_begin_stop was called
 * @param p           the child's pool
 */
apr_status_t bl_pump_create(bl_pump_t **out, bl_table_t *table,
                            bl_wake_t *wake, int slot, apr_uint32_t generation,
                            const char *logs_dir, apr_pool_t *p);

/* A viewer on its way to the pump. conn is filled in by who sends it. */
typedef struct bl_arrival_t bl_arrival_t;
struct bl_arrival_t {
    APR_RING_ENTRY(bl_arrival_t) ring;
    apr_pool_t *pool; /* nobody's child */
    bl_feed_spec_t spec;
    bl_stamp_t at;
    bl_client_conn_t conn;
};

/**
 * Begin to send a viewer, already counted in the table. It ends in
 * bl_pump_req_adopt or bl_pump_req_forget.
 *
 * @param spec  copied
 * @param at    what follows this id is written
 */
bl_arrival_t *bl_pump_req_arrive(const bl_feed_spec_t *spec, bl_stamp_t at,
                                 bl_viewer_e kind);

/**
 * Hand it over: with its descriptor and link it is the pump's, which closes
 * both and takes it off the table's count.
 *
 * @return APR_SUCCESS; why there is no thread: nothing was taken, and the
 *         arrival is still the caller's
 */
apr_status_t bl_pump_req_adopt(bl_pump_t *pump, bl_arrival_t *arrival);

/** It does not come: free it, close its descriptor and take it off the table's
 * count. */
void bl_pump_req_forget(bl_pump_t *pump, bl_arrival_t *arrival);

/** httpd lost the connection of an adopted viewer: the pump will release the
 * link. */
void bl_pump_req_lose(bl_pump_t *pump, bl_link_t *link);

/** The child will end: let all viewers go, with a hint when to come back.
 * Only sets a flag and wakes: may be called in a signal handler. */
void bl_pump_begin_stop(bl_pump_t *pump);

/** The child ends: wait (half a second at most) for the thread. */
void bl_pump_join(bl_pump_t *pump);

#endif /* BL_PUMP_H */
