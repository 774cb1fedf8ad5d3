/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_capacity.h - can this server hold the viewers that it is configured for?
 *
 * Layer:    3 (httpd glue).
 * Runs in:  httpd parent, at start and reload.
 * Owns:     what the MPM and the system permit, compared with our directives;
 *           the warnings, with the value to set.
 * Not here: the limits while it runs (bl_stream, bl_conn).
 */
#ifndef BL_CAPACITY_H
#define BL_CAPACITY_H

#include "httpd.h"

void bl_capacity_register_hooks(apr_pool_t *p);

#endif /* BL_CAPACITY_H */
