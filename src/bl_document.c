/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_document.c - what all documents made of a log share
 *
 * DIAGNOSTICS   BL0405 a log cannot be read, BL0409 cannot be opened
 */
#include "bl_document.h"

/* httpd */
#include "http_protocol.h"
#include "http_request.h"
#include "mod_buildlog.h"
/* layer 3 */
#include "bl_daemon.h"
#include "bl_error.h"

/* When the log cannot be opened though it is there: no descriptors, say. */
#define RETRY_AFTER_SECONDS 5

int bl_document_open(bl_cursor_t **out, const char **detail, request_rec *r,
                     apr_uint64_t build)
{
    apr_status_t rv =
        bl_cursor_open(out, bl_daemon_logs_dir(), build, r->pool);

    if (rv == APR_SUCCESS)
        return OK;
    if (APR_STATUS_IS_ENOENT(rv)) {
        *detail = "The log of this build is gone.";
        return HTTP_NOT_FOUND;
    }
    ap_log_rerror(APLOG_MARK, APLOG_ERR, rv, r,
                  "BL0409 the log of build %" APR_UINT64_T_FMT
                  " cannot be opened",
                  build);
    *detail = "The log cannot be opened now.";
    return HTTP_SERVICE_UNAVAILABLE;
}

int bl_document_refuse(request_rec *r, int status, const char *detail)
{
    if (status == HTTP_SERVICE_UNAVAILABLE)
        return bl_error_unavailable(r, RETRY_AFTER_SECONDS, detail);
    return bl_error_send(r, status, detail);
}

const bl_build_t *bl_document_end(bl_cursor_t *cursor,
                                  const bl_table_row_t *row, apr_pool_t *p)
{
    bl_build_t *build;
    bl_record_t rec;

    if (!row->final ||
        bl_cursor_last(&rec, cursor, row->tail) != APR_SUCCESS ||
        (rec.flags & BL_REC_END) == 0 ||
        bl_build_from_json(&build, rec.text, rec.len, p) != APR_SUCCESS ||
        build->sha256 == NULL)
        return NULL;
    /* More text than there are bytes of records: the log is damaged, and what
     * it says of itself is of no use. */
    if (build->bytes > (apr_uint64_t)row->tail ||
        build->lines > (apr_uint64_t)row->tail)
        return NULL;
    return build;
}

void bl_document_validate(request_rec *r, const bl_build_t *end,
                          const char *etag)
{
    apr_table_setn(r->headers_out, "Cache-Control", "private, no-cache");
    apr_table_setn(r->headers_out, "ETag", etag);
    ap_update_mtime(r, (apr_time_t)end->ended);
    ap_set_last_modified(r);
}

apr_status_t bl_document_write(request_rec *r, bl_encoder_t *encoder)
{
    int len = (int)bl_encoder_len(encoder);

    if (len > 0 && ap_rwrite(bl_encoder_bytes(encoder), len, r) < 0)
        return APR_ECONNABORTED;
    bl_encoder_clear(encoder);
    return APR_SUCCESS;
}

void bl_document_broken(request_rec *r, apr_status_t rv, apr_uint64_t build)
{
    ap_log_rerror(
        APLOG_MARK, APLOG_ERR, rv, r,
        "BL0405 the log of build %" APR_UINT64_T_FMT " cannot be read", build);
    r->connection->aborted = 1;
}
