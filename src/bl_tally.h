/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_tally.h - what a log amounts to as text: lines, bytes, SHA-256
 *
 * Layer:    0 (value). Pure; the only door to libcrypto.
 * Runs in:  runner.
 * Owns:     lines, bytes and digest of the log as text.
 * Not here: what that text is (bl_plain), sending it (bl_download).
 *
 * Who downloads the text can check that it is all.
 */
#ifndef BL_TALLY_H
#define BL_TALLY_H

#include <apr_pools.h>

#include "bl_build.h"
#include "bl_record.h"

typedef struct bl_tally_t bl_tally_t;

bl_tally_t *bl_tally_create(apr_pool_t *p);

/** Another one that has taken the same up to now. */
bl_tally_t *bl_tally_copy(const bl_tally_t *tally, apr_pool_t *p);

/** Take a record; those that are no lines are passed over. */
void bl_tally_add(bl_tally_t *tally, const bl_record_t *rec);

/** Set lines and bytes of a build as they are now. */
void bl_tally_count(const bl_tally_t *tally, bl_build_t *build);

/** All lines are in: set the digest too, 64 hexadecimal digits made in p.
 * No more may be added. */
void bl_tally_finish(bl_tally_t *tally, bl_build_t *build, apr_pool_t *p);

#endif /* BL_TALLY_H */
