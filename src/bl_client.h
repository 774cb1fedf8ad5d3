/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_client.h - one viewer's connection in the pump
 *
 * Layer:    2 (actor, pump side).
 * Runs in:  pump thread.
 * Owns:     the descriptor, its place in the pollset, the brigade of what was
 *           handed over and not yet written.
 * Not here: what to write (bl_feed), when (bl_audience).
 *
 * Without a link the descriptor is a socket that nobody else uses: bytes are
 * written to it, and what comes from it is read. With a link it only tells
 * when the link can be written to; who hangs up is seen by httpd.
 *
 * Structs are used again for later viewers: memory follows the largest number
 * of viewers at a time, not their sum.
 */
#ifndef BL_CLIENT_H
#define BL_CLIENT_H

#include <apr_buckets.h>
#include <apr_poll.h>
#include <apr_portable.h>
#include <apr_ring.h>

#include "bl_link.h"
#include "bl_table.h"

/* A connection that a viewer begins with. */
typedef struct {
    bl_viewer_e kind;
    apr_os_sock_t fd;
    bl_link_t *link;  /* NULL: fd is written to */
    apr_time_t until; /* by bl_tick: it has to come back then; 0: never */
} bl_client_conn_t;

typedef struct bl_client_t bl_client_t;
struct bl_client_t {
    APR_RING_ENTRY(bl_client_t) link;  /* of the list that it is in */
    APR_RING_ENTRY(bl_client_t) timed; /* of those with an end, by end */
    struct bl_group_t *group;          /* audience's */
    bl_stamp_t at; /* behind everything that was handed over */
    int last;      /* to be closed when all is written */
    bl_client_conn_t conn;
    /* bl_client.c only: */
    apr_socket_t *socket;
    apr_bucket_brigade *out;
    apr_pollfd_t fd;
    int polled;  /* is in the pollset, with fd.reqevents */
    int pending; /* the link has bytes that are not written yet */
};
APR_RING_HEAD(bl_client_ring_t, bl_client_t);

/** Make a struct; for its whole life, over many viewers. */
bl_client_t *bl_client_create(apr_bucket_alloc_t *buckets, apr_pool_t *p);

/**
 * Begin with a connection: the client owns descriptor and link from now on,
 * also when this fails.
 *
 * @param send_buffer  bytes of SO_SNDBUF
 */
apr_status_t bl_client_open(bl_client_t *client, const bl_client_conn_t *conn,
                            int send_buffer, apr_pollset_t *pollset);

/** Close the connection and drop what was not written. */
void bl_client_close(bl_client_t *client, apr_pollset_t *pollset);

/** Hand a bucket over: it is shared, not copied. */
void bl_client_push(bl_client_t *client, apr_bucket *bucket);

/** Is there nothing left to write, neither here nor in the link? */
int bl_client_is_flushed(const bl_client_t *client);

/**
 * Write what fits.
 *
 * @param written  the bytes are added to it
 * @return APR_SUCCESS: all of it; APR_EAGAIN: the socket is full; another
 *         status: the client is gone
 */
apr_status_t bl_client_flush(bl_client_t *client, apr_uint64_t *written);

/** Be told when it can be written again, or no more.
 * @return the pollset's status */
apr_status_t bl_client_want_write(bl_client_t *client, int want,
                                  apr_pollset_t *pollset);

/** It is readable: read what nobody wants. @return 0: the client is gone */
int bl_client_listen(bl_client_t *client);

/**
 * Have the kernel ask whether it is still there while nothing is written to
 * it. When it is not the descriptor says so, as if it had left.
 *
 * @param pause  between two questions; two without an answer are enough
 */
void bl_client_probe(bl_client_t *client, apr_interval_time_t pause);

/**
 * Has it vanished without a word? A peer that is there acknowledges what was
 * written to it, or at least that it takes no more.
 *
 * @param patience  since the last sign of life, of one that was written to
 */
int bl_client_is_dead(const bl_client_t *client, apr_interval_time_t patience);

#endif /* BL_CLIENT_H */
