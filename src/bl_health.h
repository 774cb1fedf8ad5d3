/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_health.h - GET .../health/live and .../health/ready
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     what is well: alive is who answers at all; ready is who would take
 *           a build now: the runner answers, and a log can be written.
 * Not here: trying the disk (bl_runner), who may ask: httpd's Require.
 *
 * However often it is asked a runner that is well is asked once a second, and
 * one that hangs holds a thread for a second at most, and soon none.
 */
#ifndef BL_HEALTH_H
#define BL_HEALTH_H

#include "httpd.h"

int bl_health_send(request_rec *r);

#endif /* BL_HEALTH_H */
