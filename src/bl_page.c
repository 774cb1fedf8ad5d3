/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_page.c - builds and projects as pages, for browsers without JavaScript
 */
#include "bl_page.h"

/* APR */
#include <apr_strings.h>
/* httpd */
#include "http_protocol.h"
#include "mod_buildlog.h"
/* layer 0 */
#include "bl_build.h"
/* layer 3 */
#include "bl_error.h"
#include "bl_frame.h"
#include "bl_query.h"
#include "bl_sheet.h"

/* A build that has not ended is looked at again after so long. */
#define REFRESH_SECONDS 5

/* ---- values --------------------------------------------------------- */

/* "2026-11-22 10:00:00", UTC as everywhere outside of text lines. */
static void put_time(request_rec *r, bl_stamp_t stamp)
{
    char text[BL_STAMP_TEXT_LEN + 1];

    if (stamp == 0)
        return;
    bl_stamp_write(text, stamp);
    text[BL_STAMP_TEXT_LEN] = '\0';
    ap_rprintf(r, "<time datetime=\"%s\">%.10s %.8s UTC</time>", text, text,
               text + 11);
}

/* How long it took, or takes up to now. */
static void put_duration(request_rec *r, bl_stamp_t from, bl_stamp_t to)
{
    apr_uint64_t ms;

    if (to == 0)
        to = (bl_stamp_t)apr_time_now();
    if (from == 0 || to < from)
        return;
    ms = (to - from) / 1000;
    if (ms < 60000)
        ap_rprintf(r, "%d.%d s", (int)(ms / 1000), (int)(ms / 100 % 10));
    else if (ms < 3600000)
        ap_rprintf(r, "%d min %d s", (int)(ms / 60000), (int)(ms / 1000 % 60));
    else
        ap_rprintf(r, "%" APR_UINT64_T_FMT " h %d min", ms / 3600000,
                   (int)(ms / 60000 % 60));
}

static void put_outcome(request_rec *r, int exit, int signal)
{
    if (exit > 0)
        ap_rprintf(r, "exit code %d", exit);
    else if (signal != BL_BUILD_NONE)
        ap_rprintf(r, "signal %s", bl_build_signal_name(signal, r->pool));
}

/* A link with a parameter to the list of builds. */
static void put_builds_of(request_rec *r, const char *project,
                          const char *title)
{
    bl_frame_put(r, "<a href=\"builds?project=");
    bl_frame_text(r, ap_escape_urlencoded(r->pool, project));
    bl_frame_put(r, "\">");
    bl_frame_text(r, title);
    bl_frame_put(r, "</a>");
}

/* ---- the list of builds --------------------------------------------- */

static void put_row(request_rec *r, const bl_build_t *build)
{
    ap_rprintf(r,
               "<tr><td><a href=\"builds/%" APR_UINT64_T_FMT
               "\">%" APR_UINT64_T_FMT "</a></td><td>",
               build->id, build->id);
    put_builds_of(r, build->project, build->title);
    bl_frame_put(r, "<br>");
    bl_frame_text(r, build->project);
    bl_frame_put(r, "</td><td>");
    bl_frame_text(r, bl_build_state_name(build->state));
    bl_frame_put(r, "</td><td>");
    put_time(r, build->created);
    bl_frame_put(r, "</td><td>");
    put_duration(r, build->started, build->ended);
    bl_frame_put(r, "</td></tr>\n");
}

/* The same list, further on. */
static void put_next(request_rec *r, apr_uint64_t next)
{
    static const char *const kept[] = {"project", "state", "limit"};
    apr_table_t *query = apr_table_make(r->pool, 4);
    apr_size_t i;

    ap_rprintf(r, "<p><a rel=\"next\" href=\"builds?before=%" APR_UINT64_T_FMT,
               next);
    bl_query_split(query, r); /* it was read before, and was good */
    for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        const char *value = apr_table_get(query, kept[i]);

        if (value == NULL)
            continue;
        ap_rprintf(r, "&amp;%s=", kept[i]);
        bl_frame_text(r, ap_escape_urlencoded(r->pool, value));
    }
    bl_frame_put(r, "\">Older builds</a></p>\n");
}

int bl_page_builds(request_rec *r, const apr_array_header_t *builds,
                   apr_uint64_t next, int broken)
{
    int i;

    if (!bl_frame_begin(r, "Builds", 0))
        return OK;
    if (broken)
        bl_frame_put(r, "<p>The history cannot be read now: this is what "
                        "waits, runs, or ended last.</p>\n");
    if (builds->nelts == 0)
        bl_frame_put(r, "<p>There is no such build that you may see.</p>\n");
    else
        bl_frame_put(r, "<table>\n<tr><th scope=\"col\">Build</th>"
                        "<th scope=\"col\">Project</th>"
                        "<th scope=\"col\">State</th>"
                        "<th scope=\"col\">Asked for</th>"
                        "<th scope=\"col\">Duration</th></tr>\n");
    for (i = 0; i < builds->nelts; i++) {
        const char *json = APR_ARRAY_IDX(builds, i, const char *);
        bl_build_t *build;

        if (bl_build_from_json(&build, json, strlen(json), r->pool) ==
            APR_SUCCESS)
            put_row(r, build);
    }
    if (builds->nelts > 0)
        bl_frame_put(r, "</table>\n");
    if (next != 0)
        put_next(r, next);
    return bl_frame_end(r);
}

/* ---- the list of projects ------------------------------------------- */

/* @param title  of the project, when there are forms of others; or NULL */
static void put_build_form(request_rec *r, const char *action,
                           const char *project, const char *label,
                           const char *title)
{
    bl_frame_put(r, "<form method=\"post\" action=\"");
    bl_frame_put(r, action);
    bl_frame_put(r, "\"><input type=\"hidden\" name=\"projectPath\" value=\"");
    bl_frame_text(r, project);
    bl_frame_put(r, "\"><button");
    if (title != NULL) {
        bl_frame_put(r, " aria-label=\"");
        bl_frame_text(r, label);
        bl_frame_put(r, " ");
        bl_frame_text(r, title);
        bl_frame_put(r, "\"");
    }
    bl_frame_put(r, ">");
    bl_frame_text(r, label);
    bl_frame_put(r, "</button></form>");
}

static void put_project(request_rec *r, const bl_page_project_t *project)
{
    bl_build_t *last;

    bl_frame_put(r, "<tr><td>");
    put_builds_of(r, project->path, project->title);
    bl_frame_put(r, "<br>");
    bl_frame_text(r, project->path);
    bl_frame_put(r, "</td><td>");
    if (project->last != NULL &&
        bl_build_from_json(&last, project->last, strlen(project->last),
                           r->pool) == APR_SUCCESS) {
        ap_rprintf(r,
                   "<a href=\"builds/%" APR_UINT64_T_FMT
                   "\">%" APR_UINT64_T_FMT "</a> %s<br>",
                   last->id, last->id, bl_build_state_name(last->state));
        put_time(r, last->created);
    }
    bl_frame_put(r, "</td><td>");
    put_build_form(r, "build", project->path, "Build", project->title);
    bl_frame_put(r, "</td></tr>\n");
}

/* Below a project that is listed there may be others. */
static void put_start_form(request_rec *r)
{
    bl_frame_put(r,
                 "<h2>Another directory</h2>\n"
                 "<form method=\"post\" action=\"build\">"
                 "<label>Its absolute path "
                 "<input name=\"projectPath\" size=\"40\" required></label> "
                 "<button>Build</button></form>\n");
}

int bl_page_projects(request_rec *r, const apr_array_header_t *projects)
{
    int i;

    if (!bl_frame_begin(r, "Projects", 0))
        return OK;
    if (projects->nelts == 0)
        bl_frame_put(
            r, "<p>There is no project that you may build. A directory is "
               "one when the server's configuration says so:</p>\n"
               "<pre>&lt;Directory \"/srv/projects/shop\"&gt;\n"
               "    BuildLog On\n"
               "    BuildLogStep build \"make\"\n"
               "    Require all granted\n"
               "&lt;/Directory&gt;</pre>\n");
    else
        bl_frame_put(r, "<table>\n<tr><th scope=\"col\">Project</th>"
                        "<th scope=\"col\">Latest build</th>"
                        "<th scope=\"col\">Start</th></tr>\n");
    for (i = 0; i < projects->nelts; i++)
        put_project(r, &APR_ARRAY_IDX(projects, i, bl_page_project_t));
    if (projects->nelts > 0)
        bl_frame_put(r, "</table>\n");
    put_start_form(r);
    return bl_frame_end(r);
}

/* ---- one build: its record ------------------------------------------ */

static void put_step(request_rec *r, const bl_build_step_t *step)
{
    const char *state = step->started == 0 ? "pending"
                        : step->ended == 0 ? "running"
                        : step->exit == 0  ? "succeeded"
                                           : "failed";

    bl_frame_put(r, "<tr><td>");
    bl_frame_text(r, step->name);
    ap_rprintf(r, "</td><td>%s</td><td>", state);
    put_duration(r, step->started, step->ended);
    bl_frame_put(r, "</td><td>");
    put_outcome(r, step->exit, step->signal);
    bl_frame_put(r, "</td></tr>\n");
}

static void put_steps(request_rec *r, const bl_build_t *build)
{
    int i;

    bl_frame_put(r, "<h2>Steps</h2>\n<table>\n"
                    "<tr><th scope=\"col\">Step</th>"
                    "<th scope=\"col\">State</th>"
                    "<th scope=\"col\">Duration</th>"
                    "<th scope=\"col\">Result</th></tr>\n");
    for (i = 0; i < build->step_count; i++)
        put_step(r, &build->steps[i]);
    bl_frame_put(r, "</table>\n");
}

static void put_record(request_rec *r, const bl_build_t *build)
{
    bl_frame_put(r, "<dl>\n<dt>Project</dt><dd>");
    bl_frame_text(r, build->project);
    bl_frame_put(r, "</dd>\n<dt>State</dt><dd>");
    bl_frame_text(r, bl_build_state_name(build->state));
    if (build->reason != NULL)
        bl_frame_put(r, ": ");
    bl_frame_text(r, build->reason);
    if (build->position != 0)
        ap_rprintf(r, ", number %u in the queue", (unsigned)build->position);
    bl_frame_put(r, "</dd>\n<dt>Asked for</dt><dd>");
    put_time(r, build->created);
    if (build->user != NULL)
        bl_frame_put(r, " by ");
    bl_frame_text(r, build->user);
    bl_frame_put(r, "</dd>\n");
    if (build->started != 0) {
        bl_frame_put(r, "<dt>Duration</dt><dd>");
        put_duration(r, build->started, build->ended);
        bl_frame_put(r, "</dd>\n");
    }
    bl_frame_put(r, "</dl>\n");
}

/* What can be done. This page is at .../builds/42. */
static void put_forms(request_rec *r, const bl_build_t *build)
{
    bl_frame_put(r, "<p>");
    if (bl_build_state_is_final(build->state))
        put_build_form(r, "../build", build->project, "Build again", NULL);
    else
        ap_rprintf(r,
                   "<form method=\"post\" action=\"%" APR_UINT64_T_FMT
                   "/cancel\"><button>Cancel</button></form>",
                   build->id);
    ap_rprintf(r,
               "<a href=\"%" APR_UINT64_T_FMT "/log%s\">The log as text</a>"
               "</p>\n",
               build->id,
               bl_build_state_is_final(build->state) ? "" : "?follow=1");
}

/* Who reads with a magnifier or a screen reader is not to be thrown back to
 * the top all the time. */
static void put_refresh(request_rec *r, apr_uint64_t id, int refresh)
{
    if (refresh > 0)
        ap_rprintf(r,
                   "<p>This page is loaded again every %d s. "
                   "<a href=\"%" APR_UINT64_T_FMT "?last=%d\">Stop that</a>"
                   "</p>\n",
                   refresh, id, BL_SHEET_LINES);
    else
        ap_rprintf(r,
                   "<p><a href=\"%" APR_UINT64_T_FMT "\">Load this page "
                   "again every %d s</a></p>\n",
                   id, REFRESH_SECONDS);
}

/* ---- one build ------------------------------------------------------ */

int bl_page_build(request_rec *r, const bl_table_row_t *row, const char *json)
{
    bl_query_lines_t query = {0, BL_SHEET_LINES, 0};
    const char *detail;
    bl_build_t *build;
    int refresh = 0;

    if (bl_query_read_lines(&query, &detail, r) != APR_SUCCESS)
        return bl_error_send(r, HTTP_BAD_REQUEST, detail);
    if (bl_build_from_json(&build, json, strlen(json), r->pool) != APR_SUCCESS)
        return bl_error_send(r, HTTP_INTERNAL_SERVER_ERROR,
                             "The record of this build is damaged.");
    /* Not under who reads further up, or does not want it. */
    if (!bl_build_state_is_final(build->state) && r->args == NULL)
        refresh = REFRESH_SECONDS;
    if (!bl_frame_begin(r,
                        apr_psprintf(r->pool,
                                     "Build %" APR_UINT64_T_FMT ": %s, %s",
                                     build->id, build->title,
                                     bl_build_state_name(build->state)),
                        refresh))
        return OK;
    put_forms(r, build);
    if (!bl_build_state_is_final(build->state))
        put_refresh(r, build->id, refresh);
    put_record(r, build);
    put_steps(r, build);
    bl_sheet_put(r, &query, row);
    return bl_frame_end(r);
}
