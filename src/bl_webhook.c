/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_webhook.c - POST .../hook/NAME: a forge says what was pushed
 *
 * ORDER         the body is read, then the signature checked, then all else:
 *               who knows no secret learns nothing, not even which hooks there
 *               are, neither from what is answered nor from when (H2)
 * ANSWERS       what is genuine gets 2xx, also when nothing is built: forges
 *               count anything else as a hook that is broken, and switch it
 *               off in the end. 400 is for a payload that is none, 503 for
 *               what may be sent again
 * DIAGNOSTICS   BL0420 refused, BL0421 nothing is built, BL0422 the project is
 *               none
 */
#include "bl_webhook.h"

/* APR */
#include <apr_strings.h>
/* httpd */
#include "http_core.h"
#include "http_protocol.h"
#include "mod_buildlog.h"
/* layer 0 */
#include "bl_hook.h"
#include "bl_json.h"
#include "bl_push.h"
/* layer 3 */
#include "bl_api.h"
#include "bl_body.h"
#include "bl_child.h"
#include "bl_error.h"
#include "bl_order.h"
#include "bl_peer.h"

/* A push of hundreds of commits, each with its files. */
#define BODY_MOST (4 * 1024 * 1024)

static const char *header_of(void *baton, const char *name)
{
    request_rec *r = baton;

    return apr_table_get(r->headers_in, name);
}

/* Also for a name that no hook has: so much work as for one that is there. */
static const bl_hook_t nobody = {
    "", BL_HOOK_GITHUB, 0, {"nobody knows it", 15}, NULL, NULL};

/* One answer for all that is not genuine. */
static int refuse(request_rec *r, const char *name, const char *why)
{
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                  "BL0420 a delivery for the hook %s is refused: %s", name,
                  why);
    bl_child_count(BL_COUNT_FORBIDDEN, 1);
    return bl_error_send(r, HTTP_FORBIDDEN,
                         "There is no such hook, or this is not signed with "
                         "its secret.");
}

static int answer_not_built(request_rec *r, const bl_hook_t *hook,
                            const char *why)
{
    bl_json_t *answer = bl_json_object(r->pool);

    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                  "BL0421 hook %s builds nothing: %s", hook->name, why);
    bl_json_set_string(
        answer, "msg",
        apr_pstrcat(r->pool, "Nothing is built: ", why, ".", NULL));
    bl_json_set_null(answer, "build");
    return bl_api_answer(r, HTTP_OK, bl_json_text(answer, r->pool));
}

/* What a push may tell a build, and nothing else does (P1 in bl_push.h). */
static void set_origin(bl_origin_t *origin, const bl_hook_t *hook,
                       const bl_delivery_t *delivery, const bl_push_t *push,
                       apr_pool_t *p)
{
    int i;

    memset(origin, 0, sizeof(*origin));
    origin->user = apr_pstrcat(p, "hook:", hook->name, NULL);
    if (push->branch != NULL) {
        origin->env[origin->env_count++] =
            apr_pstrcat(p, "BUILDLOG_REF=", push->ref, NULL);
        origin->env[origin->env_count++] =
            apr_pstrcat(p, "BUILDLOG_BRANCH=", push->branch, NULL);
    }
    if (push->commit != NULL)
        origin->env[origin->env_count++] =
            apr_pstrcat(p, "BUILDLOG_COMMIT=", push->commit, NULL);
    for (i = 0; i < delivery->mark_count; i++) {
        char *mark = apr_palloc(p, BL_SIGN_HEX_LEN + 1);

        bl_sign_hex(mark, &delivery->marks[i]);
        mark[BL_WIRE_MARK_LEN] = '\0';
        origin->marks[i] = mark;
    }
}

static int build(request_rec *r, const bl_hook_t *hook, const char *dir,
                 const bl_delivery_t *delivery, const bl_push_t *push)
{
    /* .../hook/NAME -> .../builds/42, wherever it is mapped. */
    const char *at = ap_strstr_c(r->uri, "/hook/"), *again = NULL;
    bl_project_t project;
    bl_origin_t origin;
    int result;

    if (bl_project_of_hook(&project, r, dir) != APR_SUCCESS) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      "BL0422 hook %s cannot build %s: it is no directory, or "
                      "BuildLog is not On for it",
                      hook->name, dir);
        return bl_error_unavailable(r, 60,
                                    "The project of this hook cannot be "
                                    "built; the server's error log says why.");
    }
    set_origin(&origin, hook, delivery, push, r->pool);
    result = bl_order_place(
        r, &project, &origin,
        apr_pstrcat(r->pool,
                    at != NULL ? apr_pstrmemdup(r->pool, r->uri,
                                                (apr_size_t)(at - r->uri))
                               : "",
                    "/builds", NULL),
        &again);
    return result == DECLINED ? answer_not_built(r, hook, again) : result;
}

static int take_push(request_rec *r, const bl_hook_t *hook, const char *dir,
                     const bl_delivery_t *delivery, const char *body,
                     apr_size_t len)
{
    const char *type = apr_table_get(r->headers_in, "Content-Type");
    int is_form = type != NULL && bl_body_is(type, BL_BODY_FORM) &&
                  hook->kind != BL_HOOK_PLAIN;
    bl_push_t push;
    const char *why;

    if (bl_push_read(&push, hook->kind, is_form, body, len, &why, r->pool) !=
        APR_SUCCESS) {
        bl_child_count(BL_COUNT_INVALID, 1);
        return bl_error_send(r, HTTP_BAD_REQUEST,
                             apr_pstrcat(r->pool,
                                         "The payload cannot be read: ", why,
                                         ".", NULL));
    }
    why = bl_push_refuse(&push, hook, r->pool);
    if (why != NULL)
        return answer_not_built(r, hook, why);
    return build(r, hook, dir, delivery, &push);
}

int bl_webhook_take(request_rec *r)
{
    const char *slash = strrchr(r->uri, '/');
    const char *name = slash != NULL ? slash + 1 : "";
    const char *body = "", *detail = NULL, *dir = NULL, *why;
    const bl_hook_t *hook = bl_peer_hook(r->server, name, &dir);
    bl_delivery_t delivery;
    apr_size_t len = 0;
    int result = bl_body_read(r, BODY_MOST, &body, &len, &detail);

    if (result != OK) {
        bl_child_count(BL_COUNT_INVALID, 1);
        return bl_error_send(r, result, detail);
    }
    why = bl_hook_verify(&delivery, hook != NULL ? hook : &nobody, header_of,
                         r, body, len, apr_time_now());
    if (hook == NULL)
        why = "there is no such hook";
    if (why != NULL)
        return refuse(r, name, why);
    if (delivery.event == BL_HOOK_PING)
        return answer_not_built(r, hook,
                                "this was a ping, and it came through");
    if (delivery.event == BL_HOOK_OTHER)
        return answer_not_built(r, hook, "this event is no push");
    return take_push(r, hook, dir, &delivery, body, len);
}
