/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_parked.h - streams over TLS that keep no thread
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads and the MPM's; the link's functions in the pump.
 * Owns:     connections whose request is over, between the MPM that watches
 *           them and the pump that writes to them.
 * Not here: what is written (bl_pump).
 *
 * The request ends as any other does. Then the connection, instead of being
 * closed, is left to the MPM to be watched for reading (ASYNC_WAITIO), and the
 * pump writes through its filters. It is given up when
 *
 *   the client leaves        the MPM sees it, and a thread tells the pump
 *   the pump ends it         it shuts the reading side, which the MPM sees
 *   the server's Timeout     the pump ends it a little earlier
 *
 * Only some releases of the event MPM can do that; it is asked.
 */
#ifndef BL_PARKED_H
#define BL_PARKED_H

#include "bl_conn.h"

extern const bl_conn_t bl_parked;

/** Is this an MPM that can park? */
int bl_parked_is_known(void);

/** Can this connection be parked? */
int bl_parked_is_possible(const conn_rec *c);

/** Parked viewers of a child, as configured, or else by its threads. */
apr_uint32_t bl_parked_most(void);

void bl_parked_register_hooks(apr_pool_t *p);

#endif /* BL_PARKED_H */
