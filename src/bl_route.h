/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_route.h - from a request to the function that answers it
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     handler names, allowed methods, which page may call from where.
 * Not here: the answers.
 */
#ifndef BL_ROUTE_H
#define BL_ROUTE_H

#include "httpd.h"

/** The content handler hook. */
int bl_route_handle(request_rec *r);

#endif /* BL_ROUTE_H */
