/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_words.h - what the runner says of a build, in words
 *
 * Layer:    0 (value). Pure.
 * Runs in:  runner.
 * Owns:     the texts of a log's notes and of a record's reason.
 * Not here: texts that the configuration replaces them by, when they are said.
 *
 * All texts are made in p, or constant.
 */
#ifndef BL_WORDS_H
#define BL_WORDS_H

#include <apr_errno.h>
#include <apr_pools.h>
#include <apr_time.h>

#include "bl_build.h"

/**
 * The last line of a log: "Build finished", "Build failed: step ...".
 *
 * @param build   in its final state
 * @param custom  the configured text of this state; NULL: the default
 */
const char *bl_words_last_line(const bl_build_t *build, const char *custom,
                               apr_pool_t *p);

/** Why a build failed whose step has ended, with its exit or signal. */
const char *bl_words_step_ended(const bl_build_t *build, int step,
                                apr_pool_t *p);

/** Why a build failed whose step could not be started. */
const char *bl_words_not_started(const bl_build_t *build, int step,
                                 apr_status_t why, apr_pool_t *p);

/** Why a build failed whose secrets cannot be masked. */
const char *bl_words_not_masked(apr_pool_t *p);

/** What the limits of a build's control group did to it; 0: the kernel had no
 * memory without a limit of ours. */
const char *bl_words_no_memory(apr_uint64_t killed, apr_uint64_t limit,
                               apr_pool_t *p);
const char *bl_words_no_process(apr_uint64_t refused, apr_uint32_t limit,
                                apr_pool_t *p);

/** How many processes, at least one, were ended with the build. */
const char *bl_words_left_behind(int count, apr_pool_t *p);

/** "10 min", "90 s": in the largest unit that leaves no rest. */
const char *bl_words_duration(apr_interval_time_t time, apr_pool_t *p);

#endif /* BL_WORDS_H */
