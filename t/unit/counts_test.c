/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counts_test.c - nothing that is counted is lost, whoever counts beside whom,
 * and counters only grow (K1, K2 of bl_counts.h; item 1 of "at home in httpd")
 */
#include "bl_counts.h"

/* libc */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
/* APR */
#include <apr_general.h>

#include "bl_table.h"
#include "tap.h"

#define SLOTS 3
#define ROUNDS 20000

static apr_pool_t *pool;

static bl_table_t *table_new(void)
{
    bl_table_t *t = NULL;

    if (bl_table_create(&t, SLOTS, pool) != APR_SUCCESS) {
        printf("Bail out! no shared memory\n");
        exit(1);
    }
    return t;
}

static uint64_t sum(const bl_counts_t *c, bl_count_e what)
{
    return bl_counts_sum(c, SLOTS, what);
}

/* ---- many processes ------------------------------------------------- */

/* Each has a slot, or none, and uses up two of them one after the other. */
static void child(bl_table_t *t, int n)
{
    bl_counts_t *c = bl_table_counts(t);
    int i, slot = n - 1;

    for (i = 0; i < ROUNDS; i++) {
        bl_counts_add(c, slot, BL_COUNT_LINES, 2);
        bl_counts_add(c, slot, BL_COUNT_BYTES, 100);
        bl_counts_add(c, -1, BL_COUNT_FORBIDDEN, 1);
    }
}

static void runner(bl_table_t *t)
{
    bl_counts_t *c = bl_table_counts(t);
    int i;

    bl_counts_begin(c, 1000);
    for (i = 0; i < ROUNDS; i++) {
        bl_counts_beat(c, i, 1, 2);
        bl_counts_input(c, 3, 30);
        bl_counts_ended(c, BL_BUILD_FAILED);
    }
}

static void test_processes(void)
{
    bl_table_t *t = table_new();
    const bl_counts_t *c = bl_table_counts(t);
    bl_counts_runner_t r;
    pid_t pids[SLOTS + 2];
    int i, status, bad = 0;

    for (i = 0; i < SLOTS + 2; i++) {
        pids[i] = fork();
        if (pids[i] != 0)
            continue;
        if (i <= SLOTS)
            child(t, i);
        else
            runner(t);
        _exit(0);
    }
    for (i = 0; i < SLOTS + 2; i++)
        bad += waitpid(pids[i], &status, 0) != pids[i] || status != 0;
    ok(bad == 0, "%d processes count", SLOTS + 2);
    is_u64(sum(c, BL_COUNT_LINES), 2u * ROUNDS * (SLOTS + 1), "lines");
    is_u64(sum(c, BL_COUNT_BYTES), 100u * ROUNDS * (SLOTS + 1), "bytes");
    is_u64(sum(c, BL_COUNT_FORBIDDEN), 1u * ROUNDS * (SLOTS + 1),
           "several in one place");
    is_u64(sum(c, BL_COUNT_BUSY), 0, "nothing beside it");
    bl_counts_runner(&r, c);
    ok(r.begun == 1000 && r.begins == 1 && r.beat == ROUNDS - 1 &&
           r.queued == 1 && r.running == 2,
       "the runner's state");
    ok(r.lines == 3u * ROUNDS && r.bytes == 30u * ROUNDS &&
           r.ended[BL_BUILD_FAILED] == ROUNDS &&
           r.ended[BL_BUILD_SUCCEEDED] == 0,
       "the runner's counts");
}

/* ---- one after the other -------------------------------------------- */

static void test_life(void)
{
    bl_table_t *t = table_new();
    bl_counts_t *c = bl_table_counts(t);
    bl_counts_runner_t r;
    apr_interval_time_t lag;
    apr_uint32_t behind;
    int slot = bl_slots_claim(bl_table_slots(t), 100);

    is_u64(bl_slots_pid(bl_table_slots(t), slot), 100, "whose slot it is");
    is_u64(bl_slots_pid(bl_table_slots(t), slot + 1), 0, "nobody's");
    bl_counts_add(c, slot, BL_COUNT_LINES, 7);
    bl_counts_set_lag(c, slot, 3, 5000);
    bl_counts_lag(&behind, &lag, c, slot);
    ok(behind == 3 && lag == 5000, "how far behind");
    bl_slots_release(bl_table_slots(t), 100);
    bl_counts_lag(&behind, &lag, c, slot);
    ok(behind == 0 && lag == 0, "a child that has gone has nobody behind");
    is_u64(bl_slots_pid(bl_table_slots(t), slot), 0, "its slot is free");
    is_u64(sum(c, BL_COUNT_LINES), 7, "K1: its lines stay");
    is_u64((uint64_t)bl_slots_claim(bl_table_slots(t), 101), (uint64_t)slot,
           "the next one has its slot");
    bl_counts_add(c, slot, BL_COUNT_LINES, 1);
    is_u64(sum(c, BL_COUNT_LINES), 8, "K1: and goes on from there");

    bl_counts_begin(c, 1000);
    bl_counts_input(c, 5, 50);
    bl_counts_ended(c, BL_BUILD_LOST);
    bl_table_reset(t);
    bl_counts_begin(c, 2000);
    bl_counts_runner(&r, c);
    ok(r.begun == 2000 && r.begins == 2 && r.lines == 5 && r.bytes == 50 &&
           r.ended[BL_BUILD_LOST] == 1,
       "K1: a new runner forgets rows, and no counts");
}

/* ---- nobody's neighbour --------------------------------------------- */

static void test_place(void)
{
    bl_table_t *t = table_new();
    bl_counts_t *c = bl_table_counts(t);
    bl_table_row_t row;
    int i, j = -1;

    ok((apr_uintptr_t)c % 64 == 0 && bl_counts_size(SLOTS) % 64 == 0,
       "K2: cache lines");
    for (i = 0; i < BL_COUNT_COUNT; i++) {
        bl_counts_add(c, SLOTS - 1, (bl_count_e)i, ~(apr_uint64_t)0);
        bl_counts_add(c, -1, (bl_count_e)i, ~(apr_uint64_t)0);
    }
    bl_counts_set_lag(c, SLOTS - 1, ~0u, -1);
    ok(bl_table_is_current(t) && bl_table_row_count(t) == 0 &&
           bl_slots_viewers(bl_table_slots(t)) == 0 &&
           bl_slots_claim(bl_table_slots(t), 1) == 0,
       "the last counts reach into nothing");
    ok(bl_table_row_add(t, &j, 1, "/p", "{}") == APR_SUCCESS &&
           bl_table_row_read(&row, t, j) == APR_SUCCESS && row.build == 1,
       "nor into rows");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_processes();
    test_life();
    test_place();
    return done_testing();
}
