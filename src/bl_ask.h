/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_ask.h - what httpd says to the runner: httpd's side of it
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads (orders, cancels), parent (limits).
 * Owns:     a connection per message, and how long an answer may take.
 * Not here: the messages (bl_wire), the other side (bl_intake).
 */
#ifndef BL_ASK_H
#define BL_ASK_H

#include "httpd.h"

#include "bl_wire.h"

typedef enum {
    BL_ASKED_ACCEPTED,
    BL_ASKED_REFUSED,
    BL_ASKED_NO_RUNNER /* it is down, or did not answer in time */
} bl_asked_e;

typedef struct {
    bl_asked_e what;
    bl_accepted_t accepted;
    bl_refusal_t refused;
} bl_asked_t;

/* Where the runner listens. */
typedef struct {
    const char *path;
    pid_t listener; /* who made the socket: httpd's parent */
} bl_ask_door_t;

/** Request thread: give an order to the runner and wait for its reply. */
void bl_ask_build(bl_asked_t *asked, bl_ask_door_t door,
                  const bl_order_t *order, request_rec *r);

/** Request thread: ask the runner to end a build. */
void bl_ask_cancel(bl_asked_t *asked, bl_ask_door_t door,
                   const bl_cancel_t *cancel, request_rec *r);

/** Request thread: could it take a build now? It is not waited for as long as
 * otherwise. Accepted: yes, without anything else. */
void bl_ask_ready(bl_asked_t *asked, bl_ask_door_t door, request_rec *r);

/** Parent: the new generation's limits, and its error log (stderr). */
void bl_ask_set_limits(bl_ask_door_t door, const bl_limits_t *limits,
                       server_rec *s, apr_pool_t *p);

#endif /* BL_ASK_H */
