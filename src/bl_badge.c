/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_badge.c - GET .../badge?projectPath=: how a project's last build ended
 */
#include "bl_badge.h"

/* APR */
#include <apr_sha1.h>
#include <apr_strings.h>
/* httpd */
#include "http_protocol.h"
#include "http_request.h"
#include "mod_buildlog.h"
/* layer 0 */
#include "bl_build.h"
#include "bl_svg.h"
/* layer 3 */
#include "bl_daemon.h"
#include "bl_error.h"
#include "bl_list.h"
#include "bl_project.h"
#include "bl_query.h"
#include "bl_trust.h"

typedef struct {
    const char *word;
    bl_svg_tone_e tone;
} result_t;

static const result_t results[BL_BUILD_STATE_COUNT] = {
    [BL_BUILD_SUCCEEDED] = {"succeeded", BL_SVG_GOOD},
    [BL_BUILD_FAILED] = {"failed", BL_SVG_BAD},
    [BL_BUILD_CANCELLED] = {"cancelled", BL_SVG_ODD},
    [BL_BUILD_TIMED_OUT] = {"timed out", BL_SVG_BAD},
    [BL_BUILD_LOST] = {"lost", BL_SVG_ODD},
};
static const result_t none = {"no result", BL_SVG_ODD};
static const result_t not_known = {"not known", BL_SVG_ODD};

/* ---- the last build ------------------------------------------------- */

/* The record of a build says how it ended. @return NULL: it does not */
static const result_t *result_of(const char *json, apr_pool_t *p)
{
    bl_build_t *build;

    if (json == NULL ||
        bl_build_from_json(&build, json, strlen(json), p) != APR_SUCCESS ||
        results[build->state].word == NULL)
        return NULL;
    return &results[build->state];
}

/* The table has what ended last; of a project that ended long ago it has
 * nothing. Texts are copied only where they must be. */
static const result_t *result_in_table(request_rec *r, const char *project)
{
    const bl_table_t *table = bl_daemon_table();
    int i, rows = bl_table_row_count(table);
    const char *path, *json = NULL, *found;
    bl_stamp_t last = 0;
    apr_pool_t *scratch;

    apr_pool_create(&scratch, r->pool);
    for (i = 0; i < rows; i++) {
        bl_table_row_t row;

        apr_pool_clear(scratch);
        if (bl_table_row_read(&row, table, i) == APR_SUCCESS && row.final &&
            row.last_id > last &&
            bl_table_row_text(&path, NULL, table, i, row.build, scratch) ==
                APR_SUCCESS &&
            strcmp(path, project) == 0 &&
            bl_table_row_text(NULL, &found, table, i, row.build, scratch) ==
                APR_SUCCESS) {
            json = apr_pstrdup(r->pool, found);
            last = row.last_id;
        }
    }
    apr_pool_destroy(scratch);
    return result_of(json, r->pool);
}

static const result_t *result_in_history(request_rec *r, const char *project)
{
    bl_history_filter_t filter = {project, BL_HISTORY_ANY_STATE, 0, 1};
    apr_array_header_t *rows;
    const result_t *result = NULL;
    int broken;
    bl_history_t *history = bl_list_history(r, &broken);

    if (history == NULL)
        return broken ? &not_known : NULL;
    if (bl_history_list(&rows, history, &filter, r->pool) != APR_SUCCESS)
        result = &not_known;
    else if (rows->nelts > 0)
        result =
            result_of(APR_ARRAY_IDX(rows, 0, bl_history_row_t).json, r->pool);
    bl_history_close(&history);
    return result;
}

static const result_t *last_result(request_rec *r, const char *project)
{
    const result_t *result = result_in_table(r, project);

    if (result == NULL)
        result = result_in_history(r, project);
    return result != NULL ? result : &none;
}

/* ---- the answer ----------------------------------------------------- */

static void set_head(request_rec *r, const char *svg)
{
    char digest[APR_SHA1PW_IDLEN + APR_SHA1_DIGESTSIZE * 2];

    apr_sha1_base64(svg, (int)strlen(svg), digest);
    ap_set_content_type(r, "image/svg+xml; charset=utf-8");
    apr_table_setn(r->headers_out, "ETag",
                   apr_psprintf(r->pool, "\"%s\"", digest + APR_SHA1PW_IDLEN));
    /* It is asked for again each time, and sent when it is another. */
    apr_table_setn(r->headers_out, "Cache-Control", "private, no-cache");
    apr_table_setn(r->headers_out, "Content-Security-Policy",
                   "default-src 'none'");
    /* A page of another site can measure a picture that it shows: what only
     * this user may see it does not get, as nothing else (bl_route). */
    if (bl_trust_is_nobody(r))
        apr_table_setn(r->err_headers_out, "Cross-Origin-Resource-Policy",
                       "cross-origin");
}

static int read_path(const char **path, request_rec *r)
{
    apr_table_t *query = apr_table_make(r->pool, 4);

    if (bl_query_split(query, r) != APR_SUCCESS)
        return bl_error_send(r, HTTP_BAD_REQUEST,
                             "The query is not encoded as it must be.");
    *path = apr_table_get(query, "projectPath");
    if (*path == NULL || **path == '\0') {
        *path = NULL;
        return bl_error_send(r, HTTP_BAD_REQUEST,
                             "projectPath is missing: the absolute path of "
                             "the project's directory.");
    }
    return OK;
}

int bl_badge_send(request_rec *r)
{
    const result_t *result;
    const char *path = NULL, *svg;
    bl_project_t project;
    int status = read_path(&path, r);

    if (path == NULL)
        return status;
    if (bl_project_find(&project, r, path) != APR_SUCCESS)
        return bl_error_send(r, HTTP_FORBIDDEN,
                             "This path is not a project that you may build.");
    result = last_result(r, project.path);
    svg = bl_svg_badge(bl_config_title(project.conf, project.path, r->pool),
                       result->word, result->tone, r->pool);
    set_head(r, svg);
    status = ap_meets_conditions(r);
    if (status != OK)
        return status;
    ap_set_content_length(r, (apr_off_t)strlen(svg));
    if (!r->header_only)
        ap_rputs(svg, r);
    return OK;
}
