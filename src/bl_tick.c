/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_tick.c - a clock for what is waited for
 */
#include "bl_tick.h"

/* libc */
#include <time.h>

apr_time_t bl_tick_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return apr_time_from_sec(now.tv_sec) + now.tv_nsec / 1000;
}
