/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_body.c - the body of a POST
 */
#include "bl_body.h"

/* APR */
#include <apr_strings.h>
/* httpd */
#include "http_core.h"
#include "http_protocol.h"

/* Room for most bodies; what is announced as longer gets its own. */
#define ROOM_LEAST 8192

int bl_body_is(const char *content_type, const char *type)
{
    apr_size_t len = strlen(type);

    return ap_cstr_casecmpn(content_type, type, len) == 0 &&
           strchr("; \t", content_type[len]) != NULL;
}

static int too_large(request_rec *r, apr_size_t most, const char **detail)
{
    *detail = apr_psprintf(
        r->pool, "The body may have at most %" APR_SIZE_T_FMT " bytes.", most);
    return HTTP_REQUEST_ENTITY_TOO_LARGE;
}

static int read_all(request_rec *r, apr_size_t most, char **body,
                    apr_size_t *len, const char **detail)
{
    apr_size_t room = ROOM_LEAST, used = 0;
    char *buf;
    long n;

    if (r->remaining > (apr_off_t)room)
        room = (apr_size_t)r->remaining + 1;
    buf = apr_palloc(r->pool, room);
    while ((n = ap_get_client_block(r, buf + used, room - used)) > 0) {
        used += (apr_size_t)n;
        if (used > most)
            return too_large(r, most, detail);
        if (used == room) {
            char *more = apr_palloc(r->pool, 2 * room);

            memcpy(more, buf, used);
            buf = more;
            room *= 2;
        }
    }
    *body = buf;
    *len = used;
    return n < 0 ? HTTP_BAD_REQUEST : OK;
}

int bl_body_read(request_rec *r, apr_size_t most, const char **body,
                 apr_size_t *len, const char **detail)
{
    char *buf = apr_pstrdup(r->pool, "");
    const char *coding;
    apr_size_t used = 0;
    int result = ap_setup_client_block(r, REQUEST_CHUNKED_DECHUNK);

    *detail = "The body cannot be read.";
    if (result != OK)
        return result;
    /* What is announced as too large nobody waits for. */
    if (r->remaining > (apr_off_t)most)
        return too_large(r, most, detail);
    if (ap_should_client_block(r))
        result = read_all(r, most, &buf, &used, detail);
    if (result != OK)
        return result;
    /* Who inflates bodies (SetInputFilter DEFLATE) has removed it by now. */
    coding = apr_table_get(r->headers_in, "Content-Encoding");
    if (coding != NULL && ap_cstr_casecmp(coding, "identity") != 0) {
        *detail = "The body must not be compressed.";
        return HTTP_UNSUPPORTED_MEDIA_TYPE;
    }
    *body = buf;
    *len = used;
    return OK;
}
