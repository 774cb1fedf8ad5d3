/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_opening.c - what a viewer asked for, and where its stream begins
 *
 * ORDER         for the feed of all builds the place is fixed (the watermark
 *               read) before it is decided what the user may see: a project
 *               that appears in between has only records behind that place,
 *               so the feed will find it undecided and not pass it over
 */
#include "bl_opening.h"

/* APR */
#include <apr_hash.h>
#include <apr_strings.h>
/* httpd */
#include "http_core.h"
#include "http_protocol.h"
#include "mod_buildlog.h"
/* layer 0 */
#include "bl_view.h"
/* layer 1 */
#include "bl_log.h"
/* layer 3 */
#include "bl_api.h"
#include "bl_config.h"
#include "bl_daemon.h"
#include "bl_project.h"

/* ---- one build ------------------------------------------------------ */

static apr_status_t tail_of_build(bl_opening_t *s, request_rec *r,
                                  const bl_table_row_t *row)
{
    bl_cursor_t *cursor;
    apr_status_t rv;

    rv =
        bl_cursor_open(&cursor, bl_daemon_logs_dir(), s->query.build, r->pool);
    if (rv != APR_SUCCESS)
        return rv;
    rv = bl_cursor_seek_tail(&s->at, cursor, s->query.tail, row->tail);
    bl_cursor_close(&cursor);
    /* Of what has ended at least the end is sent. */
    if (row->final && s->at >= row->last_id)
        s->at = row->last_id - 1;
    return rv;
}

/* An id that is still to come was never given by this server. The records of a
 * build may be seen a moment before the watermark is raised: last_id. */
static int is_from_the_future(bl_stamp_t id, bl_stamp_t last_id)
{
    return id > last_id && id > bl_table_watermark(bl_daemon_table());
}

static int open_build(bl_opening_t *s, request_rec *r)
{
    const char *project;
    bl_table_row_t row;
    apr_status_t rv =
        bl_api_find_build(&row, &project, &s->now, r, s->query.build);

    if (APR_STATUS_IS_ENOENT(rv))
        return HTTP_NOT_FOUND;
    if (rv != APR_SUCCESS) {
        bl_api_cannot_open(r, rv);
        return HTTP_SERVICE_UNAVAILABLE;
    }
    s->is_live = !row.final;
    switch (s->query.want) {
    case BL_WANT_AFTER:
        if (is_from_the_future(s->query.after, row.last_id))
            s->gap = 1;
        else if (row.final && s->query.after >= row.last_id)
            return HTTP_NO_CONTENT;
        else
            s->at = s->query.after;
        return OK;
    case BL_WANT_TAIL:
        return tail_of_build(s, r, &row) == APR_SUCCESS
                   ? OK
                   : HTTP_INTERNAL_SERVER_ERROR;
    case BL_WANT_UNKNOWN:
        s->gap = 1;
        return OK;
    default:
        return OK;
    }
}

/* ---- all builds ----------------------------------------------------- */

/* What was decided, project by project. */
typedef struct {
    request_rec *r;
    apr_hash_t *seen; /* by path; the path, or DENIED */
    apr_array_header_t *lines;
} decisions_t;

static const char denied[] = "";

static int decide(decisions_t *d, const char *path)
{
    const char *known = apr_hash_get(d->seen, path, APR_HASH_KEY_STRING);
    int may;

    if (known != NULL)
        return known != denied;
    path = apr_pstrdup(d->r->pool, path);
    may = bl_project_may_see(d->r, path);
    apr_hash_set(d->seen, path, APR_HASH_KEY_STRING, may ? path : denied);
    bl_view_add(d->lines, path, may);
    return may;
}

/* Those that the configuration names. */
static void decide_listed(decisions_t *d)
{
    apr_array_header_t *listed = bl_project_list(d->r);
    int i;

    for (i = 0; i < listed->nelts; i++) {
        const char *path = APR_ARRAY_IDX(listed, i, bl_project_t).path;

        apr_hash_set(d->seen, path, APR_HASH_KEY_STRING, path);
        bl_view_add(d->lines, path, 1);
    }
}

/* Those that have a build in the table: all of them, or those only whose
 * builds wait or run, or have something behind an id. */
static void decide_builds(decisions_t *d, bl_opening_t *s, int only_news)
{
    const bl_table_t *table = bl_daemon_table();
    int i, rows = bl_table_row_count(table);
    apr_pool_t *scratch;

    apr_pool_create(&scratch, d->r->pool);
    for (i = 0; i < rows; i++) {
        const char *path;
        bl_table_row_t row;
        int may;

        apr_pool_clear(scratch);
        if (bl_table_row_read(&row, table, i) != APR_SUCCESS ||
            (only_news && row.final && row.last_id <= s->at) ||
            bl_table_row_text(&path, NULL, table, i, row.build, scratch) !=
                APR_SUCCESS)
            continue;
        may = decide(d, path);
        s->is_live |= may && !row.final;
    }
    apr_pool_destroy(scratch);
}

static void open_all(bl_opening_t *s, request_rec *r, int polls)
{
    bl_stamp_t now = bl_table_watermark(bl_daemon_table());
    decisions_t d;

    s->at = now;
    if (s->query.want == BL_WANT_START)
        s->at = 0;
    else if (s->query.want == BL_WANT_UNKNOWN)
        s->gap = 1;
    else if (s->query.want == BL_WANT_AFTER) {
        if (is_from_the_future(s->query.after, now))
            s->gap = 1;
        else
            s->at = s->query.after;
    }
    d.r = r;
    d.seen = apr_hash_make(r->pool);
    d.lines = apr_array_make(r->pool, 16, sizeof(char *));
    /* A stream goes on for hours: what is decided now holds for all of it. To
     * ask httpd for each project costs more than a poll's answer. */
    if (!polls)
        decide_listed(&d);
    decide_builds(&d, s, polls);
    s->spec.view = bl_view_make(d.lines, r->pool);
}

int bl_opening_decide(bl_opening_t *out, const char **detail, request_rec *r,
                      int polls)
{
    const bl_dir_conf_t *conf = bl_config_dir(r);
    int result = OK;

    memset(out, 0, sizeof(*out));
    if (bl_query_read(&out->query, detail, r) != APR_SUCCESS)
        return HTTP_BAD_REQUEST;
    out->spec.build = out->query.build;
    out->spec.only_builds = out->query.only_builds;
    /* What is left without lines is JSON in either format: one feed. */
    out->spec.format =
        out->query.only_builds ? BL_SSE_JSON : out->query.format;
    out->spec.time_format = bl_config_time_format(conf);
    out->spec.flush = bl_config_flush(conf);
    out->spec.ping = bl_config_ping(conf);
    out->spec.form = out->query.form;
    /* Who takes events comes back by itself. A poll is asked again, whoever
     * asks. */
    out->spec.resumes =
        out->query.build == 0 && (polls || out->query.form == BL_FORM_EVENTS);
    if (out->query.build != 0)
        result = open_build(out, r);
    else
        open_all(out, r, polls);
    *detail = result == HTTP_NOT_FOUND             ? BL_API_NO_BUILD
              : result == HTTP_SERVICE_UNAVAILABLE ? BL_API_NO_LOG_NOW
                                                   : "The log cannot be read.";
    return result;
}
