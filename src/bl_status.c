/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_status.c - a section on the page of mod_status
 */
#include "bl_status.h"

/* APR */
#include <apr_strings.h>
/* httpd */
#include "http_protocol.h"
#include "mod_buildlog.h"
#include "mod_status.h"
/* layer 3 */
#include "bl_daemon.h"
#include "bl_figures.h"

/* What of it is called how: for people, and for programs. */
typedef struct {
    int which;
    const char *words;
    const char *key;
} name_t;

static const name_t ended[] = {
    {BL_BUILD_SUCCEEDED, "succeeded", "Succeeded"},
    {BL_BUILD_FAILED, "failed", "Failed"},
    {BL_BUILD_CANCELLED, "cancelled", "Cancelled"},
    {BL_BUILD_TIMED_OUT, "timed out", "TimedOut"},
    {BL_BUILD_LOST, "lost", "Lost"},
};

static const name_t refused[] = {
    {BL_COUNT_INVALID, "no request of a build", "Invalid"},
    {BL_COUNT_FORBIDDEN, "not permitted", "Forbidden"},
    {BL_COUNT_QUEUE_FULL, "queue full", "QueueFull"},
    {BL_COUNT_UNAVAILABLE, "runner unavailable", "Unavailable"},
};

static const name_t kinds[] = {
    {BL_VIEWER_DETACHED, "detached", "Detached"},
    {BL_VIEWER_PARKED, "parked", "Parked"},
    {BL_VIEWER_HELD, "held", "Held"},
};

static const name_t streams[] = {
    {BL_COUNT_DETACHED, "detached", "Detached"},
    {BL_COUNT_PARKED, "parked", "Parked"},
    {BL_COUNT_HELD, "held", "Held"},
    {BL_COUNT_POLLED, "polled", "Polled"},
};

#define COUNT_OF(names) ((int)(sizeof(names) / sizeof((names)[0])))

/* ---- for people ----------------------------------------------------- */

/* "3 succeeded, 1 failed". */
static void put_counts(request_rec *r, const char *before,
                       const apr_uint64_t *counts, const name_t *names, int n)
{
    int i;

    ap_rputs(before, r);
    for (i = 0; i < n; i++)
        ap_rprintf(r, "%s%" APR_UINT64_T_FMT " %s", i == 0 ? "" : ", ",
                   counts[names[i].which], names[i].words);
}

static void put_runner(request_rec *r, const bl_figures_t *f)
{
    if (f->pid == 0)
        ap_rputs("<dt>Runner: none</dt>\n", r);
    else
        ap_rprintf(
            r, "<dt>Runner: pid %u, up %" APR_INT64_T_FMT " seconds%s</dt>\n",
            f->pid, bl_figures_uptime(f),
            f->answers ? "" : ", <b>does not answer</b>");
    ap_rprintf(r, "<dt>Runners begun since the server started: %u</dt>\n",
               f->runner.begins);
}

static void put_child(request_rec *r, const char *who,
                      const bl_figures_child_t *child)
{
    ap_rprintf(r,
               "<tr><td>%s</td><td>%u</td><td>%u</td><td>%u</td><td>%u</td>"
               "<td>%.3f</td></tr>\n",
               who, child->viewers[BL_VIEWER_DETACHED],
               child->viewers[BL_VIEWER_PARKED],
               child->viewers[BL_VIEWER_HELD], child->behind,
               (double)child->lag / APR_USEC_PER_SEC);
}

/* "?notable": for who reads no tables. */
static void put_viewers_in_words(request_rec *r, const bl_figures_t *f)
{
    int i;

    ap_rprintf(r,
               "<dl>\n<dt>Viewers: %u detached, %u parked, %u held; of these "
               "behind: %u, by %.3f seconds</dt>\n",
               f->all.viewers[BL_VIEWER_DETACHED],
               f->all.viewers[BL_VIEWER_PARKED],
               f->all.viewers[BL_VIEWER_HELD], f->all.behind,
               (double)f->all.lag / APR_USEC_PER_SEC);
    for (i = 0; i < f->children->nelts; i++) {
        const bl_figures_child_t *child =
            &APR_ARRAY_IDX(f->children, i, bl_figures_child_t);

        ap_rprintf(r,
                   "<dt>Viewers of PID %u: %u detached, %u parked, %u "
                   "held</dt>\n",
                   child->pid, child->viewers[BL_VIEWER_DETACHED],
                   child->viewers[BL_VIEWER_PARKED],
                   child->viewers[BL_VIEWER_HELD]);
    }
    ap_rputs("</dl>\n", r);
}

static void put_viewers(request_rec *r, const bl_figures_t *f)
{
    int i;

    ap_rputs("\n<table border=\"0\"><tr><th>Viewers of PID</th>"
             "<th>detached</th><th>parked</th><th>held</th>"
             "<th>of these behind</th><th>by seconds</th></tr>\n",
             r);
    for (i = 0; i < f->children->nelts; i++) {
        const bl_figures_child_t *child =
            &APR_ARRAY_IDX(f->children, i, bl_figures_child_t);
        char pid[16];

        apr_snprintf(pid, sizeof(pid), "%u", child->pid);
        put_child(r, pid, child);
    }
    put_child(r, "all", &f->all);
    ap_rputs("</table>\n", r);
}

static void put_page(request_rec *r, const bl_figures_t *f, int flags)
{
    ap_rputs("<hr />\n<h2>Builds (mod_buildlog)</h2>\n<dl>\n", r);
    put_runner(r, f);
    ap_rprintf(r,
               "<dt>Builds: %u running, %u queued; ended: ", f->runner.running,
               f->runner.queued);
    put_counts(r, "", f->runner.ended, ended, COUNT_OF(ended));
    put_counts(r, "</dt>\n<dt>Refused: ", f->counts, refused,
               COUNT_OF(refused));
    ap_rprintf(r,
               "</dt>\n<dt>Into logs: %" APR_UINT64_T_FMT
               " lines, %" APR_UINT64_T_FMT " bytes</dt>\n",
               f->runner.lines, f->runner.bytes);
    ap_rprintf(r,
               "<dt>To viewers: %" APR_UINT64_T_FMT
               " lines, %" APR_UINT64_T_FMT " bytes</dt>\n",
               f->counts[BL_COUNT_LINES], f->counts[BL_COUNT_BYTES]);
    put_counts(r, "<dt>Streams begun: ", f->counts, streams,
               COUNT_OF(streams));
    ap_rprintf(r, "; refused: %" APR_UINT64_T_FMT "</dt>\n</dl>\n",
               f->counts[BL_COUNT_BUSY]);
    if ((flags & AP_STATUS_NOTABLE) != 0)
        put_viewers_in_words(r, f);
    else
        put_viewers(r, f);
}

/* ---- for programs --------------------------------------------------- */

static void put_keys(request_rec *r, const char *prefix,
                     const apr_uint64_t *counts, const name_t *names, int n)
{
    int i;

    for (i = 0; i < n; i++)
        ap_rprintf(r, "BuildLog%s%s: %" APR_UINT64_T_FMT "\n", prefix,
                   names[i].key, counts[names[i].which]);
}

/* @param who  "" or "Child[0]" */
static void put_child_keys(request_rec *r, const char *who,
                           const bl_figures_child_t *child)
{
    int i;

    for (i = 0; i < COUNT_OF(kinds); i++)
        ap_rprintf(r, "BuildLog%sViewers%s: %u\n", who, kinds[i].key,
                   child->viewers[kinds[i].which]);
    ap_rprintf(r,
               "BuildLog%sViewersBehind: %u\n"
               "BuildLog%sLagMs: %" APR_INT64_T_FMT "\n",
               who, child->behind, who,
               (apr_int64_t)apr_time_as_msec(child->lag));
}

static void put_auto(request_rec *r, const bl_figures_t *f)
{
    int i;

    ap_rprintf(r,
               "BuildLogRunnerPid: %u\nBuildLogRunnerAnswers: %d\n"
               "BuildLogRunnerUptime: %" APR_INT64_T_FMT "\n"
               "BuildLogRunnersBegun: %u\n"
               "BuildLogRunning: %u\nBuildLogQueued: %u\n",
               f->pid, f->answers, bl_figures_uptime(f), f->runner.begins,
               f->runner.running, f->runner.queued);
    put_keys(r, "Ended", f->runner.ended, ended, COUNT_OF(ended));
    put_keys(r, "Refused", f->counts, refused, COUNT_OF(refused));
    ap_rprintf(r,
               "BuildLogLinesIn: %" APR_UINT64_T_FMT "\n"
               "BuildLogBytesIn: %" APR_UINT64_T_FMT "\n"
               "BuildLogLinesOut: %" APR_UINT64_T_FMT "\n"
               "BuildLogBytesOut: %" APR_UINT64_T_FMT "\n",
               f->runner.lines, f->runner.bytes, f->counts[BL_COUNT_LINES],
               f->counts[BL_COUNT_BYTES]);
    put_keys(r, "Streams", f->counts, streams, COUNT_OF(streams));
    ap_rprintf(r, "BuildLogStreamsRefused: %" APR_UINT64_T_FMT "\n",
               f->counts[BL_COUNT_BUSY]);
    put_child_keys(r, "", &f->all);
    for (i = 0; i < f->children->nelts; i++) {
        const bl_figures_child_t *child =
            &APR_ARRAY_IDX(f->children, i, bl_figures_child_t);
        char who[32];

        apr_snprintf(who, sizeof(who), "Child[%d]", i);
        ap_rprintf(r, "BuildLog%sPid: %u\n", who, child->pid);
        put_child_keys(r, who, child);
    }
}

/* ---- the hook ------------------------------------------------------- */

static int status(request_rec *r, int flags)
{
    bl_figures_t figures;

    if (bl_daemon_table() == NULL)
        return DECLINED;
    bl_figures_take(&figures, r->pool);
    if ((flags & AP_STATUS_SHORT) != 0)
        put_auto(r, &figures);
    else
        put_page(r, &figures, flags);
    return OK;
}

void bl_status_register_hooks(apr_pool_t *p)
{
    APR_OPTIONAL_HOOK(ap, status_hook, status, NULL, NULL, APR_HOOK_MIDDLE);
}
