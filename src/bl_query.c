/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_query.c - the queries: of a stream, of a download, of lines
 */
#include "bl_query.h"

/* APR */
#include <apr_strings.h>
/* httpd */
#include "mod_buildlog.h"
/* layer 0 */
#include "bl_accept.h"
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

/* ---- format --------------------------------------------------------- */

typedef enum {
    FORMAT_NONE, /* the query says nothing of it */
    FORMAT_TEXT,
    FORMAT_JSON,
    FORMAT_NDJSON,
    FORMAT_CAST /* of a log alone */
} format_e;

/* @param allowed  what the client is told when it is none of them */
static apr_status_t read_format(format_e *out, const char **detail,
                                const apr_table_t *query, format_e most,
                                const char *allowed)
{
    static const struct {
        const char *name;
        format_e format;
    } formats[] = {
        {"text", FORMAT_TEXT},
        {"json", FORMAT_JSON},
        {"ndjson", FORMAT_NDJSON},
        {"asciicast", FORMAT_CAST},
    };
    const char *format = apr_table_get(query, "format");
    apr_size_t i;

    *out = FORMAT_NONE;
    if (format == NULL)
        return APR_SUCCESS;
    for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcmp(format, formats[i].name) == 0 &&
            formats[i].format <= most) {
            *out = formats[i].format;
            return APR_SUCCESS;
        }
    }
    return refuse(detail, allowed);
}

/* Which of the types does the client like best? Without a word of it: the
 * first. */
static int preferred(request_rec *r, const char *const *offers, int count)
{
    const char *accept = apr_table_get(r->headers_in, "Accept");

    return accept != NULL
               ? bl_accept_best(accept, strlen(accept), offers, count)
               : 0;
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

/* Events are for who asks for an event stream; who takes anything is a person
 * at a terminal, or a program that reads lines. */
static apr_status_t read_form(bl_query_t *out, const char **detail,
                              const apr_table_t *query, request_rec *r)
{
    static const char *const offers[] = {"text/plain", "application/x-ndjson",
                                         "text/event-stream"};
    static const bl_form_e forms[] = {BL_FORM_TERMINAL, BL_FORM_OBJECTS,
                                      BL_FORM_EVENTS};
    format_e format;

    if (read_format(&format, detail, query, FORMAT_NDJSON,
                    "format must be text, json or ndjson.") != APR_SUCCESS)
        return APR_EGENERAL;
    out->form = forms[preferred(r, offers, 3)];
    if (format == FORMAT_NDJSON ||
        (out->form == BL_FORM_TERMINAL &&
         (format == FORMAT_JSON || out->only_builds)))
        out->form = BL_FORM_OBJECTS;
    else if (format == FORMAT_TEXT && out->form == BL_FORM_OBJECTS)
        out->form = BL_FORM_TERMINAL;
    out->format =
        out->form == BL_FORM_OBJECTS ||
                (out->form == BL_FORM_EVENTS && format == FORMAT_JSON)
            ? BL_SSE_JSON
            : BL_SSE_TEXT;
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
    if (read_only(&out->only_builds, detail, query) != APR_SUCCESS ||
        read_form(out, detail, query, r) != APR_SUCCESS)
        return APR_EGENERAL;
    return read_place(out, detail, query, r);
}

/* ---- of a download -------------------------------------------------- */

apr_status_t bl_query_read_log(bl_query_log_t *out, const char **detail,
                               request_rec *r)
{
    static const char *const offers[] = {"text/plain", "application/x-ndjson",
                                         "application/x-asciicast"};
    static const bl_log_format_e offered[] = {BL_LOG_TEXT, BL_LOG_JSON,
                                              BL_LOG_CAST};
    static const bl_log_format_e asked[] = {
        [FORMAT_TEXT] = BL_LOG_TEXT,
        [FORMAT_JSON] = BL_LOG_JSON,
        [FORMAT_NDJSON] = BL_LOG_JSON,
        [FORMAT_CAST] = BL_LOG_CAST,
    };
    apr_table_t *query;
    const char *follow;
    format_e format;

    memset(out, 0, sizeof(*out));
    if (read_fields(&query, detail, r) != APR_SUCCESS)
        return APR_EGENERAL;
    follow = apr_table_get(query, "follow");
    if (follow != NULL && strcmp(follow, "0") != 0 && strcmp(follow, "1") != 0)
        return refuse(detail, "follow must be 1 or 0.");
    out->follow = follow != NULL && *follow == '1';
    if (read_format(&format, detail, query, FORMAT_CAST,
                    "format must be text, json, ndjson or asciicast.") !=
        APR_SUCCESS)
        return APR_EGENERAL;
    out->format = format == FORMAT_NONE ? offered[preferred(r, offers, 3)]
                                        : asked[format];
    if (out->follow && out->format == BL_LOG_CAST)
        return refuse(detail, "A recording (asciicast) cannot be followed.");
    return APR_SUCCESS;
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
    const char *first, *count, *last, *after;
    apr_table_t *query;

    if (read_fields(&query, detail, r) != APR_SUCCESS)
        return APR_EGENERAL;
    first = apr_table_get(query, "first");
    count = apr_table_get(query, "count");
    last = apr_table_get(query, "last");
    after = apr_table_get(query, "after");
    if (last != NULL && (first != NULL || count != NULL || after != NULL))
        return refuse(detail,
                      "last stands alone, without first, count and after.");
    if (after != NULL && first == NULL)
        return refuse(detail, "after stands with first: both are of an "
                              "answer before.");
    if (after != NULL &&
        bl_stamp_read_id(&out->after, after, strlen(after)) != APR_SUCCESS)
        return refuse(detail, "after must be the id of a record.");
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
