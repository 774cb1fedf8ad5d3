/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_list.h - the list of builds
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     GET .../builds: filters, pages, and making one list of what waits
 *           and runs (the table) and what has ended (the history).
 * Not here: one build (bl_api).
 */
#ifndef BL_LIST_H
#define BL_LIST_H

#include "httpd.h"

#include "bl_history.h"

int bl_list_send(request_rec *r);

/**
 * The history, for the request.
 *
 * @return NULL: there is none, or it cannot be read: *broken is set then, and
 *         the error log says why
 */
bl_history_t *bl_list_history(request_rec *r, int *broken);

#endif /* BL_LIST_H */
