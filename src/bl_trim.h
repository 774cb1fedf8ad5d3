/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_trim.h - keeps the log of a build within its limit
 *
 * Layer:    2 (actor, runner side).
 * Runs in:  runner, its only thread.
 * Owns:     when the middle of a log goes, the note in its place, the sums of
 *           what is left.
 * Not here: where the middle is (bl_middle), how it goes (bl_log).
 *
 * X1  what was written last goes no sooner than something is written behind
 *     it: who follows the log has seen it, or had the time to
 * X2  once settled the log has one text for good: the note is in it, and the
 *     sums are of it
 */
#ifndef BL_TRIM_H
#define BL_TRIM_H

#include "bl_build.h"
#include "bl_host.h"
#include "bl_log.h"
#include "bl_tally.h"

typedef struct bl_trim_t bl_trim_t;

/**
 * @param build  its lines and bytes are those of all that came
 * @param limit  of the log, in bytes
 */
bl_trim_t *bl_trim_create(bl_host_t *host, bl_build_t *build, bl_log_t *log,
                          apr_int64_t limit, apr_pool_t *p);

/** A record is about to get its id and to be added to the log.
 * @param all  what was added up to now */
void bl_trim_next(bl_trim_t *trim, const bl_tally_t *all);

/** The log is about to be written to: let go what is too much. On failure it
 * is said once, and the log grows. */
void bl_trim_shorten(bl_trim_t *trim);

/** Is anything left out? */
int bl_trim_is_shorter(const bl_trim_t *trim);

/** Is what began at this byte of the log left out? */
int bl_trim_took(const bl_trim_t *trim, apr_off_t at);

/**
 * No more lines come; if something is left out, all of them are in the file.
 * Write the note, and set the sums in the build's record: in slices, for the
 * loop must not stand still.
 *
 * @param all  of everything: its sums are taken if nothing is left out
 * @return APR_SUCCESS; APR_EAGAIN: call again in the next turn; a status of
 *         writing the note: call again later
 */
apr_status_t bl_trim_settle(bl_trim_t *trim, bl_tally_t *all);

#endif /* BL_TRIM_H */
