/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_wake.h - how the runner wakes a pump that sleeps in its pollset
 *
 * Layer:    1 (store). One pipe per slot of the table.
 * Runs in:  made by the httpd parent before its first fork; see each function.
 * Owns:     the descriptors.
 * Not here: who needs to be woken (bl_table).
 *
 * A byte in the pipe means "look at the table"; it carries nothing else. A
 * full pipe means the same.
 */
#ifndef BL_WAKE_H
#define BL_WAKE_H

#include <apr_errno.h>
#include <apr_file_io.h>
#include <apr_pools.h>
#include <apr_tables.h>

typedef struct bl_wake_t bl_wake_t;

/** Parent: make the pipes; both ends nonblocking and closed on exec.
 * @param p  outlives all processes that use them */
apr_status_t bl_wake_create(bl_wake_t **out, int slots, apr_pool_t *p);

/** Runner: wake the pump of a slot. Never blocks. */
void bl_wake_send(bl_wake_t *wake, int slot);

/** Child: the end to poll. */
apr_file_t *bl_wake_reader(bl_wake_t *wake, int slot);

/** Child: empty the pipe. */
void bl_wake_drain(bl_wake_t *wake, int slot);

/** Child, right after the fork: close all ends but both of this slot (its own
 * threads wake it too). -1: close all. */
void bl_wake_keep(bl_wake_t *wake, int slot);

/** Runner, right after the fork: close all reading ends.
 * @param fds  int: the others are added */
void bl_wake_keep_writers(bl_wake_t *wake, apr_array_header_t *fds);

#endif /* BL_WAKE_H */
