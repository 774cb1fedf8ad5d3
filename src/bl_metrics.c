/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_metrics.c - GET .../metrics: the figures for Prometheus
 *
 * FORMAT        a family is "# HELP", "# TYPE" (in OpenMetrics "# UNIT", too)
 *               and its samples. In OpenMetrics a counter's family has a name
 *               without "_total", and the end is "# EOF"; else they are the
 *               same
 */
#include "bl_metrics.h"

/* httpd */
#include "http_protocol.h"
#include "mod_buildlog.h"
/* layer 0 */
#include "bl_accept.h"
/* layer 3 */
#include "bl_figures.h"

#define TYPE_TEXT "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_OPEN "application/openmetrics-text; version=1.0.0; charset=utf-8"

typedef struct {
    request_rec *r;
    int open; /* OpenMetrics */
} out_t;

/* ---- the format ----------------------------------------------------- */

/* @param name  of its samples, with "_total" and the unit in it */
static void family(const out_t *out, const char *name, const char *type,
                   const char *unit, const char *help)
{
    int len = (int)strlen(name);

    /* The name of a family: what its samples add is none of it. */
    if (out->open && strcmp(type, "counter") == 0)
        len -= (int)strlen("_total");
    else if (out->open && strcmp(type, "info") == 0)
        len -= (int)strlen("_info");
    else if (strcmp(type, "info") == 0)
        type = "gauge";
    ap_rprintf(out->r, "# HELP %.*s %s\n# TYPE %.*s %s\n", len, name, help,
               len, name, type);
    if (out->open && unit != NULL)
        ap_rprintf(out->r, "# UNIT %.*s %s\n", len, name, unit);
}

static void sample(const out_t *out, const char *name, const char *label,
                   const char *value, apr_uint64_t n)
{
    if (label != NULL)
        ap_rprintf(out->r, "%s{%s=\"%s\"} %" APR_UINT64_T_FMT "\n", name,
                   label, value, n);
    else
        ap_rprintf(out->r, "%s %" APR_UINT64_T_FMT "\n", name, n);
}

static void put_one(const out_t *out, const char *name, const char *type,
                    const char *unit, const char *help, apr_uint64_t n)
{
    family(out, name, type, unit, help);
    sample(out, name, NULL, NULL, n);
}

/* Without a unit of its own: a number of things. */
static void put_gauge(const out_t *out, const char *name, const char *help,
                      apr_uint64_t n)
{
    put_one(out, name, "gauge", NULL, help, n);
}

static void put_seconds(const out_t *out, const char *name, const char *help,
                        apr_time_t time)
{
    family(out, name, "gauge", "seconds", help);
    ap_rprintf(out->r, "%s %" APR_INT64_T_FMT ".%06d\n", name,
               (apr_int64_t)apr_time_sec(time), (int)apr_time_usec(time));
}

/* ---- the metrics ---------------------------------------------------- */

static void put_runner(const out_t *out, const bl_figures_t *f)
{
    family(out, "buildlog_info", "info", NULL, "The module.");
    sample(out, "buildlog_info", "version", BL_VERSION, 1);
    put_gauge(out, "buildlog_runner_up",
              "Whether the process that runs builds does its work.",
              f->answers != 0);
    if (f->pid != 0)
        put_seconds(out, "buildlog_runner_start_time_seconds",
                    "When that process began, since the epoch.",
                    f->runner.begun);
    put_one(out, "buildlog_runner_starts_total", "counter", NULL,
            "How often one began since httpd started.", f->runner.begins);
    if (f->room >= 0)
        put_one(out, "buildlog_state_free_bytes", "gauge", "bytes",
                "Room for logs on the disk of BuildLogStateDir.",
                (apr_uint64_t)f->room);
}

static void put_builds(const out_t *out, const bl_figures_t *f)
{
    static const struct {
        const char *reason;
        bl_count_e which;
    } refused[] = {
        {"invalid", BL_COUNT_INVALID},
        {"forbidden", BL_COUNT_FORBIDDEN},
        {"queue-full", BL_COUNT_QUEUE_FULL},
        {"unavailable", BL_COUNT_UNAVAILABLE},
    };
    const char *name = "buildlog_builds";
    int i;

    family(out, name, "gauge", NULL, "Builds that have not ended.");
    sample(out, name, "state", "queued", f->runner.queued);
    sample(out, name, "state", "running", f->runner.running);
    name = "buildlog_builds_ended_total";
    family(out, name, "counter", NULL,
           "Builds that ended since httpd started.");
    for (i = 0; i < BL_BUILD_STATE_COUNT; i++) {
        if (bl_build_state_is_final((bl_build_state_e)i))
            sample(out, name, "state",
                   bl_build_state_name((bl_build_state_e)i),
                   f->runner.ended[i]);
    }
    name = "buildlog_builds_refused_total";
    family(out, name, "counter", NULL, "Requests of builds that got none.");
    for (i = 0; i < (int)(sizeof(refused) / sizeof(refused[0])); i++)
        sample(out, name, "reason", refused[i].reason,
               f->counts[refused[i].which]);
}

static void put_amounts(const out_t *out, const bl_figures_t *f)
{
    put_one(out, "buildlog_input_lines_total", "counter", NULL,
            "Lines that builds printed, and those of the module.",
            f->runner.lines);
    put_one(out, "buildlog_input_bytes_total", "counter", "bytes",
            "What builds printed, as text.", f->runner.bytes);
    put_one(out, "buildlog_output_lines_total", "counter", NULL,
            "Lines sent, counted for each viewer.", f->counts[BL_COUNT_LINES]);
    put_one(out, "buildlog_output_bytes_total", "counter", "bytes",
            "What was sent to viewers, before TLS.",
            f->counts[BL_COUNT_BYTES]);
}

static void put_viewers(const out_t *out, const bl_figures_t *f)
{
    static const struct {
        const char *kind;
        bl_viewer_e viewer;
        bl_count_e count;
    } kinds[] = {
        {"detached", BL_VIEWER_DETACHED, BL_COUNT_DETACHED},
        {"parked", BL_VIEWER_PARKED, BL_COUNT_PARKED},
        {"held", BL_VIEWER_HELD, BL_COUNT_HELD},
    };
    const char *name = "buildlog_viewers";
    int i;

    family(out, name, "gauge", NULL,
           "Streams that are open, by how their connections are kept.");
    for (i = 0; i < BL_VIEWER_KINDS; i++)
        sample(out, name, "kind", kinds[i].kind,
               f->all.viewers[kinds[i].viewer]);
    put_gauge(out, "buildlog_viewers_limit", "BuildLogMaxClients.",
              f->viewers_most);
    put_gauge(out, "buildlog_viewers_behind",
              "Viewers that have not taken all there is.", f->all.behind);
    put_seconds(out, "buildlog_viewers_lag_seconds",
                "How much of a log, in time, the farthest of them has before "
                "it.",
                f->all.lag);
    name = "buildlog_streams_total";
    family(out, name, "counter", NULL,
           "Streams that began, and answers to those who poll.");
    for (i = 0; i < BL_VIEWER_KINDS; i++)
        sample(out, name, "kind", kinds[i].kind, f->counts[kinds[i].count]);
    sample(out, name, "kind", "polled", f->counts[BL_COUNT_POLLED]);
    put_one(out, "buildlog_streams_refused_total", "counter", NULL,
            "Streams that were refused: there were too many.",
            f->counts[BL_COUNT_BUSY]);
}

int bl_metrics_send(request_rec *r)
{
    static const char *const offers[] = {"text/plain",
                                         "application/openmetrics-text"};
    const char *accept = apr_table_get(r->headers_in, "Accept");
    bl_figures_t figures;
    out_t out = {r, 0};

    out.open = accept != NULL &&
               bl_accept_best(accept, strlen(accept), offers, 2) == 1;
    ap_set_content_type(r, out.open ? TYPE_OPEN : TYPE_TEXT);
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    apr_table_mergen(r->headers_out, "Vary", "Accept");
    if (r->header_only)
        return OK;
    bl_figures_take(&figures, r->pool);
    put_runner(&out, &figures);
    put_builds(&out, &figures);
    put_amounts(&out, &figures);
    put_viewers(&out, &figures);
    if (out.open)
        ap_rputs("# EOF\n", r);
    return OK;
}
