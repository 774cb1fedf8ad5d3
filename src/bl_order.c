/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_order.c - what clients ask the runner for: start a build, end one
 */
#include "bl_order.h"

/* APR */
#include <apr_strings.h>
/* httpd */
#include "http_core.h"
#include "http_protocol.h"
#include "mod_buildlog.h"
/* layer 0 */
#include "bl_json.h"
/* layer 3 */
#include "bl_api.h"
#include "bl_body.h"
#include "bl_child.h"
#include "bl_config.h"
#include "bl_daemon.h"
#include "bl_error.h"
#include "bl_frame.h"
#include "bl_project.h"
#include "bl_trust.h"

/* A path and a little around it. */
#define BODY_MOST (64 * 1024)

/* Of a build's record; who has a longer name is known by its beginning. */
#define USER_MOST 200

/* Of the words of a log: one line, whatever a provider calls its users.
 * NULL: nobody authenticated. */
static const char *user_of(request_rec *r)
{
    const char *known = bl_trust_of(r)->user;
    char *user = NULL, *s;

    if (known != NULL)
        user = apr_pstrndup(r->pool, known, USER_MOST);
    for (s = user; s != NULL && *s != '\0'; s++) {
        if ((unsigned char)*s < ' ' || *s == 0x7f)
            *s = '?';
    }
    return user;
}

/* ---- the body of a POST --------------------------------------------- */

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

static int read_path(request_rec *r, const char **path, const char **detail)
{
    const char *type = apr_table_get(r->headers_in, "Content-Type");
    const char *body = "";
    apr_size_t len = 0;
    int result;

    *path = NULL;
    if (type == NULL)
        type = BL_BODY_FORM;
    if (!bl_body_is(type, BL_BODY_FORM) && !bl_body_is(type, BL_BODY_JSON)) {
        *detail = "The body must be application/x-www-form-urlencoded or "
                  "application/json.";
        return HTTP_UNSUPPORTED_MEDIA_TYPE;
    }
    result = bl_body_read(r, BODY_MOST, &body, &len, detail);
    if (result == OK && bl_body_is(type, BL_BODY_JSON))
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

/* Variables of the configuration, and behind them, in place of those of the
 * same name, what a hook was told. */
static void set_env(bl_order_t *order, const bl_dir_conf_t *conf,
                    const bl_origin_t *origin, apr_pool_t *p)
{
    const char **env = bl_config_env(conf, &order->env_count, p);
    int count = 0, i, j;

    order->env = apr_palloc(
        p, sizeof(char *) * (apr_size_t)(order->env_count + BL_ORIGIN_ENV));
    for (i = 0; i < order->env_count; i++) {
        apr_size_t name = (apr_size_t)(strchr(env[i], '=') + 1 - env[i]);

        for (j = 0; j < origin->env_count; j++) {
            if (strncmp(env[i], origin->env[j], name) == 0)
                break;
        }
        if (j == origin->env_count)
            order->env[count++] = env[i];
    }
    for (j = 0; j < origin->env_count; j++)
        order->env[count++] = origin->env[j];
    order->env_count = count;
}

static void make_order(bl_order_t *order, const bl_project_t *project,
                       const bl_origin_t *origin, request_rec *r)
{
    const core_dir_config *core = ap_get_core_module_config(project->sections);
    const bl_dir_conf_t *conf = project->conf;
    int i;

    memset(order, 0, sizeof(*order));
    order->project = project->path;
    order->title = bl_config_title(conf, project->path, r->pool);
    order->user = origin->user;
    for (i = 0; i < BL_WIRE_MARKS; i++)
        order->marks[i] = origin->marks[i];
    order->steps = (bl_wire_step_t *)bl_config_steps(conf, &order->step_count);
    set_env(order, conf, origin, r->pool);
    order->masks = bl_config_masks(conf, &order->mask_count);
    order->notify = bl_config_notify(conf, &order->notify_count, r->pool);
    order->timeout = bl_config_timeout(conf);
    order->idle_timeout = bl_config_idle_timeout(conf);
    order->kill_grace = bl_config_kill_grace(conf);
    order->max_log = bl_config_max_log(conf);
    take_rlimit(&order->rlimits[BL_WIRE_RLIMIT_CPU], core->limit_cpu);
    take_rlimit(&order->rlimits[BL_WIRE_RLIMIT_MEM], core->limit_mem);
    take_rlimit(&order->rlimits[BL_WIRE_RLIMIT_NPROC], core->limit_nproc);
    for (i = 0; i < BL_BUILD_STATE_COUNT; i++)
        order->messages[i] = conf->messages[i];
}

static int answer_accepted(request_rec *r, const bl_accepted_t *accepted,
                           const char *builds)
{
    bl_json_t *answer = bl_json_object(r->pool), *build;
    const char *location =
        apr_psprintf(r->pool, "%s/%" APR_UINT64_T_FMT,
                     ap_escape_uri(r->pool, builds), accepted->build);
    const char *why;

    if (bl_frame_wanted(r))
        return bl_frame_see_other(r, location);
    bl_json_set_string(answer, "msg", bl_config_accepted(bl_config_dir(r)));
    if (bl_json_parse(&build, accepted->json, strlen(accepted->json), &why,
                      r->pool) == APR_SUCCESS)
        bl_json_set(answer, "build", build);
    apr_table_setn(r->headers_out, "Location", location);
    return bl_api_answer(r, HTTP_ACCEPTED, bl_json_text(answer, r->pool));
}

static int answer_no_runner(request_rec *r)
{
    return bl_error_unavailable(r, 5,
                                "The process that runs builds does not "
                                "answer; it is begun again by itself.");
}

static void count_refused(const bl_asked_t *asked)
{
    if (asked->what == BL_ASKED_REFUSED &&
        asked->refused.why == BL_REFUSED_QUEUE_FULL)
        bl_child_count(BL_COUNT_QUEUE_FULL, 1);
    else if (asked->what != BL_ASKED_ACCEPTED)
        bl_child_count(BL_COUNT_UNAVAILABLE, 1);
}

int bl_order_place(request_rec *r, const bl_project_t *project,
                   const bl_origin_t *origin, const char *builds,
                   const char **again)
{
    bl_order_t order;
    bl_asked_t asked;

    make_order(&order, project, origin, r);
    bl_daemon_ask(&asked, &order, r);
    if (asked.what == BL_ASKED_REFUSED && again != NULL &&
        asked.refused.why == BL_REFUSED_AGAIN) {
        *again = asked.refused.text;
        return DECLINED;
    }
    count_refused(&asked);
    switch (asked.what) {
    case BL_ASKED_ACCEPTED:
        return answer_accepted(r, &asked.accepted, builds);
    case BL_ASKED_REFUSED:
        if (asked.refused.why == BL_REFUSED_ORDER)
            return bl_error_send(r, HTTP_INTERNAL_SERVER_ERROR,
                                 asked.refused.text);
        return bl_error_unavailable(r, 10, asked.refused.text);
    default:
        return answer_no_runner(r);
    }
}

int bl_order_build(request_rec *r)
{
    bl_project_t project;
    bl_origin_t origin;
    const char *path, *detail = NULL;
    int result = read_path(r, &path, &detail);

    if (result != OK) {
        bl_child_count(BL_COUNT_INVALID, 1);
        return bl_error_send(r, result, detail);
    }
    if (bl_project_find(&project, r, path) != APR_SUCCESS) {
        bl_child_count(BL_COUNT_FORBIDDEN, 1);
        return bl_error_send(r, HTTP_FORBIDDEN,
                             "This path is not a project that you may build.");
    }
    memset(&origin, 0, sizeof(origin));
    origin.user = user_of(r);
    /* .../build -> .../builds/42, wherever it is mapped. */
    return bl_order_place(r, &project, &origin,
                          apr_pstrcat(r->pool, r->uri, "s", NULL), NULL);
}

/* ---- POST .../builds/42/cancel -------------------------------------- */

static int answer_cancelled(request_rec *r, const bl_accepted_t *accepted)
{
    bl_json_t *answer = bl_json_object(r->pool), *build;
    const char *why;

    if (bl_frame_wanted(r)) {
        /* .../builds/42/cancel -> .../builds/42 */
        const char *slash = strrchr(r->uri, '/');

        return bl_frame_see_other(
            r, ap_escape_uri(r->pool,
                             apr_pstrmemdup(r->pool, r->uri,
                                            (apr_size_t)(slash - r->uri))));
    }
    if (bl_json_parse(&build, accepted->json, strlen(accepted->json), &why,
                      r->pool) == APR_SUCCESS)
        bl_json_set(answer, "build", build);
    return bl_api_answer(r, HTTP_ACCEPTED, bl_json_text(answer, r->pool));
}

int bl_order_cancel(request_rec *r)
{
    const char *project, *json, *body, *detail;
    bl_table_row_t row;
    bl_cancel_t cancel;
    bl_asked_t asked;
    apr_size_t len;
    apr_status_t rv;
    int result = bl_body_read(r, BODY_MOST, &body, &len, &detail);

    if (result != OK)
        return bl_error_send(r, result, detail);
    cancel.build = bl_api_build_of(r, "/cancel");
    rv = bl_api_find_build(&row, &project, &json, r, cancel.build);
    if (rv != APR_SUCCESS)
        return bl_api_refuse_build(r, rv);
    cancel.by = user_of(r);
    if (cancel.by == NULL)
        cancel.by = r->useragent_ip;
    bl_daemon_cancel(&asked, &cancel, r);
    switch (asked.what) {
    case BL_ASKED_ACCEPTED:
        return answer_cancelled(r, &asked.accepted);
    case BL_ASKED_REFUSED:
        return bl_error_send(r,
                             asked.refused.why == BL_REFUSED_OVER
                                 ? HTTP_CONFLICT
                                 : HTTP_INTERNAL_SERVER_ERROR,
                             asked.refused.text);
    default:
        return answer_no_runner(r);
    }
}
