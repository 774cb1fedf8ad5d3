/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_health.c - GET .../health/live and .../health/ready
 */
#include "bl_health.h"

/* httpd */
#include "mod_buildlog.h"
/* layer 1 */
#include "bl_tick.h"
/* layer 3 */
#include "bl_api.h"
#include "bl_daemon.h"
#include "bl_error.h"
#include "bl_figures.h"

/* So long a runner that was well is taken for well. */
#define WELL_TIME apr_time_from_sec(1)

#define RETRY_SECONDS 5

static int not_ready(request_rec *r, const char *why)
{
    return bl_error_unavailable(r, RETRY_SECONDS, why);
}

static int send_ready(request_rec *r)
{
    bl_counts_t *counts = bl_table_counts(bl_daemon_table());
    apr_time_t now = bl_tick_now();
    bl_counts_runner_t runner;
    bl_asked_t asked;

    /* What is known without asking. */
    if (!bl_figures_runner_answers())
        return not_ready(r, "The process that runs builds does not answer.");
    bl_counts_runner(&runner, counts);
    if (runner.well == 0 || now - runner.well >= WELL_TIME) {
        bl_daemon_ready(&asked, r);
        if (asked.what == BL_ASKED_REFUSED)
            return not_ready(r, asked.refused.text);
        if (asked.what != BL_ASKED_ACCEPTED)
            return not_ready(r, "The process that runs builds does not "
                                "answer in time.");
        bl_counts_well(counts, now);
    }
    return bl_api_answer(r, HTTP_OK, "{\"status\":\"ready\"}");
}

int bl_health_send(request_rec *r)
{
    const char *slash = strrchr(r->uri, '/');
    const char *what = slash != NULL ? slash + 1 : r->uri;

    if (strcmp(what, "ready") == 0)
        return send_ready(r);
    if (strcmp(what, "live") == 0)
        return bl_api_answer(r, HTTP_OK, "{\"status\":\"live\"}");
    return bl_error_send(r, HTTP_NOT_FOUND, "Here are only live and ready.");
}
