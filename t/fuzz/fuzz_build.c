/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_build.c - any bytes as the record of a build, and as moves of its
 * state (B1, B2 in bl_build.c)
 *
 * A record that was read is in its limits and is written the same again and
 * again; a build that is over stays as it ended.
 */
#include "bl_build.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "not so: %s\n", what);
    abort();
}

static void check_limits(const bl_build_t *build)
{
    int i;

    must(build->id >= 1 && build->id <= APR_INT64_MAX, "an id is in range");
    must(build->project != NULL && build->title != NULL, "texts are there");
    must(build->state < BL_BUILD_STATE_COUNT, "a state is a state");
    must(build->step_count >= 0 && build->step_count <= BL_BUILD_STEPS_MAX,
         "steps are counted");
    must(build->step >= -1 && build->step < build->step_count,
         "the step is one of them");
    must(build->exit >= BL_BUILD_NONE && build->signal >= BL_BUILD_NONE,
         "how it ended is in range");
    must(build->created <= BL_STAMP_MAX && build->started <= BL_STAMP_MAX &&
             build->ended <= BL_STAMP_MAX,
         "times are in range");
    for (i = 0; i < build->step_count; i++)
        must(build->steps[i].name != NULL &&
                 build->steps[i].exit >= BL_BUILD_NONE &&
                 build->steps[i].signal >= BL_BUILD_NONE,
             "a step is in range");
}

static void try_record(const char *text, size_t len, apr_pool_t *pool)
{
    bl_build_t *build = NULL;
    const char *first;
    const char *second;

    if (bl_build_from_json(&build, text, len, pool) != APR_SUCCESS) {
        must(build == NULL, "a refusal leaves nothing");
        return;
    }
    check_limits(build);
    first = bl_build_to_json(build, pool);
    must(bl_build_from_json(&build, first, strlen(first), pool) == APR_SUCCESS,
         "what was written is read");
    second = bl_build_to_json(build, pool);
    must(strcmp(first, second) == 0, "and written the same again");
}

static void try_moves(const uint8_t *data, size_t size)
{
    bl_build_t build;
    size_t i;

    memset(&build, 0, sizeof(build));
    for (i = 0; i < size; i++) {
        bl_build_state_e before = build.state;
        int final = bl_build_state_is_final(before);
        /* Some that are no states, too. */
        bl_build_state_e to = (bl_build_state_e)(data[i] % 10);
        apr_status_t rv = bl_build_move(&build, to);

        must(build.state == (rv == APR_SUCCESS ? to : before),
             "a move is made or not");
        must(rv != APR_SUCCESS || (!final && to != before),
             "the end is the end");
        must(build.state < BL_BUILD_STATE_COUNT, "a state is a state");
    }
}

static void try_names(const char *text, size_t len, apr_pool_t *pool)
{
    const char *name = apr_pstrmemdup(pool, text, len);
    bl_build_state_e state;

    if (bl_build_state_read(&state, name) == APR_SUCCESS)
        must(strcmp(bl_build_state_name(state), name) == 0,
             "a name is the state's");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;

    if (pool == NULL) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
    }
    try_record((const char *)data, size, pool);
    try_moves(data, size);
    try_names((const char *)data, size, pool);
    apr_pool_clear(pool);
    return 0;
}
