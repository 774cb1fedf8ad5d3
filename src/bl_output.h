/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_output.h - the output of one build, from its pipes into its log
 *
 * Layer:    2 (actor, runner side).
 * Runs in:  runner, its only thread.
 * Owns:     the build's log, the reading of its pipes, ids, the counts of
 *           lines and bytes.
 * Not here: states and steps (bl_job), the limit of the log (bl_trim).
 *
 * O1  while the log cannot be written nothing is read: the build waits in its
 *     own write(2), and no line is lost
 * O2  ids do not run away from the clock: a build that prints more than a line
 *     a microsecond is read more slowly; a clock that steps back slows nothing
 */
#ifndef BL_OUTPUT_H
#define BL_OUTPUT_H

#include <apr_errno.h>
#include <apr_file_io.h>

#include "bl_build.h"
#include "bl_host.h"
#include "bl_mask.h"
#include "bl_record.h"

typedef struct bl_output_t bl_output_t;

/**
 * Create the log of a build; nothing is in it yet.
 *
 * @param build    its lines and bytes are counted here; outlives the output
 * @param max_log  bytes of the log: beyond it the middle is left out
 * @return APR_SUCCESS; APR_EEXIST: the id is taken; an I/O status
 */
apr_status_t bl_output_create(bl_output_t **out, bl_host_t *host,
                              bl_build_t *build, apr_int64_t max_log,
                              apr_pool_t *p);

/**
 * Go on with the log of a build that has waited under an earlier runner: there
 * is no line in it yet.
 */
apr_status_t bl_output_reopen(bl_output_t **out, bl_host_t *host,
                              bl_build_t *build, apr_int64_t max_log,
                              apr_pool_t *p);

/** The row of the table that shows how far the log may be read. */
void bl_output_set_row(bl_output_t *output, int row);

/** What is read, and notes, come without these values from now on; NULL: none.
 */
void bl_output_set_mask(bl_output_t *output, const bl_mask_t *mask);

/** Begin to read these pipes. */
void bl_output_attach(bl_output_t *output, apr_file_t *out, apr_file_t *err);

/** Put a line of the runner's own; step: the one it begins, 0: none. */
void bl_output_note(bl_output_t *output, unsigned step, const char *text);

/** Put the build's record; flags: BL_REC_BUILD or BL_REC_END. */
void bl_output_record(bl_output_t *output, unsigned flags, const char *json);

/** Was the build's record as it was put last left out of the log? Then it is
 * time to put it again: it is what a viewer, or the next runner, goes by. */
int bl_output_record_is_gone(const bl_output_t *output);

/**
 * No more lines come: set what the log amounts to in the build's record. If
 * something was left out this takes some turns, and what was put is written.
 *
 * @return APR_SUCCESS; APR_EAGAIN: call again in the next turn; an I/O status,
 *         said as that of bl_output_commit: call again later
 */
apr_status_t bl_output_finish(bl_output_t *output);

/** Write what was put, and publish it. On failure it is said once, to the
 * administrator and by a note in the log, reading stops, and bl_output_tick
 * tries again. Of a log with nothing in it nothing is said. */
apr_status_t bl_output_commit(bl_output_t *output);

/** Read what stands in the pipes now; what has no line end gets one. */
void bl_output_drain(bl_output_t *output);

/** Read no more: the pipes are about to be closed. */
void bl_output_detach(bl_output_t *output);

/** Show incomplete lines and try to write again, when due.
 * @return when to be called next at the latest */
apr_time_t bl_output_tick(bl_output_t *output);

/** When something was read last (host->tick), or could have been had the log
 * taken it; 0: never. */
apr_time_t bl_output_last_read(const bl_output_t *output);

/** Why the build stands still, for people; NULL: it does not. */
const char *bl_output_waits_for(const bl_output_t *output);

/** Id of the last record in the log. */
bl_stamp_t bl_output_last_id(const bl_output_t *output);

/** Id of the first record that waits to be written; 0: none. */
bl_stamp_t bl_output_first_pending(const bl_output_t *output);

/** Remove the log: the build was refused after all. */
void bl_output_discard(bl_output_t *output);

#endif /* BL_OUTPUT_H */
