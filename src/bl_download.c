/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_download.c - GET .../builds/42/log: a log as a document
 */
#include "bl_download.h"

/* APR */
#include <apr_strings.h>
/* httpd */
#include "http_protocol.h"
#include "http_request.h"
#include "mod_buildlog.h"
#include "util_filter.h"
/* layer 1 */
#include "bl_log.h"
#include "bl_text.h"
/* pump side of layer 2 */
#include "bl_encoder.h"
/* layer 3 */
#include "bl_conn.h"
#include "bl_document.h"
#include "bl_error.h"
#include "bl_follow.h"
#include "bl_query.h"
#include "bl_replay.h"

/* Handed to httpd at a time. */
#define BLOCK_BYTES (32 * 1024)

/* ---- head ----------------------------------------------------------- */

static void set_head(request_rec *r, bl_log_format_e format,
                     apr_uint64_t build)
{
    static const char *const types[] = {
        [BL_LOG_TEXT] = "text/plain; charset=utf-8",
        [BL_LOG_JSON] = "application/x-ndjson",
        [BL_LOG_CAST] = "application/x-asciicast",
    };

    ap_set_content_type(r, types[format]);
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->headers_out, "Vary", "Accept");
    if (format == BL_LOG_CAST)
        apr_table_setn(r->headers_out, "Content-Disposition",
                       apr_psprintf(r->pool,
                                    "attachment; filename=\"build-"
                                    "%" APR_UINT64_T_FMT ".cast\"",
                                    build));
}

static void set_validators(request_rec *r, const bl_build_t *build,
                           bl_log_format_e format)
{
    /* The digest is that of the text. The other forms have more, which is the
     * same only in the same log: of that the time of the end tells. */
    const char *etag =
        format == BL_LOG_TEXT
            ? apr_psprintf(r->pool, "\"%s\"", build->sha256)
            : apr_psprintf(r->pool, "\"%s-%" APR_UINT64_T_FMT "-%s\"",
                           build->sha256, build->ended,
                           format == BL_LOG_JSON ? "json" : "cast");

    bl_document_validate(r, build, etag);
}

/* ---- body ----------------------------------------------------------- */

/* All of it as a bucket that is read when it is needed: what httpd's filters
 * want of it, they take. */
static void send_text(request_rec *r, bl_cursor_t *cursor,
                      const bl_table_row_t *row, const bl_build_t *build)
{
    apr_bucket_alloc_t *buckets = r->connection->bucket_alloc;
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, buckets);
    bl_text_t *text = bl_text_create(cursor, row->tail, r->pool);

    apr_table_setn(r->headers_out, "Accept-Ranges", "bytes");
    ap_set_content_length(r, (apr_off_t)build->bytes);
    bl_text_insert(bb, text, (apr_off_t)build->bytes);
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(buckets));
    ap_pass_brigade(r->output_filters, bb);
    apr_brigade_cleanup(bb);
    if (bl_text_status(text) != APR_SUCCESS)
        bl_document_broken(r, bl_text_status(text), row->build);
}

/* Line by line. The buffer grows to the longest one and is used again. */
static apr_status_t send_lines(request_rec *r, bl_cursor_t *cursor,
                               const bl_table_row_t *row,
                               bl_sse_format_e format)
{
    bl_encoder_t *encoder = bl_encoder_create(BL_FORM_DOCUMENT, format, NULL,
                                              2 * BLOCK_BYTES, r->pool);
    apr_status_t rv = APR_SUCCESS;
    bl_record_t rec;

    bl_cursor_set(cursor, 0);
    while (rv == APR_SUCCESS &&
           (rv = bl_cursor_next(&rec, cursor, row->tail)) == APR_SUCCESS) {
        /* While it runs nothing in its log says what is left out of it. */
        if (!row->final && bl_cursor_skipped(cursor) != NULL)
            bl_encoder_hole(encoder, row->build, 0, &rec, 1);
        bl_encoder_record(encoder, row->build, &rec, 1);
        if (bl_encoder_len(encoder) >= BLOCK_BYTES)
            rv = bl_document_write(r, encoder);
    }
    return rv == APR_EOF ? bl_document_write(r, encoder) : rv;
}

static bl_sse_format_e line_format(bl_log_format_e format)
{
    return format == BL_LOG_TEXT ? BL_SSE_TEXT : BL_SSE_JSON;
}

/* ---- the answer ----------------------------------------------------- */

static int answer(request_rec *r, bl_cursor_t *cursor,
                  const bl_table_row_t *row, bl_log_format_e format)
{
    const bl_build_t *build = bl_document_end(cursor, row, r->pool);
    apr_status_t rv;
    int met;

    if (build != NULL) {
        set_validators(r, build, format);
        met = ap_meets_conditions(r);
        if (met != OK)
            return met;
    }
    if (build != NULL && format == BL_LOG_TEXT) {
        send_text(r, cursor, row, build);
        return OK;
    }
    /* httpd would cut parts out of whatever is short enough to pass in one
     * piece, also of what is another document in a moment. */
    apr_table_unset(r->headers_in, "Range");
    if (r->header_only)
        return OK;
    rv = format == BL_LOG_CAST
             ? bl_replay_send(r, cursor, row, build)
             : send_lines(r, cursor, row, line_format(format));
    if (rv != APR_SUCCESS && rv != APR_ECONNABORTED)
        bl_document_broken(r, rv, row->build);
    return OK;
}

int bl_download_send(request_rec *r, const bl_table_row_t *row)
{
    const bl_conn_t *conn = NULL;
    bl_query_log_t query;
    bl_cursor_t *cursor;
    const char *detail;
    int status;

    if (bl_query_read_log(&query, &detail, r) != APR_SUCCESS)
        return bl_error_send(r, HTTP_BAD_REQUEST, detail);
    if (query.follow && !row->final)
        conn = bl_conn_of(r);
    if (conn != NULL) {
        set_head(r, query.format, row->build);
        return bl_follow_send(r, conn, row->build, line_format(query.format));
    }
    status = bl_document_open(&cursor, &detail, r, row->build);
    if (status != OK)
        return bl_document_refuse(r, status, detail);
    set_head(r, query.format, row->build);
    return answer(r, cursor, row, query.format);
}
