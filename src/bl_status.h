/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_status.h - a section on the page of mod_status
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads, within mod_status; not at all where that is not
 *           loaded.
 * Owns:     the form of the section, as a page and as "Key: value" (?auto).
 * Not here: the figures (bl_figures), those for Prometheus (bl_metrics).
 */
#ifndef BL_STATUS_H
#define BL_STATUS_H

#include "httpd.h"

void bl_status_register_hooks(apr_pool_t *p);

#endif /* BL_STATUS_H */
