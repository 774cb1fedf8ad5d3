/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_conn.h - how the connection of a stream is kept
 *
 * Layer:    3 (httpd glue). With bl_parked and bl_held the only door to
 *           conn_rec and its filters.
 * Runs in:  request threads.
 * Owns:     the choice of a kind, and the detached kind.
 * Not here: the bytes (bl_pump), streams that are not kept (short polls:
 *           bl_stream).
 *
 * A kind is a row of functions; a viewer goes through them in this order:
 *
 *     bl_conn_of -> bl_conn_begin: counted, prepare
 *                -> (head and first bytes are written)
 *                -> bl_conn_go: flushed, keep
 *
 *     kind      what is kept            what it costs      ended by
 *     detached  the socket, by the      a descriptor       nobody
 *               pump alone
 *     parked    the connection, by the  two descriptors,   BuildLogMaxParked;
 *               MPM                     its TLS state      server's Timeout
 *     held      a thread                the thread         a quarter of the
 *                                                          threads; 30 s (35
 *                                                          if it stands still)
 */
#ifndef BL_CONN_H
#define BL_CONN_H

#include "httpd.h"

#include "bl_pump.h"

typedef struct {
    const char *name; /* for the debug log */
    bl_viewer_e kind;
    /**
     * The viewer is counted. May it come? If so take what the connection
     * needs.
     *
     * @return NULL: yes; else which limit is reached, a sentence for the
     *         client
     */
    const char *(*prepare)(bl_arrival_t *arrival, request_rec *r);
    /**
     * The head was flushed: hand the viewer to the pump. Consumes arrival,
     * whatever happens.
     */
    void (*keep)(bl_arrival_t *arrival, request_rec *r);
} bl_conn_t;

/** How this request's connection can be kept; NULL: not at all. */
const bl_conn_t *bl_conn_of(const request_rec *r);

/**
 * Begin to keep the connection for a viewer, before its head is written.
 *
 * @param out  for bl_conn_go
 * @return NULL: it may come; else which limit is reached, a sentence for the
 *         client: *out is not set, and the answer is an ordinary one
 */
const char *bl_conn_begin(bl_arrival_t **out, const bl_conn_t *conn,
                          const bl_feed_spec_t *spec, bl_stamp_t at,
                          request_rec *r);

/** Flush what was written and hand the viewer to the pump. Consumes arrival,
 * whatever happens. */
void bl_conn_go(bl_arrival_t *arrival, const bl_conn_t *conn, request_rec *r);

/** Descriptors that a child may use for viewers, by this process's limit; and
 * those that it keeps for all else. */
int bl_conn_fds_most(void);
int bl_conn_fds_reserved(void);

/* ---- for the kinds -------------------------------------------------- */

/** Is there TLS on it, and nothing unknown that counts, limits or changes
 * bytes? */
int bl_conn_is_only_tls(const conn_rec *c);

/** A descriptor of the client's socket for the pump. @return as prepare */
const char *bl_conn_take_socket(bl_arrival_t *arrival, request_rec *r);

/** Hand over; if that fails say so in the log, and forget the viewer. */
apr_status_t bl_conn_adopt(bl_arrival_t *arrival, const conn_rec *c);

/** Read and drop what came. @param bb  empty, and empty again @return 0: the
 * client has gone */
int bl_conn_is_open(conn_rec *c, apr_bucket_brigade *bb);

/** mod_reqtimeout still counts the time of a body, and the first byte that
 * came later would end the connection: before bl_conn_is_open is asked. */
void bl_conn_forget_timeout(conn_rec *c);

#endif /* BL_CONN_H */
