/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_route.c - from a request to the function that answers it
 */
#include "bl_route.h"

/* APR */
#include <apr_strings.h>
/* httpd */
#include "http_core.h"
#include "http_protocol.h"
#include "http_request.h"
#include "mod_buildlog.h"
/* layer 3 */
#include "bl_api.h"
#include "bl_config.h"
#include "bl_daemon.h"
#include "bl_error.h"
#include "bl_health.h"
#include "bl_metrics.h"
#include "bl_order.h"
#include "bl_stream.h"
#include "bl_trust.h"
#include "bl_webhook.h"

typedef struct {
    const char *handler; /* of SetHandler */
    const char *allow;   /* methods, for the Allow header */
    int writes;          /* changes something: POST */
    int is_signed;       /* the request proves itself who may send it */
    int (*answer)(request_rec *r);
} route_t;

static const route_t routes[] = {
    {"buildlog-build", "POST, OPTIONS", 1, 0, bl_order_build},
    {"buildlog-push", "GET, HEAD, OPTIONS", 0, 0, bl_stream_push},
    {"buildlog-api", "GET, HEAD, OPTIONS", 0, 0, bl_api_read},
    {"buildlog-hook", "POST, OPTIONS", 1, 1, bl_webhook_take},
    {"buildlog-health", "GET, HEAD, OPTIONS", 0, 0, bl_health_send},
    {"buildlog-metrics", "GET, HEAD, OPTIONS", 0, 0, bl_metrics_send},
};

/* Below the addresses of buildlog-api. */
static const route_t cancel = {"buildlog-api", "POST, OPTIONS", 1, 0,
                               bl_order_cancel};

static const route_t *route_of(const request_rec *r)
{
    const char *slash = strrchr(r->uri, '/');
    apr_size_t i;

    if (r->handler != NULL && strcmp(r->handler, cancel.handler) == 0 &&
        slash != NULL && strcmp(slash, "/cancel") == 0)
        return &cancel;

    for (i = 0; r->handler != NULL && i < sizeof(routes) / sizeof(routes[0]);
         i++) {
        if (strcmp(r->handler, routes[i].handler) == 0)
            return &routes[i];
    }
    return NULL;
}

/* ---- other sites ---------------------------------------------------- */

static int origin_is_ours(request_rec *r, const char *origin)
{
    const char *host = apr_table_get(r->headers_in, "Host");

    return host != NULL &&
           ap_cstr_casecmp(origin, apr_pstrcat(r->pool, ap_http_scheme(r),
                                               "://", host, NULL)) == 0;
}

static int origin_is_allowed(request_rec *r, const char *origin)
{
    const apr_array_header_t *allowed = bl_config_dir(r)->allow_origin;
    int i;

    for (i = 0; allowed != NULL && i < allowed->nelts; i++) {
        if (ap_cstr_casecmp(origin, APR_ARRAY_IDX(allowed, i, const char *)) ==
            0)
            return 1;
    }
    return 0;
}

/* A browser says where a request comes from; what comes without a word is no
 * page. That the peer is local proves nothing: browsers are local too. */
static int may_write(request_rec *r)
{
    const char *site = apr_table_get(r->headers_in, "Sec-Fetch-Site");
    const char *origin = apr_table_get(r->headers_in, "Origin");

    if (origin != NULL && origin_is_allowed(r, origin))
        return 1;
    if (site != NULL)
        return strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0;
    return origin == NULL || origin_is_ours(r, origin);
}

/* What a build prints is of this origin, as far as browsers know: it must be
 * taken for nothing but what it is called, and not be part of pages of other
 * sites. (What add_cors allows, and links, are not touched by this.) */
static void set_guards(request_rec *r)
{
    apr_table_setn(r->err_headers_out, "X-Content-Type-Options", "nosniff");
    apr_table_setn(r->err_headers_out, "Cross-Origin-Resource-Policy",
                   "same-origin");
}

/* Let pages of the allowed sites read the answer. */
static void add_cors(request_rec *r)
{
    const char *origin = apr_table_get(r->headers_in, "Origin");

    if (bl_config_dir(r)->allow_origin == NULL)
        return;
    apr_table_mergen(r->err_headers_out, "Vary", "Origin");
    if (origin == NULL || !origin_is_allowed(r, origin))
        return;
    apr_table_setn(r->err_headers_out, "Access-Control-Allow-Origin", origin);
    apr_table_setn(r->err_headers_out, "Access-Control-Allow-Credentials",
                   "true");
    apr_table_setn(r->err_headers_out, "Access-Control-Expose-Headers",
                   "Accept-Ranges, Content-Range, ETag, Location, "
                   "Retry-After");
}

/* What a browser asks before a request to another site. */
static int answer_options(request_rec *r, const route_t *route)
{
    apr_table_setn(r->headers_out, "Allow", route->allow);
    if (apr_table_get(r->err_headers_out, "Access-Control-Allow-Origin") !=
        NULL) {
        apr_table_setn(r->headers_out, "Access-Control-Allow-Methods",
                       route->allow);
        apr_table_setn(r->headers_out, "Access-Control-Allow-Headers",
                       "Content-Type, If-None-Match, If-Range, Last-Event-ID, "
                       "Range");
        apr_table_setn(r->headers_out, "Access-Control-Max-Age", "600");
    }
    return HTTP_NO_CONTENT;
}

/* ---- dispatch ------------------------------------------------------- */

int bl_route_handle(request_rec *r)
{
    const route_t *route = route_of(r);

    if (route == NULL)
        return DECLINED;
    set_guards(r);
    add_cors(r);
    if (!bl_trust_of(r)->is_ours)
        return bl_error_send(r, HTTP_FORBIDDEN,
                             "A file .htaccess made this address one of the "
                             "module's, which only the server's own "
                             "configuration may.");
    if (!route->is_signed && !bl_trust_host(r))
        return bl_error_send(
            r, HTTP_MISDIRECTED_REQUEST,
            apr_psprintf(r->pool,
                         "This server does not go by the name %s. If it "
                         "shall, its configuration needs that name as "
                         "ServerName or ServerAlias.",
                         r->hostname));
    if (r->method_number == M_OPTIONS)
        return answer_options(r, route);
    if (r->method_number != (route->writes ? M_POST : M_GET))
        return bl_error_method(r, route->allow);
    if (route->writes && !route->is_signed && !may_write(r))
        return bl_error_send(r, HTTP_FORBIDDEN,
                             "A page of another site asked for this. Such "
                             "pages may only if BuildLogAllowOrigin names "
                             "their origin.");
    if (bl_daemon_table() == NULL)
        return bl_error_unavailable(r, 30,
                                    "The module could not begin; the server's "
                                    "error log says why.");
    return route->answer(r);
}
