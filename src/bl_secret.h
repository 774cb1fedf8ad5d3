/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_secret.h - what of a build is secret: BuildLogMask
 *
 * Layer:    2 (actor, runner side).
 * Runs in:  runner, its only thread.
 * Owns:     which values those are, and what is said of one that cannot be
 *           masked.
 * Not here: masking (bl_mask), what is masked (bl_output, bl_job).
 */
#ifndef BL_SECRET_H
#define BL_SECRET_H

#include "bl_mask.h"
#include "bl_output.h"
#include "bl_wire.h"

/**
 * A build was ordered: mask what its record says of it in words. Its path is
 * what it is known by, and stays.
 *
 * @param build  title, user and names of steps are replaced; when there are
 *               too many secrets to look for, title and names as a whole
 */
void bl_secret_hide_words(bl_build_t *build, const bl_order_t *order,
                          apr_pool_t *p);

/**
 * Before a build begins: make its output come without its secrets. A value
 * that is too short is said in its log, and to the administrator.
 *
 * @param out  for other texts; NULL: nothing is secret
 * @return APR_SUCCESS; APR_ENOSPC: too many bytes, nothing is masked
 */
apr_status_t bl_secret_hide(bl_mask_t **out, const bl_order_t *order,
                            const bl_build_t *build, bl_output_t *output,
                            apr_pool_t *p);

/** A text of the order, for a build that has no mask: it has not begun, or has
 * too many secrets. @return NULL: it cannot be masked */
const char *bl_secret_hide_text(const char *text, const bl_order_t *order,
                                apr_pool_t *p);

#endif /* BL_SECRET_H */
