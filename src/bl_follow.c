/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_follow.c - GET .../builds/42/log?follow=1: a log as a document that grows
 */
#include "bl_follow.h"

/* httpd */
#include "mod_buildlog.h"
/* layer 3 */
#include "bl_config.h"
#include "bl_error.h"

/* When all places are taken. */
#define RETRY_AFTER_SECONDS 5

int bl_follow_send(request_rec *r, const bl_conn_t *conn, apr_uint64_t build,
                   bl_sse_format_e format)
{
    const bl_dir_conf_t *conf = bl_config_dir(r);
    bl_arrival_t *arrival;
    bl_feed_spec_t spec;
    const char *limit;

    memset(&spec, 0, sizeof(spec));
    spec.build = build;
    spec.format = format;
    spec.form = BL_FORM_DOCUMENT;
    spec.flush = bl_config_flush(conf);
    spec.ping = bl_config_ping(conf);
    if (!r->header_only) {
        limit = bl_conn_begin(&arrival, conn, &spec, 0, r);
        if (limit != NULL)
            return bl_error_unavailable(r, RETRY_AFTER_SECONDS, limit);
    }
    apr_table_setn(r->headers_out, "X-Accel-Buffering", "no");
    /* Compression would hold lines back until a block is full, and nobody
     * would be there to compress what the pump writes. */
    apr_table_setn(r->subprocess_env, "no-gzip", "1");
    apr_table_setn(r->subprocess_env, "no-brotli", "1");
    if (!r->header_only) {
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r,
                      "BL0408 build %" APR_UINT64_T_FMT
                      " is followed, connection %s",
                      build, conn->name);
        bl_conn_go(arrival, conn, r);
    }
    return OK;
}
