/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_conn.h - how a stream's connection is kept
 *
 * Layer:    3 (httpd glue): the only door to conn_rec and its filters.
 * Runs in:  request threads.
 * Owns:     what may be done with a connection, and taking it from httpd.
 * Not here: what is written (bl_stream, bl_pump).
 */
#ifndef BL_CONN_H
#define BL_CONN_H

#include "httpd.h"

#include <apr_portable.h>

typedef enum {
    BL_CONN_DETACHED, /* the descriptor goes to the pump, httpd forgets it */
    BL_CONN_POLLED    /* short poll: what there is, then the end */
} bl_conn_kind_e;

/** "detached", "polled": for the debug log. */
const char *bl_conn_kind_name(bl_conn_kind_e kind);

/** What this request's connection allows. */
bl_conn_kind_e bl_conn_kind(const request_rec *r);

/** Before the head is written: the body ends with the connection, the same
 * bytes for HTTP/1.0 and 1.1. */
void bl_conn_prepare(request_rec *r);

/**
 * Take the descriptor of a connection whose head was flushed. httpd closes its
 * own one without a shutdown and frees everything when the handler returns.
 *
 * @param fd  the caller's from now on
 */
apr_status_t bl_conn_detach(apr_os_sock_t *fd, request_rec *r);

#endif /* BL_CONN_H */
