/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_inherit.h - what a process has from the one that forked it, and shall not
 *
 * Layer:    1 (store). Linux.
 * Runs in:  runner, right after the fork.
 */
#ifndef BL_INHERIT_H
#define BL_INHERIT_H

#include <apr_pools.h>
#include <apr_tables.h>

/**
 * Let go of all descriptors but these. The numbers of the others stay taken,
 * by /dev/null: pools, and libraries, that believe in them do no harm.
 *
 * @param kept  int
 */
void bl_inherit_only(const apr_array_header_t *kept);

#endif /* BL_INHERIT_H */
