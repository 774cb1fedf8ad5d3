/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_numbers.h - the numbers of builds, which never come again
 *
 * Layer:    2 (actor, runner side).
 * Runs in:  runner.
 * Owns:     the file last-build: the last number that was given, and the id of
 *           the last record that was removed. Both are in no log any more.
 *
 * Q2  a build's number never comes again, also when its log was removed
 */
#ifndef BL_NUMBERS_H
#define BL_NUMBERS_H

#include <apr_pools.h>

#include "bl_stamp.h"

typedef struct bl_numbers_t bl_numbers_t;

/** What an earlier runner has left; what cannot be read is none. */
bl_numbers_t *bl_numbers_load(const char *state_dir, apr_pool_t *p);

/** A build with this number is there. */
void bl_numbers_pass(bl_numbers_t *numbers, apr_uint64_t build);

/** Give a number. It counts when it was saved. */
apr_uint64_t bl_numbers_next(bl_numbers_t *numbers);

/** Store what was given. That it cannot be stored is logged. */
void bl_numbers_save(const bl_numbers_t *numbers, apr_pool_t *scratch);

/** The id of the last record that was removed; 0: none was. */
bl_stamp_t bl_numbers_removed(const bl_numbers_t *numbers);

/** Before a log goes whose last record has this id: it is stored. */
void bl_numbers_remove(bl_numbers_t *numbers, bl_stamp_t last_id,
                       apr_pool_t *scratch);

#endif /* BL_NUMBERS_H */
