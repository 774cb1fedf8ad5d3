/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_check.h - what no directive can know by itself
 *
 * Layer:    3 (httpd glue).
 * Runs in:  whoever reads the configuration: parent, httpd -t.
 * Owns:     looking at the configuration when all of it was read.
 * Not here: values of single directives (bl_directive), limits of the process
 *           (bl_capacity).
 */
#ifndef BL_CHECK_H
#define BL_CHECK_H

#include "httpd.h"
#include "http_config.h"

/** A directive gives builds this variable; kept as long as the configuration.
 */
void bl_check_given(cmd_parms *cmd, const char *name);

/** A directive says that its value is secret. */
void bl_check_masked(cmd_parms *cmd, const char *name);

void bl_check_register_hooks(apr_pool_t *p);

#endif /* BL_CHECK_H */
