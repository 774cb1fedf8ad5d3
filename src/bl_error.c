/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_error.c - answers that refuse: application/problem+json (RFC 9457), or a
 * page
 */
#include "bl_error.h"

/* APR */
#include <apr_strings.h>
/* httpd */
#include "http_protocol.h"
#include "mod_buildlog.h"
/* layer 0 */
#include "bl_json.h"
/* layer 3 */
#include "bl_frame.h"

/* "403 Forbidden" without the number. */
static const char *title_of(int status)
{
    const char *line = ap_get_status_line(status);

    return strlen(line) > 4 ? line + 4 : line;
}

int bl_error_send(request_rec *r, int status, const char *detail)
{
    bl_json_t *problem;

    r->status = status;
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    /* A body that nobody read must not be taken for the next request; one that
     * is too large is not read for that. */
    if (status == HTTP_REQUEST_ENTITY_TOO_LARGE ||
        ap_discard_request_body(r) != OK)
        r->connection->keepalive = AP_CONN_CLOSE;
    if (bl_frame_wanted(r))
        return bl_frame_error(r, title_of(status), detail);
    problem = bl_json_object(r->pool);
    bl_json_set_string(problem, "type", "about:blank");
    bl_json_set_string(problem, "title", title_of(status));
    bl_json_set_int(problem, "status", status);
    bl_json_set_string(problem, "detail", detail);
    ap_set_content_type(r, "application/problem+json");
    if (!r->header_only) {
        ap_rputs(bl_json_text(problem, r->pool), r);
        ap_rputs("\n", r);
    }
    return OK;
}

int bl_error_method(request_rec *r, const char *allow)
{
    apr_table_setn(r->headers_out, "Allow", allow);
    return bl_error_send(
        r, HTTP_METHOD_NOT_ALLOWED,
        apr_psprintf(r->pool, "%s is not possible here; allowed is %s.",
                     r->method, allow));
}

int bl_error_unavailable(request_rec *r, int retry_after, const char *detail)
{
    apr_table_setn(r->headers_out, "Retry-After",
                   apr_itoa(r->pool, retry_after));
    return bl_error_send(r, HTTP_SERVICE_UNAVAILABLE, detail);
}
