/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_download.c - a log as one document: text, or a JSON object a line
 *
 * Text is what the build printed, and what the runner said: a whole line ends
 * with LF, a piece of a line does not. This is what "lines" and "bytes" of a
 * build count.
 */
#include "bl_download.h"

/* httpd */
#include "http_protocol.h"
#include "mod_buildlog.h"
/* layer 1 */
#include "bl_log.h"
/* layer 0 */
#include "bl_sse.h"
/* layer 3 */
#include "bl_daemon.h"
#include "bl_error.h"

/* Handed to httpd at a time. */
#define BLOCK_BYTES (32 * 1024)

static int wants_json(const request_rec *r)
{
    const char *accept = apr_table_get(r->headers_in, "Accept");

    if (r->args != NULL && ap_strstr_c(r->args, "format=json") != NULL)
        return 1;
    return accept != NULL &&
           ap_strstr_c(accept, "application/x-ndjson") != NULL;
}

static apr_size_t put_text(char *out, const bl_record_t *rec)
{
    apr_size_t len = rec->len;

    memcpy(out, rec->text, len);
    if ((rec->flags & BL_REC_PIECE) == 0)
        out[len++] = '\n';
    return len;
}

static apr_size_t put_json(char *out, apr_uint64_t build,
                           const bl_record_t *rec)
{
    apr_size_t len = bl_sse_json(out, build, rec);

    out[len++] = '\n';
    return len;
}

/* Send all lines. The buffer grows to the longest one and is used again. */
static apr_status_t send_lines(request_rec *r, bl_cursor_t *cursor,
                               const bl_table_row_t *row, int json)
{
    const bl_sse_style_t style = {BL_SSE_JSON, NULL, {0, 0, ""}};
    apr_size_t cap = 2 * BLOCK_BYTES, len = 0;
    char *buf = apr_palloc(r->pool, cap);
    bl_record_t rec;
    apr_status_t rv;

    while ((rv = bl_cursor_next(&rec, cursor, row->tail)) == APR_SUCCESS) {
        apr_size_t want;

        if (!BL_REC_IS_LINE(&rec))
            continue;
        want = json ? bl_sse_line_max(&style, rec.len) + 1 : rec.len + 1;
        if (len > 0 && (len >= BLOCK_BYTES || cap - len < want)) {
            if (ap_rwrite(buf, (int)len, r) < 0)
                return APR_ECONNABORTED;
            len = 0;
        }
        if (cap < want) {
            cap = 2 * want;
            buf = apr_palloc(r->pool, cap);
        }
        len += json ? put_json(buf + len, row->build, &rec)
                    : put_text(buf + len, &rec);
    }
    if (len > 0 && ap_rwrite(buf, (int)len, r) < 0)
        return APR_ECONNABORTED;
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

int bl_download_send(request_rec *r, const bl_table_row_t *row)
{
    int json = wants_json(r);
    bl_cursor_t *cursor;
    apr_status_t rv;

    rv = bl_cursor_open(&cursor, bl_daemon_logs_dir(), row->build, r->pool);
    if (rv != APR_SUCCESS)
        return bl_error_send(r, HTTP_NOT_FOUND,
                             "The log of this build is gone.");
    ap_set_content_type(r, json ? "application/x-ndjson"
                                : "text/plain; charset=utf-8");
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    /* Output is hostile: no browser may take it for something else. */
    apr_table_setn(r->headers_out, "X-Content-Type-Options", "nosniff");
    apr_table_setn(r->headers_out, "Vary", "Accept");
    if (!r->header_only) {
        rv = send_lines(r, cursor, row, json);
        if (rv != APR_SUCCESS && rv != APR_ECONNABORTED) {
            ap_log_rerror(APLOG_MARK, APLOG_ERR, rv, r,
                          "BL0405 the log of build %" APR_UINT64_T_FMT
                          " cannot be read",
                          row->build);
            /* Too late for a status: let it look as broken as it is. */
            r->connection->aborted = 1;
        }
    }
    bl_cursor_close(&cursor);
    return OK;
}
