/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_excerpt.c - GET .../builds/42/lines: some lines of a log, by their
 * numbers
 */
#include "bl_excerpt.h"

/* APR */
#include <apr_strings.h>
/* httpd */
#include "http_protocol.h"
#include "mod_buildlog.h"
/* pump side of layer 2 */
#include "bl_encoder.h"
/* layer 3 */
#include "bl_document.h"
#include "bl_error.h"
#include "bl_query.h"
#include "bl_seek.h"

/* Handed to httpd at a time: what is sent is never in memory as a whole. */
#define BLOCK_BYTES (32 * 1024)

/* ...but it may be with the client: no line is begun beyond the one, and a
 * line that is longer alone is cut at the other. */
#define ANSWER_BYTES (2 * 1024 * 1024)
#define ANSWER_BYTES_MOST (2 * ANSWER_BYTES)

/* A byte of the log is no more than so many of an answer. */
#define GROWTH 6

typedef struct {
    request_rec *r;
    bl_encoder_t *out;
    bl_window_t *window;
    apr_uint64_t bytes; /* of lines */
    /* Where the answer ends, and is there more of what was asked for? */
    apr_uint64_t next;
    bl_stamp_t after;
    int more;
} excerpt_t;

static void set_head(request_rec *r)
{
    ap_set_content_type(r, "application/json");
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
}

static void put_text(bl_encoder_t *out, const char *text)
{
    bl_encoder_put(out, text, strlen(text));
}

/* ---- the lines -----------------------------------------------------------
 */

static apr_size_t takes(void *baton, const bl_record_t *rec, apr_size_t before)
{
    excerpt_t *e = baton;
    apr_size_t len;

    (void)before;
    bl_encoder_clear(e->out);
    bl_encoder_numbered(e->out, 1, rec);
    len = bl_encoder_len(e->out);
    bl_encoder_clear(e->out);
    return len;
}

static apr_status_t put_line(excerpt_t *e, apr_uint64_t number,
                             const bl_record_t *rec)
{
    apr_size_t before = bl_encoder_len(e->out);

    if (e->bytes > 0)
        put_text(e->out, ",");
    bl_encoder_numbered(e->out, number, rec);
    e->bytes += bl_encoder_len(e->out) - before;
    if (bl_encoder_len(e->out) < BLOCK_BYTES)
        return APR_SUCCESS;
    return bl_document_write(e->r, e->out);
}

static int is_full(const excerpt_t *e, int is_whole)
{
    return e->bytes >= (is_whole ? ANSWER_BYTES : ANSWER_BYTES_MOST);
}

/* The lines with numbers below end, as many as an answer has. */
static apr_status_t put_lines(excerpt_t *e, apr_uint64_t end)
{
    apr_status_t rv = APR_SUCCESS;
    apr_uint64_t number;
    bl_record_t rec;
    int is_whole = 1;

    e->next = bl_window_number(e->window);
    e->after = bl_window_after(e->window);
    while (rv == APR_SUCCESS && e->next < end) {
        rv = bl_window_next(&rec, &number, e->window);
        e->more = rv == APR_SUCCESS && is_full(e, is_whole);
        if (e->more)
            return APR_SUCCESS;
        if (rv == APR_SUCCESS) {
            is_whole = (rec.flags & BL_REC_PIECE) == 0;
            rv = put_line(e, number, &rec);
        }
        e->next = bl_window_number(e->window);
        e->after = bl_window_after(e->window);
    }
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

static void put_end(excerpt_t *e, const bl_table_row_t *row)
{
    put_text(e->out, apr_psprintf(e->r->pool, "],\"next\":%" APR_UINT64_T_FMT,
                                  e->next));
    if (e->after != 0)
        put_text(e->out, apr_psprintf(e->r->pool,
                                      ",\"after\":\"%" APR_UINT64_T_FMT "\"",
                                      e->after));
    else
        put_text(e->out, ",\"after\":null");
    put_text(e->out, row->final ? ",\"ended\":true" : ",\"ended\":false");
    put_text(e->out, e->more ? ",\"more\":true}\n" : "}\n");
}

static apr_status_t send_lines(excerpt_t *e, apr_uint64_t first,
                               const bl_query_lines_t *query,
                               const bl_table_row_t *row)
{
    apr_status_t rv;

    /* The last ones: as many as there is room for. */
    if (query->first == 0 &&
        bl_window_left(e->window) > ANSWER_BYTES / GROWTH) {
        rv = bl_window_fit(&first, e->window, query->count, ANSWER_BYTES,
                           takes, e, e->r->pool);
        if (rv != APR_SUCCESS)
            return rv;
    }
    put_text(e->out,
             apr_psprintf(e->r->pool,
                          "{\"build\":%" APR_UINT64_T_FMT
                          ",\"first\":%" APR_UINT64_T_FMT ",\"lines\":[",
                          row->build, first));
    /* To the tail, also a line that has no end yet, so that a stream goes on
     * from where the log is. Nothing, when the log ends before it. */
    rv = put_lines(e, bl_window_number(e->window) < first ? 0
                      : query->first != 0 ? first + query->count
                                          : APR_UINT64_MAX);
    if (rv != APR_SUCCESS)
        return rv;
    put_end(e, row);
    return bl_document_write(e->r, e->out);
}

/* ---- the answer ----------------------------------------------------- */

static int answer(request_rec *r, bl_cursor_t *cursor,
                  const bl_query_lines_t *query, const bl_table_row_t *row)
{
    const bl_build_t *end = bl_document_end(cursor, row, r->pool);
    excerpt_t e = {.r = r};
    apr_uint64_t first;
    apr_status_t rv;

    if (end != NULL) {
        int met;

        /* One address, one answer: what the query asks for is in it. The log
         * is told from another by the time of its end, as in bl_download. */
        bl_document_validate(r, end,
                             apr_psprintf(r->pool,
                                          "\"%s-%" APR_UINT64_T_FMT "-lines\"",
                                          end->sha256, end->ended));
        met = ap_meets_conditions(r);
        if (met != OK)
            return met;
    }
    /* httpd would cut parts out of what is short. */
    apr_table_unset(r->headers_in, "Range");
    if (r->header_only)
        return OK;
    e.out = bl_encoder_create(BL_FORM_DOCUMENT, BL_SSE_JSON, NULL,
                              2 * BLOCK_BYTES, r->pool);
    rv = bl_seek_window(&e.window, &first, cursor, row, end, query, r->pool);
    if (rv == APR_SUCCESS)
        rv = send_lines(&e, first, query, row);
    if (rv != APR_SUCCESS && rv != APR_ECONNABORTED)
        bl_document_broken(r, rv, row->build);
    return OK;
}

int bl_excerpt_send(request_rec *r, const bl_table_row_t *row)
{
    bl_query_lines_t query = {1, BL_QUERY_LINES_DEFAULT, 0};
    bl_cursor_t *cursor;
    const char *detail;
    int status;

    if (bl_query_read_lines(&query, &detail, r) != APR_SUCCESS)
        return bl_error_send(r, HTTP_BAD_REQUEST, detail);
    status = bl_document_open(&cursor, &detail, r, row->build);
    if (status != OK)
        return bl_document_refuse(r, status, detail);
    set_head(r);
    return answer(r, cursor, &query, row);
}
