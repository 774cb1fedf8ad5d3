/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_stream.h - GET .../log/push: a stream's head, its first events, its way
 * on
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     the head of a stream and its first events, short polls, what is
 *           said when there are too many.
 * Not here: where it begins (bl_opening), the connection (bl_conn), the rest
 *           of the stream (bl_pump).
 */
#ifndef BL_STREAM_H
#define BL_STREAM_H

#include "httpd.h"

int bl_stream_push(request_rec *r);

#endif /* BL_STREAM_H */
