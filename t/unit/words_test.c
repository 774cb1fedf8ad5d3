/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words_test.c - what a log and a record say of a build (promise 5: how it
 * ended is said, and the same everywhere)
 */
#include "bl_words.h"

/* libc */
#include <errno.h>
#include <signal.h>
#include <string.h>
/* APR */
#include <apr_general.h>

#include "tap.h"

static apr_pool_t *pool;
static bl_build_step_t steps[] = {
    {.name = "install", .exit = 0, .signal = BL_BUILD_NONE},
    {.name = "build", .exit = 3, .signal = BL_BUILD_NONE},
};
static bl_build_t build = {
    .id = 42, .project = "/srv/shop", .step_count = 2, .steps = steps};

static void says(const char *got, const char *want)
{
    if (!ok(strcmp(got, want) == 0, "%s", want))
        printf("#   got %s\n", got);
}

static void test_last_line(void)
{
    static const char *const lines[] = {
        [BL_BUILD_SUCCEEDED] = "Build finished",
        [BL_BUILD_FAILED] = "Build failed",
        [BL_BUILD_CANCELLED] = "Build cancelled",
        [BL_BUILD_TIMED_OUT] = "Build timed out",
        [BL_BUILD_LOST] = "Build lost",
    };
    int i;

    for (i = BL_BUILD_SUCCEEDED; i <= BL_BUILD_LOST; i++) {
        build.state = (bl_build_state_e)i;
        says(bl_words_last_line(&build, NULL, pool), lines[i]);
    }
    build.reason = "by alice";
    says(bl_words_last_line(&build, NULL, pool), "Build lost: by alice");
    says(bl_words_last_line(&build, "Oh no", pool), "Oh no: by alice");
    build.reason = NULL;
    says(bl_words_last_line(&build, "Oh no", pool), "Oh no");
}

static void test_steps(void)
{
    says(bl_words_step_ended(&build, 1, pool),
         "step \"build\" exited with code 3");
    steps[1].exit = 127;
    says(bl_words_step_ended(&build, 1, pool),
         "step \"build\" exited with code 127 (command not found)");
    steps[1].exit = 126;
    says(bl_words_step_ended(&build, 1, pool),
         "step \"build\" exited with code 126 (command cannot be executed)");
    steps[1].signal = SIGKILL;
    says(bl_words_step_ended(&build, 1, pool),
         "step \"build\" was ended by signal KILL");
    says(bl_words_not_started(&build, 0, ENOENT, pool),
         "step \"install\" could not be started in /srv/shop: No such file "
         "or directory");
    says(bl_words_not_started(&build, 0, ELOOP, pool),
         "step \"install\" could not be started in /srv/shop: a symbolic link "
         "stands in this path now");
    says(bl_words_not_started(&build, 0, ESTALE, pool),
         "step \"install\" could not be started in /srv/shop: another "
         "directory has taken its place");
    says(bl_words_left_behind(1, pool),
         "1 process that the build left behind was ended");
    says(bl_words_left_behind(7, pool),
         "7 processes that the build left behind were ended");
}

static void test_durations(void)
{
    static const struct {
        apr_interval_time_t time;
        const char *text;
    } list[] = {
        {apr_time_from_sec(7200), "2 h"},
        {apr_time_from_sec(3600), "1 h"},
        {apr_time_from_sec(3601), "3601 s"},
        {apr_time_from_msec(3600500), "3600500 ms"},
        {apr_time_from_sec(600), "10 min"},
        {apr_time_from_sec(90), "90 s"},
        {apr_time_from_msec(1500), "1500 ms"},
        {apr_time_from_msec(1), "1 ms"},
        {0, "0 s"},
    };
    apr_size_t i;

    for (i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        says(bl_words_duration(list[i].time, pool), list[i].text);
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_last_line();
    test_steps();
    test_durations();
    apr_terminate();
    return done_testing();
}
