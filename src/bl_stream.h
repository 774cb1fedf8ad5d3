/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_stream.h - GET .../log/push: what a viewer asked for, and its beginning
 *
 * Layer:    3 (httpd glue).
 * Runs in:  children: hooks and request threads.
 * Owns:     the query of a stream, its head and first events, the child's
 *           pump, what is said when there are too many.
 * Not here: the rest of the stream (bl_pump), the connection (bl_conn).
 */
#ifndef BL_STREAM_H
#define BL_STREAM_H

#include "httpd.h"

int bl_stream_push(request_rec *r);

void bl_stream_register_hooks(apr_pool_t *p);

#endif /* BL_STREAM_H */
