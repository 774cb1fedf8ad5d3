/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_counts.c - how much there was, and how it goes: counters in shared memory
 *
 * LAYOUT        runner part | slot part [1 + slots]; the first is of children
 *               that have none
 * INVARIANTS    K1, K2 in bl_counts.h
 * ORDER         none: each value stands for itself
 */
#include "bl_counts.h"

#define LINE 64

#define LOAD(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define SET(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
#define ADD(x, n) __atomic_fetch_add(&(x), (n), __ATOMIC_RELAXED)

typedef struct {
    apr_uint64_t begun;
    apr_uint64_t beat;
    apr_uint64_t well; /* written by children */
    apr_uint32_t begins;
    apr_uint32_t queued;
    apr_uint32_t running;
    char gap[4];
    apr_uint64_t ended[BL_BUILD_STATE_COUNT];
    apr_uint64_t lines;
    apr_uint64_t bytes;
    char pad[16];
} runner_part_t;

typedef struct {
    apr_uint64_t counts[BL_COUNT_COUNT];
    apr_uint64_t lag;
    apr_uint32_t behind;
    char pad[28];
} slot_part_t;

typedef char runner_is_lines[sizeof(runner_part_t) % LINE == 0 ? 1 : -1];
typedef char slot_is_lines[sizeof(slot_part_t) % LINE == 0 ? 1 : -1];

struct bl_counts_t {
    runner_part_t runner;
    slot_part_t slots[];
};

apr_size_t bl_counts_size(int slots)
{
    return sizeof(bl_counts_t) + (1 + (apr_size_t)slots) * sizeof(slot_part_t);
}

/* ---- runner --------------------------------------------------------- */

void bl_counts_begin(bl_counts_t *c, apr_time_t now)
{
    SET(c->runner.begun, (apr_uint64_t)now);
    ADD(c->runner.begins, 1);
}

void bl_counts_beat(bl_counts_t *c, apr_time_t tick, apr_uint32_t queued,
                    apr_uint32_t running)
{
    SET(c->runner.beat, (apr_uint64_t)tick);
    SET(c->runner.queued, queued);
    SET(c->runner.running, running);
}

void bl_counts_input(bl_counts_t *c, apr_uint64_t lines, apr_uint64_t bytes)
{
    ADD(c->runner.lines, lines);
    ADD(c->runner.bytes, bytes);
}

void bl_counts_ended(bl_counts_t *c, bl_build_state_e state)
{
    ADD(c->runner.ended[state], 1);
}

/* ---- children ------------------------------------------------------- */

void bl_counts_add(bl_counts_t *c, int slot, bl_count_e what, apr_uint64_t n)
{
    ADD(c->slots[1 + slot].counts[what], n);
}

void bl_counts_set_lag(bl_counts_t *c, int slot, apr_uint32_t behind,
                       apr_interval_time_t lag)
{
    SET(c->slots[1 + slot].lag, (apr_uint64_t)lag);
    SET(c->slots[1 + slot].behind, behind);
}

void bl_counts_well(bl_counts_t *c, apr_time_t tick)
{
    SET(c->runner.well, (apr_uint64_t)tick);
}

/* ---- readers -------------------------------------------------------- */

void bl_counts_runner(bl_counts_runner_t *out, const bl_counts_t *c)
{
    int i;

    out->begun = (apr_time_t)LOAD(c->runner.begun);
    out->beat = (apr_time_t)LOAD(c->runner.beat);
    out->well = (apr_time_t)LOAD(c->runner.well);
    out->begins = LOAD(c->runner.begins);
    out->queued = LOAD(c->runner.queued);
    out->running = LOAD(c->runner.running);
    for (i = 0; i < BL_BUILD_STATE_COUNT; i++)
        out->ended[i] = LOAD(c->runner.ended[i]);
    out->lines = LOAD(c->runner.lines);
    out->bytes = LOAD(c->runner.bytes);
}

apr_uint64_t bl_counts_sum(const bl_counts_t *c, int slots, bl_count_e what)
{
    apr_uint64_t sum = 0;
    int i;

    for (i = 0; i <= slots; i++)
        sum += LOAD(c->slots[i].counts[what]);
    return sum;
}

void bl_counts_lag(apr_uint32_t *behind, apr_interval_time_t *lag,
                   const bl_counts_t *c, int slot)
{
    *behind = LOAD(c->slots[1 + slot].behind);
    *lag = (apr_interval_time_t)LOAD(c->slots[1 + slot].lag);
}
