/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_words.c - what the runner says of a build, in words
 */
#include "bl_words.h"

/* libc */
#include <errno.h>
/* APR */
#include <apr_strings.h>
/* layer 0 */
#include "bl_mask.h"

static const char *default_last_line(bl_build_state_e state)
{
    switch (state) {
    case BL_BUILD_SUCCEEDED:
        return "Build finished";
    case BL_BUILD_FAILED:
        return "Build failed";
    case BL_BUILD_CANCELLED:
        return "Build cancelled";
    case BL_BUILD_TIMED_OUT:
        return "Build timed out";
    default:
        return "Build lost";
    }
}

const char *bl_words_last_line(const bl_build_t *build, const char *custom,
                               apr_pool_t *p)
{
    const char *text =
        custom != NULL ? custom : default_last_line(build->state);

    if (build->reason == NULL)
        return text;
    return apr_pstrcat(p, text, ": ", build->reason, NULL);
}

const char *bl_words_step_ended(const bl_build_t *build, int step,
                                apr_pool_t *p)
{
    const bl_build_step_t *s = &build->steps[step];
    const char *hint = "";

    if (s->signal != BL_BUILD_NONE)
        return apr_psprintf(p, "step \"%s\" was ended by signal %s", s->name,
                            bl_build_signal_name(s->signal, p));
    if (s->exit == 127)
        hint = " (command not found)";
    else if (s->exit == 126)
        hint = " (command cannot be executed)";
    return apr_psprintf(p, "step \"%s\" exited with code %d%s", s->name,
                        s->exit, hint);
}

const char *bl_words_not_started(const bl_build_t *build, int step,
                                 apr_status_t why, apr_pool_t *p)
{
    char text[128];

    /* These two in words that fit: see enter_project in bl_kept.c. */
    if (why == APR_FROM_OS_ERROR(ELOOP))
        apr_cpystrn(text, "a symbolic link stands in this path now",
                    sizeof(text));
    else if (why == APR_FROM_OS_ERROR(ESTALE))
        apr_cpystrn(text, "another directory has taken its place",
                    sizeof(text));
    else
        apr_strerror(why, text, sizeof(text));
    return apr_psprintf(p, "step \"%s\" could not be started in %s: %s",
                        build->steps[step].name, build->project, text);
}

const char *bl_words_not_masked(apr_pool_t *p)
{
    return apr_psprintf(p,
                        "BuildLogMask: the values have more than %d bytes "
                        "together",
                        BL_MASK_MOST);
}

/* "512M": in the largest unit that leaves no rest. */
static const char *bytes_text(apr_uint64_t bytes, apr_pool_t *p)
{
    static const char units[] = "TGMK";
    int i;

    for (i = 0; units[i] != '\0'; i++) {
        apr_uint64_t unit = APR_UINT64_C(1) << (10 * (4 - i));

        if (bytes % unit == 0)
            return apr_psprintf(p, "%" APR_UINT64_T_FMT "%c", bytes / unit,
                                units[i]);
    }
    return apr_psprintf(p, "%" APR_UINT64_T_FMT, bytes);
}

const char *bl_words_no_memory(apr_uint64_t killed, apr_uint64_t limit,
                               apr_pool_t *p)
{
    return apr_psprintf(p,
                        "out of memory, the kernel ended %" APR_UINT64_T_FMT
                        " process%s%s%s%s",
                        killed, killed == 1 ? "" : "es",
                        limit != 0 ? " (BuildLogCgroup memory=" : "",
                        limit != 0 ? bytes_text(limit, p) : "",
                        limit != 0 ? ")" : "");
}

const char *bl_words_no_process(apr_uint64_t refused, apr_uint32_t limit,
                                apr_pool_t *p)
{
    return apr_psprintf(p,
                        "%" APR_UINT64_T_FMT " process%s could not be begun "
                        "(BuildLogCgroup pids=%u)",
                        refused, refused == 1 ? "" : "es", limit);
}

const char *bl_words_left_behind(int count, apr_pool_t *p)
{
    if (count == 1)
        return "1 process that the build left behind was ended";
    return apr_psprintf(
        p, "%d processes that the build left behind were ended", count);
}

const char *bl_words_duration(apr_interval_time_t time, apr_pool_t *p)
{
    static const struct {
        apr_interval_time_t time;
        const char *name;
    } units[] = {
        {apr_time_from_sec(3600), "h"},
        {apr_time_from_sec(60), "min"},
        {apr_time_from_sec(1), "s"},
        {apr_time_from_msec(1), "ms"},
    };
    int i = time == 0 ? 2 : 0; /* "0 s" */

    while (i < 3 && time % units[i].time != 0)
        i++;
    return apr_psprintf(p, "%" APR_INT64_T_FMT " %s", time / units[i].time,
                        units[i].name);
}
