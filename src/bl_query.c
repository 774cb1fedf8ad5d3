/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_query.c - the queries: of a stream, of a download, of lines
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

static apr_status_t refuse(const char **detail, const char *what)
{
    *detail = what;
    return APR_EGENERAL;
}

static apr_status_t read_fields(apr_table_t **out, const char **detail,
                                request_rec *r)
{
    *out = apr_table_make(r->pool, 8);
    if (bl_query_split(*out, r) == APR_SUCCESS)
        return APR_SUCCESS;
    return refuse(detail, "The query is not encoded as it must be.");
}

/* @param otherwise  when the query says nothing */
static apr_status_t read_format(bl_sse_format_e *out, const char **detail,
                                const apr_table_t *query,
                                bl_sse_format_e otherwise)
{
    const char *format = apr_table_get(query, "format");

    if (format == NULL)
        *out = otherwise;
    else if (strcmp(format, "json") == 0)
        *out = BL_SSE_JSON;
    else if (strcmp(format, "text") == 0)
        *out = BL_SSE_TEXT;
    else
        return refuse(detail, "format must be text or json.");
    return APR_SUCCESS;
}

/* ---- of a stream ---------------------------------------------------- */

static apr_status_t read_only(int *only_builds, const char **detail,
                              const apr_table_t *query)
{
    const char *only = apr_table_get(query, "only");

    if (only != NULL && strcmp(only, "builds") != 0)
        return refuse(detail, "only must be builds.");
    *only_builds = only != NULL;
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
        APR_SUCCESS)
        return refuse(detail,
                      "from must be start, tail or the id of an event.");
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
    if ((lines == 0 && strcmp(tail, "0") != 0) || lines > BL_QUERY_TAIL_MOST)
        return refuse(detail,
                      apr_psprintf(r->pool,
                                   "tail must be a number of lines, %d at "
                                   "most.",
                                   BL_QUERY_TAIL_MOST));
    out->want = BL_WANT_TAIL;
    out->tail = (apr_uint32_t)lines;
    return APR_SUCCESS;
}

apr_status_t bl_query_read(bl_query_t *out, const char **detail,
                           request_rec *r)
{
    apr_table_t *query;
    const char *build;

    memset(out, 0, sizeof(*out));
    if (read_fields(&query, detail, r) != APR_SUCCESS)
        return APR_EGENERAL;
    build = apr_table_get(query, "build");
    if (build != NULL) {
        out->build = bl_api_read_number(build);
        if (out->build == 0)
            return refuse(detail, "build must be the number of a build.");
    }
    if (read_format(&out->format, detail, query, BL_SSE_TEXT) != APR_SUCCESS ||
        read_only(&out->only_builds, detail, query) != APR_SUCCESS)
        return APR_EGENERAL;
    return read_place(out, detail, query, r);
}

/* ---- of a download -------------------------------------------------- */

apr_status_t bl_query_read_log(bl_query_log_t *out, const char **detail,
                               request_rec *r)
{
    apr_table_t *query;
    const char *accept = apr_table_get(r->headers_in, "Accept");
    const char *follow;
    int accepts_json = accept != NULL &&
                       ap_strcasestr(accept, "application/x-ndjson") != NULL;

    memset(out, 0, sizeof(*out));
    if (read_fields(&query, detail, r) != APR_SUCCESS)
        return APR_EGENERAL;
    follow = apr_table_get(query, "follow");
    if (follow != NULL && strcmp(follow, "0") != 0 && strcmp(follow, "1") != 0)
        return refuse(detail, "follow must be 1 or 0.");
    out->follow = follow != NULL && *follow == '1';
    return read_format(&out->format, detail, query,
                       accepts_json ? BL_SSE_JSON : BL_SSE_TEXT);
}

/* ---- of lines ------------------------------------------------------- */

/* A number of lines for one answer. */
static apr_status_t read_count(apr_uint64_t *out, const char **detail,
                               const char *name, const char *text,
                               request_rec *r)
{
    apr_uint64_t n = bl_api_read_number(text);

    if (n == 0 || n > BL_QUERY_LINES_MOST)
        return refuse(detail,
                      apr_psprintf(r->pool,
                                   "%s must be a number of lines from 1 to "
                                   "%d.",
                                   name, BL_QUERY_LINES_MOST));
    *out = n;
    return APR_SUCCESS;
}

apr_status_t bl_query_read_lines(bl_query_lines_t *out, const char **detail,
                                 request_rec *r)
{
    const char *first, *count, *last;
    apr_table_t *query;

    if (read_fields(&query, detail, r) != APR_SUCCESS)
        return APR_EGENERAL;
    first = apr_table_get(query, "first");
    count = apr_table_get(query, "count");
    last = apr_table_get(query, "last");
    if (last != NULL && (first != NULL || count != NULL))
        return refuse(detail, "last stands alone, without first and count.");
    if (last != NULL) {
        out->first = 0;
        return read_count(&out->count, detail, "last", last, r);
    }
    if (first != NULL) {
        out->first = bl_api_read_number(first);
        if (out->first == 0)
            return refuse(detail,
                          "first must be the number of a line, from 1.");
    }
    return count != NULL ? read_count(&out->count, detail, "count", count, r)
                         : APR_SUCCESS;
}
