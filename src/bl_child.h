/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_child.h - an httpd child's pump and its slot in the table
 *
 * Layer:    3 (httpd glue).
 * Runs in:  hooks of children and parent; the getters in request threads.
 * Owns:     their life, from child_init to the child's end, however it ends.
 * Not here: what the pump does (bl_pump).
 */
#ifndef BL_CHILD_H
#define BL_CHILD_H

#include "httpd.h"

#include "bl_counts.h"
#include "bl_pump.h"

void bl_child_register_hooks(apr_pool_t *p);

/** NULL: this child has none, its viewers poll. */
bl_pump_t *bl_child_pump(void);

/** -1: none. */
int bl_child_slot(void);

/** Request thread: it happened n times. */
void bl_child_count(bl_count_e what, apr_uint64_t n);

/** This child ends: its viewers are let go. For a process whose MPM tells so
 * only when it is over (prefork). May be called again and again. */
void bl_child_begin_stop(void);

#endif /* BL_CHILD_H */
