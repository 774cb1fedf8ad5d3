/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_tick.h - a clock for what is waited for
 *
 * Layer:    1 (store).
 * Runs in:  any process, any thread.
 * Owns:     the time by which deadlines are set and met.
 * Not here: what people read: that is the wall clock (bl_stamp). It may be
 *           set, and a deadline by it comes too soon or never.
 */
#ifndef BL_TICK_H
#define BL_TICK_H

#include <apr_time.h>

/** Microseconds since some moment; they only grow, and never step. */
apr_time_t bl_tick_now(void);

#endif /* BL_TICK_H */
