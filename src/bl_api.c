/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_api.c - the answers in JSON: start a build, look at builds and projects
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
#include "bl_config.h"
#include "bl_daemon.h"
#include "bl_download.h"
#include "bl_error.h"
#include "bl_project.h"

/* A path and a little around it. */
#define BODY_MOST (64 * 1024)

/* Of a build's record; who has a longer name is known by its beginning. */
#define USER_MOST 200

static int answer_json(request_rec *r, int status, const char *json)
{
    r->status = status;
    ap_set_content_type(r, "application/json");
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    if (!r->header_only) {
        ap_rputs(json, r);
        ap_rputs("\n", r);
    }
    return OK;
}

/* ---- the body of a POST --------------------------------------------- */

/* @return OK; the status to answer with, *detail says why */
static int read_body(request_rec *r, const char **body, apr_size_t *len,
                     const char **detail)
{
    char *buf = apr_palloc(r->pool, BODY_MOST + 1);
    apr_size_t used = 0;
    int result = ap_setup_client_block(r, REQUEST_CHUNKED_DECHUNK);

    *detail = "The body cannot be read.";
    if (result != OK)
        return result;
    if (ap_should_client_block(r)) {
        long n;

        while ((n = ap_get_client_block(r, buf + used, BODY_MOST + 1 - used)) >
               0) {
            used += (apr_size_t)n;
            if (used > BODY_MOST) {
                *detail = apr_psprintf(
                    r->pool, "The body may have at most %d bytes.", BODY_MOST);
                return HTTP_REQUEST_ENTITY_TOO_LARGE;
            }
        }
        if (n < 0)
            return HTTP_BAD_REQUEST;
    }
    *body = buf;
    *len = used;
    return OK;
}

static int path_from_json(request_rec *r, const char *body, apr_size_t len,
                          const char **path, const char **detail)
{
    const char *why;
    bl_json_t *json;

    if (bl_json_parse(&json, body, len, &why, r->pool) != APR_SUCCESS) {
        *detail = apr_pstrcat(r->pool, "The body is not a JSON object: ", why,
                              ".", NULL);
        return HTTP_BAD_REQUEST;
    }
    *path = bl_json_string(json, "projectPath");
    if (*path == NULL && bl_json_has(json, "projectPath")) {
        *detail = "projectPath must be a string.";
        return HTTP_BAD_REQUEST;
    }
    return OK;
}

static int path_from_form(request_rec *r, const char *body, apr_size_t len,
                          const char **path, const char **detail)
{
    char *text = apr_pstrmemdup(r->pool, body, len), *field, *rest;

    if (strlen(text) != len) {
        *detail = "The body has a NUL byte.";
        return HTTP_BAD_REQUEST;
    }
    for (field = apr_strtok(text, "&", &rest); field != NULL;
         field = apr_strtok(NULL, "&", &rest)) {
        char *value = strchr(field, '=');

        if (value == NULL)
            continue;
        *value++ = '\0';
        if (ap_unescape_urlencoded(field) != OK ||
            strcmp(field, "projectPath") != 0)
            continue;
        if (ap_unescape_urlencoded(value) != OK) {
            *detail = "projectPath is not encoded as a form wants it.";
            return HTTP_BAD_REQUEST;
        }
        if (*path != NULL) {
            *detail = "projectPath is there more than once.";
            return HTTP_BAD_REQUEST;
        }
        *path = value;
    }
    return OK;
}

static int has_type(const char *content_type, const char *wanted)
{
    apr_size_t len = strlen(wanted);

    return ap_cstr_casecmpn(content_type, wanted, len) == 0 &&
           strchr("; \t", content_type[len]) != NULL;
}

static int read_path(request_rec *r, const char **path, const char **detail)
{
    const char *type = apr_table_get(r->headers_in, "Content-Type");
    const char *body = "";
    apr_size_t len = 0;
    int result;

    *path = NULL;
    if (type == NULL)
        type = "application/x-www-form-urlencoded";
    if (!has_type(type, "application/x-www-form-urlencoded") &&
        !has_type(type, "application/json")) {
        *detail = "The body must be application/x-www-form-urlencoded or "
                  "application/json.";
        return HTTP_UNSUPPORTED_MEDIA_TYPE;
    }
    result = read_body(r, &body, &len, detail);
    if (result == OK && has_type(type, "application/json"))
        result = path_from_json(r, body, len, path, detail);
    else if (result == OK)
        result = path_from_form(r, body, len, path, detail);
    if (result == OK && (*path == NULL || **path == '\0')) {
        *detail = "projectPath is missing: the absolute path of the project's "
                  "directory.";
        return HTTP_BAD_REQUEST;
    }
    return result;
}

/* ---- POST .../build ------------------------------------------------- */

static void take_rlimit(bl_wire_rlimit_t *out, const struct rlimit *limit)
{
    if (limit == NULL)
        return;
    out->set = 1;
    out->soft =
        limit->rlim_cur == RLIM_INFINITY ? APR_UINT64_MAX : limit->rlim_cur;
    out->hard =
        limit->rlim_max == RLIM_INFINITY ? APR_UINT64_MAX : limit->rlim_max;
}

static void make_order(bl_order_t *order, const bl_project_t *project,
                       request_rec *r)
{
    const core_dir_config *core = ap_get_core_module_config(project->sections);
    const bl_dir_conf_t *conf = project->conf;
    int i;

    memset(order, 0, sizeof(*order));
    order->project = project->path;
    order->title = bl_config_title(conf, project->path, r->pool);
    if (r->user != NULL)
        order->user = apr_pstrndup(r->pool, r->user, USER_MOST);
    order->steps = (bl_wire_step_t *)bl_config_steps(conf, &order->step_count);
    order->env = bl_config_env(conf, &order->env_count, r->pool);
    order->timeout = bl_config_timeout(conf);
    order->idle_timeout = bl_config_idle_timeout(conf);
    order->kill_grace = bl_config_kill_grace(conf);
    take_rlimit(&order->rlimits[BL_WIRE_RLIMIT_CPU], core->limit_cpu);
    take_rlimit(&order->rlimits[BL_WIRE_RLIMIT_MEM], core->limit_mem);
    take_rlimit(&order->rlimits[BL_WIRE_RLIMIT_NPROC], core->limit_nproc);
    for (i = 0; i < BL_BUILD_STATE_COUNT; i++)
        order->messages[i] = conf->messages[i];
}

static int answer_accepted(request_rec *r, const bl_accepted_t *accepted)
{
    bl_json_t *answer = bl_json_object(r->pool), *build;
    const char *why;

    bl_json_set_string(answer, "msg", bl_config_accepted(bl_config_dir(r)));
    if (bl_json_parse(&build, accepted->json, strlen(accepted->json), &why,
                      r->pool) == APR_SUCCESS)
        bl_json_set(answer, "build", build);
    /* .../build -> .../builds/42, wherever it is mapped. */
    apr_table_setn(r->headers_out, "Location",
                   apr_psprintf(r->pool, "%ss/%" APR_UINT64_T_FMT,
                                ap_escape_uri(r->pool, r->uri),
                                accepted->build));
    return answer_json(r, HTTP_ACCEPTED, bl_json_text(answer, r->pool));
}

int bl_api_build(request_rec *r)
{
    bl_project_t project;
    const char *path, *detail = NULL;
    bl_order_t order;
    bl_asked_t asked;
    int result = read_path(r, &path, &detail);

    if (result != OK)
        return bl_error_send(r, result, detail);
    if (bl_project_find(&project, r, path) != APR_SUCCESS)
        return bl_error_send(r, HTTP_FORBIDDEN,
                             "This path is not a project that you may build.");
    make_order(&order, &project, r);
    bl_daemon_ask(&asked, &order, r);
    switch (asked.what) {
    case BL_ASKED_ACCEPTED:
        return answer_accepted(r, &asked.accepted);
    case BL_ASKED_REFUSED:
        if (asked.refused.why == BL_REFUSED_ORDER)
            return bl_error_send(r, HTTP_INTERNAL_SERVER_ERROR,
                                 asked.refused.text);
        return bl_error_unavailable(r, 10, asked.refused.text);
    default:
        return bl_error_unavailable(r, 5,
                                    "The process that runs builds does not "
                                    "answer; it is begun again by itself.");
    }
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
        return APR_ENOENT;
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
    if (rv == APR_SUCCESS) {
        *project = build->project;
        *json = row->final ? apr_pstrmemdup(r->pool, rec.text, rec.len) : NULL;
    }
    bl_cursor_close(&cursor);
    return rv == APR_SUCCESS ? APR_SUCCESS : APR_ENOENT;
}

apr_status_t bl_api_find_build(bl_table_row_t *row, const char **project,
                               const char **json, request_rec *r,
                               apr_uint64_t number)
{
    const bl_table_t *table = bl_daemon_table();
    apr_status_t rv;

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

/* what: "42" or "42/log" */
static int answer_build(request_rec *r, const char *what)
{
    const char *project, *json, *slash = strchr(what, '/');
    apr_uint64_t number;
    bl_table_row_t row;

    if (slash != NULL && strcmp(slash, "/log") != 0)
        return bl_error_send(r, HTTP_NOT_FOUND, "There is nothing here.");
    number = bl_api_read_number(
        slash != NULL ? apr_pstrmemdup(r->pool, what, slash - what) : what);
    if (number == 0 ||
        bl_api_find_build(&row, &project, &json, r, number) != APR_SUCCESS)
        return bl_error_send(r, HTTP_NOT_FOUND, "There is no such build.");
    if (slash != NULL)
        return bl_download_send(r, &row);
    if (json == NULL)
        return bl_error_unavailable(
            r, 1,
            "The process that runs builds is beginning "
            "and will say how this build ended.");
    return answer_json(r, HTTP_OK, json);
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

static int answer_projects(request_rec *r)
{
    const char *stream_origin = bl_config_dir(r)->stream_origin;
    apr_array_header_t *list = bl_project_list(r);
    apr_hash_t *latest = latest_builds(r);
    bl_json_t *answer = bl_json_object(r->pool);
    bl_json_t *array = bl_json_array(r->pool);
    int i;

    for (i = 0; i < list->nelts; i++) {
        const bl_project_t *project = &APR_ARRAY_IDX(list, i, bl_project_t);
        const char *json =
            apr_hash_get(latest, project->path, APR_HASH_KEY_STRING);
        bl_json_t *entry = bl_json_object(r->pool), *last;
        const char *why;

        bl_json_set_string(entry, "path", project->path);
        bl_json_set_string(
            entry, "title",
            bl_config_title(project->conf, project->path, r->pool));
        if (json != NULL && bl_json_parse(&last, json, strlen(json), &why,
                                          r->pool) == APR_SUCCESS)
            bl_json_set(entry, "last", last);
        else
            bl_json_set_null(entry, "last");
        bl_json_append(array, entry);
    }
    bl_json_set(answer, "projects", array);
    if (stream_origin != NULL)
        bl_json_set_string(answer, "streamOrigin", stream_origin);
    else
        bl_json_set_null(answer, "streamOrigin");
    return answer_json(r, HTTP_OK, bl_json_text(answer, r->pool));
}

/* ---- dispatch ------------------------------------------------------- */

/* The last "/builds/" of the address, wherever the handler is mapped. */
static const char *behind_builds(const char *uri)
{
    const char *found = NULL, *at = uri;

    while ((at = ap_strstr_c(at, "/builds/")) != NULL)
        found = at += strlen("/builds/");
    return found;
}

int bl_api_read(request_rec *r)
{
    const char *slash = strrchr(r->uri, '/');
    const char *build = behind_builds(r->uri);

    if (slash != NULL && strcmp(slash, "/projects") == 0)
        return answer_projects(r);
    if (build != NULL)
        return answer_build(r, build);
    return bl_error_send(r, HTTP_NOT_FOUND, "There is nothing here.");
}
