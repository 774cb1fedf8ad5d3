/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_held.h - streams that keep a thread of httpd
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     the thread's loop, and its limits.
 * Not here: the stream: the pump writes it, as to any viewer.
 *
 * For connections that can be written to only by the thread that has them: TLS
 * where the MPM cannot park, and filters that nobody knows. The pump writes to
 * one end of a pair of sockets; the thread passes on what comes out of the
 * other.
 */
#ifndef BL_HELD_H
#define BL_HELD_H

#include "bl_conn.h"

extern const bl_conn_t bl_held;

#endif /* BL_HELD_H */
