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

/* The lines are in numbers below end. */
static apr_status_t put_lines(request_rec *r, bl_encoder_t *out,
                              bl_window_t *window, apr_uint64_t end)
{
    const char *between = "";
    apr_status_t rv = APR_SUCCESS;
    apr_uint64_t number;
    bl_record_t rec;

    while (rv == APR_SUCCESS && bl_window_number(window) < end) {
        rv = bl_window_next(&rec, &number, window);
        if (rv != APR_SUCCESS)
            break;
        put_text(out, between);
        bl_encoder_numbered(out, number, &rec);
        between = ",";
        if (bl_encoder_len(out) >= BLOCK_BYTES)
            rv = bl_document_write(r, out);
    }
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

static apr_status_t send_lines(request_rec *r, bl_window_t *window,
                               apr_uint64_t first,
                               const bl_query_lines_t *query,
                               const bl_table_row_t *row)
{
    bl_encoder_t *out = bl_encoder_create(BL_FORM_DOCUMENT, BL_SSE_JSON, NULL,
                                          2 * BLOCK_BYTES, r->pool);
    apr_status_t rv = APR_SUCCESS;
    apr_uint64_t end;

    put_text(out, apr_psprintf(r->pool,
                               "{\"build\":%" APR_UINT64_T_FMT
                               ",\"first\":%" APR_UINT64_T_FMT ",\"lines\":[",
                               row->build, first));
    /* The last ones: to the tail, also a line that has no end yet, so that a
     * stream goes on from where the log is. */
    end = query->first != 0 ? first + query->count : APR_UINT64_MAX;
    /* Nothing, when the log ends before it. */
    if (bl_window_number(window) >= first)
        rv = put_lines(r, out, window, end);
    if (rv != APR_SUCCESS)
        return rv;
    put_text(out, apr_psprintf(r->pool, "],\"next\":%" APR_UINT64_T_FMT,
                               bl_window_number(window)));
    if (bl_window_after(window) != 0)
        put_text(out,
                 apr_psprintf(r->pool, ",\"after\":\"%" APR_UINT64_T_FMT "\"",
                              bl_window_after(window)));
    else
        put_text(out, ",\"after\":null");
    put_text(out, row->final ? ",\"ended\":true}\n" : ",\"ended\":false}\n");
    return bl_document_write(r, out);
}

/* ---- the answer ----------------------------------------------------- */

static int answer(request_rec *r, bl_cursor_t *cursor,
                  const bl_query_lines_t *query, const bl_table_row_t *row)
{
    const bl_build_t *end = bl_document_end(cursor, row, r->pool);
    bl_window_t *window;
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
    rv = bl_seek_window(&window, &first, cursor, row, end, query, r->pool);
    if (rv == APR_SUCCESS)
        rv = send_lines(r, window, first, query, row);
    if (rv != APR_SUCCESS && rv != APR_ECONNABORTED)
        bl_document_broken(r, rv, row->build);
    return OK;
}

int bl_excerpt_send(request_rec *r, const bl_table_row_t *row)
{
    bl_query_lines_t query = {1, BL_QUERY_LINES_DEFAULT};
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
