/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_counts.h - how much there was, and how it goes: counters in shared memory
 *
 * Layer:    1 (store). Shared memory, no pointers in it.
 * Runs in:  all processes. Each function says who may call it.
 * Owns:     the counters of the runner, and those of each slot.
 * Not here: where they lie and who has which slot (bl_table), what is shown of
 *           them (bl_figures).
 *
 * K1  a counter only grows, as long as httpd's parent lives: over reloads,
 *     over children that had the slot one after the other, over runners
 * K2  nobody waits for anybody: a slot's counters are in cache lines of their
 *     own, and what is counted for each line is added once a turn
 */
#ifndef BL_COUNTS_H
#define BL_COUNTS_H

#include <apr_time.h>

#include "bl_build.h"

typedef struct bl_counts_t bl_counts_t;

/* Counted by a child, in its slot. */
typedef enum {
    BL_COUNT_LINES,    /* whole lines, once for each viewer */
    BL_COUNT_BYTES,    /* written to viewers */
    BL_COUNT_DETACHED, /* streams that began, by how they are kept */
    BL_COUNT_PARKED,
    BL_COUNT_HELD,
    BL_COUNT_POLLED,  /* answers to who polls */
    BL_COUNT_BUSY,    /* streams that were refused: a limit */
    BL_COUNT_INVALID, /* orders of builds: the request is none */
    BL_COUNT_FORBIDDEN,
    BL_COUNT_QUEUE_FULL,
    BL_COUNT_UNAVAILABLE, /* no runner, or it cannot take one now */
    BL_COUNT_COUNT
} bl_count_e;

/* What the runner counts. */
typedef struct {
    apr_time_t begun;    /* the runner that began last; 0: none has */
    apr_time_t beat;     /* its last turn, by bl_tick_now */
    apr_time_t well;     /* when it last said that it would take a build */
    apr_uint32_t begins; /* of runners */
    apr_uint32_t queued; /* now */
    apr_uint32_t running;
    apr_uint64_t ended[BL_BUILD_STATE_COUNT]; /* by final state */
    apr_uint64_t lines; /* into logs, as a build's record counts them */
    apr_uint64_t bytes;
} bl_counts_runner_t;

/** Bytes of memory, zeroed at first, aligned to a cache line. */
apr_size_t bl_counts_size(int slots);

/* ---- runner only ---------------------------------------------------- */

/** A runner begins. */
void bl_counts_begin(bl_counts_t *c, apr_time_t now);

/** It goes through its loop. @param tick  by bl_tick_now */
void bl_counts_beat(bl_counts_t *c, apr_time_t tick, apr_uint32_t queued,
                    apr_uint32_t running);

/** More went into logs. */
void bl_counts_input(bl_counts_t *c, apr_uint64_t lines, apr_uint64_t bytes);

/** A build has ended in this state. */
void bl_counts_ended(bl_counts_t *c, bl_build_state_e state);

/* ---- children ------------------------------------------------------- */

/** Any thread. @param slot  the child's; -1: it has none */
void bl_counts_add(bl_counts_t *c, int slot, bl_count_e what, apr_uint64_t n);

/**
 * Pump thread: how its viewers keep up.
 *
 * @param behind  viewers that have not taken all there is
 * @param lag     of the farthest one, in time of the log
 */
void bl_counts_set_lag(bl_counts_t *c, int slot, apr_uint32_t behind,
                       apr_interval_time_t lag);

/** Any thread: the runner said that it would take a build.
 * @param tick  by bl_tick_now */
void bl_counts_well(bl_counts_t *c, apr_time_t tick);

/* ---- any process ---------------------------------------------------- */

/** Each value is one that was; all together are of about the same time. */
void bl_counts_runner(bl_counts_runner_t *out, const bl_counts_t *c);

/** Over all slots and those that have none. @param slots  of the table */
apr_uint64_t bl_counts_sum(const bl_counts_t *c, int slots, bl_count_e what);

void bl_counts_lag(apr_uint32_t *behind, apr_interval_time_t *lag,
                   const bl_counts_t *c, int slot);

#endif /* BL_COUNTS_H */
