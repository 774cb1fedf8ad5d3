/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_query.c - the query of a stream: which feed, from where on
 */
#include "bl_query.h"

/* APR */
#include <apr_strings.h>
/* httpd */
#include "mod_buildlog.h"
/* layer 3 */
#include "bl_api.h"

/* "a=1&b=2" into a table; the last of several equal names counts. */
apr_status_t bl_query_split(apr_table_t *out, request_rec *r)
{
    char *text, *field, *rest;

    if (r->args == NULL)
        return APR_SUCCESS;
    text = apr_pstrdup(r->pool, r->args);
    for (field = apr_strtok(text, "&", &rest); field != NULL;
         field = apr_strtok(NULL, "&", &rest)) {
        char *value = strchr(field, '=');

        if (value != NULL)
            *value++ = '\0';
        if (ap_unescape_urlencoded(field) != OK ||
            (value != NULL && ap_unescape_urlencoded(value) != OK))
            return APR_EGENERAL;
        apr_table_setn(out, field, value != NULL ? value : "");
    }
    return APR_SUCCESS;
}

static const char *last_event_id(request_rec *r, const apr_table_t *query)
{
    const char *id = apr_table_get(r->headers_in, "Last-Event-ID");

    if (id == NULL || *id == '\0')
        id = apr_table_get(query, "lastEventId");
    if (id == NULL || *id == '\0')
        id = apr_table_get(query, "last_event_id");
    return id != NULL && *id != '\0' ? id : NULL;
}

static apr_status_t read_from(bl_query_t *out, const char **detail,
                              const char *from)
{
    bl_from_e what;

    if (bl_sse_from_read(&what, &out->after, from, strlen(from)) !=
        APR_SUCCESS) {
        *detail = "from must be start, tail or the id of an event.";
        return APR_EGENERAL;
    }
    out->want = what == BL_FROM_START  ? BL_WANT_START
                : what == BL_FROM_TAIL ? BL_WANT_TAIL
                                       : BL_WANT_AFTER;
    return APR_SUCCESS;
}

static apr_status_t read_place(bl_query_t *out, const char **detail,
                               const apr_table_t *query, request_rec *r)
{
    const char *id = last_event_id(r, query);
    const char *from = apr_table_get(query, "from");
    const char *tail = apr_table_get(query, "tail");
    apr_uint64_t lines;

    if (id != NULL) {
        out->want =
            bl_stamp_read_id(&out->after, id, strlen(id)) == APR_SUCCESS
                ? BL_WANT_AFTER
                : BL_WANT_UNKNOWN;
        return APR_SUCCESS;
    }
    if (from != NULL)
        return read_from(out, detail, from);
    if (tail == NULL)
        return APR_SUCCESS;
    lines = bl_api_read_number(tail);
    if ((lines == 0 && strcmp(tail, "0") != 0) || lines > BL_QUERY_TAIL_MOST) {
        *detail = apr_psprintf(r->pool,
                               "tail must be a number of lines, %d at most.",
                               BL_QUERY_TAIL_MOST);
        return APR_EGENERAL;
    }
    out->want = BL_WANT_TAIL;
    out->tail = (apr_uint32_t)lines;
    return APR_SUCCESS;
}

apr_status_t bl_query_read(bl_query_t *out, const char **detail,
                           request_rec *r)
{
    apr_table_t *query = apr_table_make(r->pool, 8);
    const char *build, *format;

    memset(out, 0, sizeof(*out));
    if (bl_query_split(query, r) != APR_SUCCESS) {
        *detail = "The query is not encoded as it must be.";
        return APR_EGENERAL;
    }
    build = apr_table_get(query, "build");
    if (build != NULL) {
        out->build = bl_api_read_number(build);
        if (out->build == 0) {
            *detail = "build must be the number of a build.";
            return APR_EGENERAL;
        }
    }
    format = apr_table_get(query, "format");
    if (format != NULL && strcmp(format, "json") == 0)
        out->format = BL_SSE_JSON;
    else if (format == NULL || strcmp(format, "text") == 0)
        out->format = BL_SSE_TEXT;
    else {
        *detail = "format must be text or json.";
        return APR_EGENERAL;
    }
    return read_place(out, detail, query, r);
}
