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

#define HOLE_TEXT "Lines were left out here: see BuildLogMaxLog"

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

/* What is being sent. The buffer grows to the longest line and is used
 * again. */
typedef struct {
    request_rec *r;
    apr_uint64_t build;
    int json;
    char *buf;
    apr_size_t len;
    apr_size_t cap;
} sending_t;

static apr_status_t flush(sending_t *s)
{
    if (s->len > 0 && ap_rwrite(s->buf, (int)s->len, s->r) < 0)
        return APR_ECONNABORTED;
    s->len = 0;
    return APR_SUCCESS;
}

static apr_status_t send_line(sending_t *s, const bl_record_t *rec)
{
    const bl_sse_style_t style = {BL_SSE_JSON, NULL, {0, 0, ""}};
    apr_size_t want =
        s->json ? bl_sse_line_max(&style, rec->len) + 1 : rec->len + 1;
    apr_status_t rv = APR_SUCCESS;

    if (s->len >= BLOCK_BYTES || s->cap - s->len < want)
        rv = flush(s);
    if (rv != APR_SUCCESS)
        return rv;
    if (s->cap < want) {
        s->cap = 2 * want;
        s->buf = apr_palloc(s->r->pool, s->cap);
    }
    s->len += s->json ? put_json(s->buf + s->len, s->build, rec)
                      : put_text(s->buf + s->len, rec);
    return APR_SUCCESS;
}

/* While a build runs nothing in its log says what is left out of it. */
static apr_status_t send_hole(sending_t *s, const bl_record_t *before)
{
    bl_record_t rec = *before;

    rec.id--;
    rec.stream = BL_STDOUT;
    rec.flags = BL_REC_NOTE;
    rec.step = 0;
    rec.text = HOLE_TEXT;
    rec.len = sizeof(HOLE_TEXT) - 1;
    return send_line(s, &rec);
}

static apr_status_t send_lines(request_rec *r, bl_cursor_t *cursor,
                               const bl_table_row_t *row, int json)
{
    sending_t s = {r, row->build, json, NULL, 0, 2 * BLOCK_BYTES};
    bl_record_t rec;
    apr_status_t rv;

    s.buf = apr_palloc(r->pool, s.cap);
    while ((rv = bl_cursor_next(&rec, cursor, row->tail)) == APR_SUCCESS) {
        if (!row->final && bl_cursor_skipped(cursor) != NULL)
            rv = send_hole(&s, &rec);
        if (rv == APR_SUCCESS && BL_REC_IS_LINE(&rec))
            rv = send_line(&s, &rec);
        if (rv != APR_SUCCESS)
            return rv;
    }
    return rv == APR_EOF ? flush(&s) : rv;
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
