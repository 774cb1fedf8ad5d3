/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_follow.h - GET .../builds/42/log?follow=1: a log as a document that grows
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     the beginning of such a document.
 * Not here: logs that do not grow (bl_download); the connection (bl_conn); its
 *           bytes (bl_pump: a plain feed).
 *
 * It is a stream as those of bl_stream are, and kept as they are. But nothing
 * in it says where it is: who is cut off has to begin anew.
 */
#ifndef BL_FOLLOW_H
#define BL_FOLLOW_H

#include "httpd.h"

#include "bl_conn.h"
#include "bl_sse.h"

/**
 * Send the log from its start to the end of the build.
 *
 * @param conn   how the connection is kept
 * @param build  has not ended; the user may see it
 * @return what the handler returns
 */
int bl_follow_send(request_rec *r, const bl_conn_t *conn, apr_uint64_t build,
                   bl_sse_format_e format);

#endif /* BL_FOLLOW_H */
