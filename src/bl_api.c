/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_api.c - the answers in JSON: builds and projects
 */
#include "bl_api.h"

/* libc */
#include <limits.h>
/* APR */
#include <apr_hash.h>
#include <apr_strings.h>
/* httpd */
#include "http_core.h"
#include "http_protocol.h"
#include "mod_buildlog.h"
/* layer 0 */
#include "bl_build.h"
#include "bl_json.h"
/* layer 1 */
#include "bl_log.h"
/* layer 3 */
#include "bl_badge.h"
#include "bl_config.h"
#include "bl_daemon.h"
#include "bl_download.h"
#include "bl_error.h"
#include "bl_excerpt.h"
#include "bl_frame.h"
#include "bl_list.h"
#include "bl_page.h"
#include "bl_project.h"
#include "bl_trust.h"

int bl_api_answer(request_rec *r, int status, const char *json)
{
    /* What is not more than well stays what it is: this may be the document
     * that goes with an error. */
    if (status != HTTP_OK)
        r->status = status;
    ap_set_content_type(r, "application/json");
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    if (!r->header_only) {
        ap_rputs(json, r);
        ap_rputs("\n", r);
    }
    return OK;
}

/* ---- builds --------------------------------------------------------- */

apr_uint64_t bl_api_read_number(const char *text)
{
    apr_uint64_t n = 0;
    const char *s;

    if (*text == '0')
        return 0;
    for (s = text; *s >= '0' && *s <= '9' && s - text < 18; s++)
        n = n * 10 + (apr_uint64_t)(*s - '0');
    return *s == '\0' ? n : 0;
}

/* A build without a row: its log ends with its record. One that has no end yet
 * gets it in a moment, from the runner that is beginning; until then its first
 * record tells at least whose it is. */
static apr_status_t find_in_log(bl_table_row_t *row, const char **project,
                                const char **json, request_rec *r,
                                apr_uint64_t number)
{
    bl_cursor_t *cursor;
    bl_build_t *build;
    bl_record_t rec;
    apr_status_t rv;

    memset(row, 0, sizeof(*row));
    row->build = number;
    row->row = -1;
    rv = bl_cursor_open(&cursor, bl_daemon_logs_dir(), number, r->pool);
    if (rv != APR_SUCCESS)
        return APR_STATUS_IS_ENOENT(rv) || rv == APR_EGENERAL ? APR_ENOENT
                                                              : rv;
    rv = bl_cursor_size(&row->tail, cursor);
    if (rv == APR_SUCCESS)
        rv = bl_cursor_last(&rec, cursor, row->tail);
    if (rv == APR_SUCCESS) {
        row->last_id = rec.id;
        row->tail = bl_cursor_offset(cursor);
        row->final = (rec.flags & BL_REC_END) != 0;
        if (!row->final)
            rv = bl_cursor_seek(cursor, 0, row->tail);
        if (rv == APR_SUCCESS && !row->final)
            rv = bl_cursor_next(&rec, cursor, row->tail);
    }
    if (rv == APR_SUCCESS)
        rv = bl_build_from_json(&build, rec.text, rec.len, r->pool);
    if (rv == APR_SUCCESS && build->id != number)
        rv = APR_EGENERAL;
    if (rv == APR_SUCCESS) {
        *project = build->project;
        *json = row->final ? apr_pstrmemdup(r->pool, rec.text, rec.len) : NULL;
    }
    bl_cursor_close(&cursor);
    /* Nothing in it, or nothing that tells whose it is. */
    return rv == APR_EOF || rv == APR_EGENERAL ? APR_ENOENT : rv;
}

apr_status_t bl_api_find_build(bl_table_row_t *row, const char **project,
                               const char **json, request_rec *r,
                               apr_uint64_t number)
{
    const bl_table_t *table = bl_daemon_table();
    apr_status_t rv;

    if (number == 0)
        return APR_ENOENT;
    rv = bl_table_find(row, table, number, -1);
    if (rv == APR_SUCCESS)
        rv =
            bl_table_row_text(project, json, table, row->row, number, r->pool);
    if (rv != APR_SUCCESS)
        rv = find_in_log(row, project, json, r, number);
    if (rv == APR_SUCCESS && !bl_project_may_see(r, *project))
        rv = APR_ENOENT;
    return rv;
}

int bl_api_refuse_build(request_rec *r, apr_status_t rv)
{
    if (APR_STATUS_IS_ENOENT(rv))
        return bl_error_send(r, HTTP_NOT_FOUND, BL_API_NO_BUILD);
    bl_api_cannot_open(r, rv);
    return bl_error_unavailable(r, BL_API_RETRY_SECONDS, BL_API_NO_LOG_NOW);
}

void bl_api_cannot_open(request_rec *r, apr_status_t rv)
{
    ap_log_rerror(APLOG_MARK, APLOG_ERR, rv, r,
                  "BL0409 a log in %s cannot be opened for %s",
                  bl_daemon_logs_dir(), r->uri);
}

const char *bl_api_below_builds(const request_rec *r)
{
    const char *found = NULL, *at = r->uri;

    while ((at = ap_strstr_c(at, "/builds/")) != NULL)
        found = at += strlen("/builds/");
    return found;
}

apr_uint64_t bl_api_build_of(const request_rec *r, const char *suffix)
{
    const char *number = bl_api_below_builds(r);
    const char *slash = number != NULL ? strchr(number, '/') : NULL;

    if (number == NULL || strcmp(slash != NULL ? slash : "", suffix) != 0)
        return 0;
    return bl_api_read_number(
        slash != NULL ? apr_pstrmemdup(r->pool, number, slash - number)
                      : number);
}

/* The addresses below a build: who answers them. */
static const struct {
    const char *suffix;
    int (*send)(request_rec *r, const bl_table_row_t *row);
} parts[] = {
    {"/log", bl_download_send},
    {"/lines", bl_excerpt_send},
};

static int answer_part(request_rec *r)
{
    const char *project, *json;
    bl_table_row_t row;
    apr_size_t i;

    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        apr_uint64_t number = bl_api_build_of(r, parts[i].suffix);
        apr_status_t rv;

        if (number == 0)
            continue;
        rv = bl_api_find_build(&row, &project, &json, r, number);
        return rv == APR_SUCCESS ? parts[i].send(r, &row)
                                 : bl_api_refuse_build(r, rv);
    }
    return bl_error_send(r, HTTP_NOT_FOUND, BL_API_NO_BUILD);
}

static int answer_build(request_rec *r)
{
    apr_uint64_t number = bl_api_build_of(r, "");
    const char *project, *json;
    bl_table_row_t row;
    apr_status_t rv;

    if (number == 0)
        return answer_part(r);
    rv = bl_api_find_build(&row, &project, &json, r, number);
    if (rv != APR_SUCCESS)
        return bl_api_refuse_build(r, rv);
    if (json == NULL)
        return bl_error_unavailable(
            r, 1,
            "The process that runs builds is beginning "
            "and will say how this build ended.");
    if (bl_frame_wanted(r))
        return bl_page_build(r, &row, json);
    return bl_api_answer(r, HTTP_OK, json);
}

/* ---- projects ------------------------------------------------------- */

/* The JSON of the latest build that the table knows, by project. */
static apr_hash_t *latest_builds(request_rec *r)
{
    const bl_table_t *table = bl_daemon_table();
    apr_hash_t *latest = apr_hash_make(r->pool);
    apr_hash_t *numbers = apr_hash_make(r->pool);
    int i, rows = bl_table_row_count(table);
    apr_pool_t *scratch;

    apr_pool_create(&scratch, r->pool);
    for (i = 0; i < rows; i++) {
        const char *project, *json;
        const apr_uint64_t *known;
        bl_table_row_t row;

        apr_pool_clear(scratch);
        if (bl_table_row_read(&row, table, i) != APR_SUCCESS ||
            bl_table_row_text(&project, &json, table, i, row.build, scratch) !=
                APR_SUCCESS)
            continue;
        known = apr_hash_get(numbers, project, APR_HASH_KEY_STRING);
        if (known != NULL && *known > row.build)
            continue;
        project = apr_pstrdup(r->pool, project);
        apr_hash_set(numbers, project, APR_HASH_KEY_STRING,
                     apr_pmemdup(r->pool, &row.build, sizeof(row.build)));
        apr_hash_set(latest, project, APR_HASH_KEY_STRING,
                     apr_pstrdup(r->pool, json));
    }
    apr_pool_destroy(scratch);
    return latest;
}

/* For an estimate of the next one. */
static void set_average(bl_json_t *entry, bl_history_t *history,
                        const char *project, apr_pool_t *p)
{
    apr_interval_time_t time = 0;
    bl_json_t *average;
    int count = 0;

    if (history == NULL ||
        bl_history_average(&time, &count, history, project) != APR_SUCCESS ||
        count == 0) {
        bl_json_set_null(entry, "average");
        return;
    }
    average = bl_json_object(p);
    bl_json_set_int(average, "seconds", apr_time_sec(time + 500000));
    bl_json_set_int(average, "of", count);
    bl_json_set(entry, "average", average);
}

/* The projects of this user: bl_page_project_t. */
static apr_array_header_t *find_projects(request_rec *r)
{
    apr_array_header_t *list = bl_project_list(r);
    apr_hash_t *latest = latest_builds(r);
    apr_array_header_t *out =
        apr_array_make(r->pool, list->nelts, sizeof(bl_page_project_t));
    int i;

    for (i = 0; i < list->nelts; i++) {
        const bl_project_t *project = &APR_ARRAY_IDX(list, i, bl_project_t);
        bl_page_project_t *one = apr_array_push(out);

        one->path = project->path;
        one->title = bl_config_title(project->conf, project->path, r->pool);
        one->last = apr_hash_get(latest, project->path, APR_HASH_KEY_STRING);
    }
    return out;
}

static bl_json_t *project_to_json(const bl_page_project_t *project,
                                  bl_history_t *history, apr_pool_t *p)
{
    bl_json_t *entry = bl_json_object(p), *last;
    const char *why;

    bl_json_set_string(entry, "path", project->path);
    bl_json_set_string(entry, "title", project->title);
    if (project->last != NULL &&
        bl_json_parse(&last, project->last, strlen(project->last), &why, p) ==
            APR_SUCCESS)
        bl_json_set(entry, "last", last);
    else
        bl_json_set_null(entry, "last");
    set_average(entry, history, project->path, p);
    return entry;
}

static int answer_projects(request_rec *r)
{
    const char *stream_origin = bl_config_dir(r)->stream_origin;
    apr_array_header_t *list = find_projects(r);
    bl_json_t *answer = bl_json_object(r->pool);
    bl_json_t *array = bl_json_array(r->pool);
    bl_history_t *history;
    int i, broken;

    if (bl_frame_wanted(r))
        return bl_page_projects(r, list);
    history = bl_list_history(r, &broken);
    for (i = 0; i < list->nelts; i++)
        bl_json_append(
            array, project_to_json(&APR_ARRAY_IDX(list, i, bl_page_project_t),
                                   history, r->pool));
    bl_history_close(&history);
    bl_json_set(answer, "projects", array);
    if (stream_origin != NULL)
        bl_json_set_string(answer, "streamOrigin", stream_origin);
    else
        bl_json_set_null(answer, "streamOrigin");
    if (bl_trust_of(r)->user != NULL)
        bl_json_set_string(answer, "user", bl_trust_of(r)->user);
    else
        bl_json_set_null(answer, "user");
    return bl_api_answer(r, HTTP_OK, bl_json_text(answer, r->pool));
}

/* ---- dispatch ------------------------------------------------------- */

int bl_api_read(request_rec *r)
{
    const char *slash = strrchr(r->uri, '/');

    if (slash != NULL && strcmp(slash, "/builds") == 0)
        return bl_list_send(r);
    if (slash != NULL && strcmp(slash, "/badge") == 0)
        return bl_badge_send(r);
    if (slash != NULL && strcmp(slash, "/projects") == 0)
        return answer_projects(r);
    if (bl_api_below_builds(r) != NULL)
        return answer_build(r);
    return bl_error_send(r, HTTP_NOT_FOUND, "There is nothing here.");
}
