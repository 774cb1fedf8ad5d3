/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_stream.c - GET .../log/push: a stream's head, its first events, its way
 * on
 */
#include "bl_stream.h"

/* APR */
#include <apr_strings.h>
/* httpd */
#include "http_core.h"
#include "http_protocol.h"
#include "mod_buildlog.h"
/* layer 0 */
#include "bl_json.h"
#include "bl_view.h"
/* pump side of layer 2 */
#include "bl_encoder.h"
/* layer 3 */
#include "bl_child.h"
#include "bl_config.h"
#include "bl_conn.h"
#include "bl_daemon.h"
#include "bl_error.h"
#include "bl_opening.h"

/* A short poll ends behind so many bytes; the client comes back at once. */
#define POLL_BYTES (256 * 1024)
/* ...or so many chunks: most of a log may be lines that it does not want. */
#define POLL_CHUNKS 1024

/* What a polling client is told to wait: there is more than one answer took;
 * lines come; a build waits or runs; nothing does. */
#define POLL_RETRY_MORE_MS 0
#define POLL_RETRY_LINES_MS 200
#define POLL_RETRY_MS 1000
#define POLL_RETRY_IDLE_MS 5000

/* ...and one that came when all places were taken. */
#define BUSY_RETRY_MS 5000

/* ---- first events --------------------------------------------------- */

/* First events are short; lists of builds may be longer. */
#define FIRST_BYTES 4096

static void put_event(bl_encoder_t *e, const char *name, bl_stamp_t id,
                      const char *data)
{
    bl_encoder_event(e, name, id, data, strlen(data));
}

/* Did the build of this row wait or run when its text was read, before this?
 * One that has ended says so behind its lines, and not at the beginning. */
static int was_live(const bl_table_row_t *row)
{
    bl_table_row_t now;

    return bl_table_row_read(&now, bl_daemon_table(), row->row) ==
               APR_SUCCESS &&
           now.build == row->build && !now.final;
}

/* The builds that wait or run, as they are now. */
static void put_live_builds(bl_encoder_t *e, const bl_opening_t *s,
                            request_rec *r)
{
    const bl_table_t *table = bl_daemon_table();
    int i, rows = bl_table_row_count(table);
    apr_pool_t *scratch;

    apr_pool_create(&scratch, r->pool);
    for (i = 0; i < rows; i++) {
        const char *project, *json;
        bl_table_row_t row;

        apr_pool_clear(scratch);
        if (bl_table_row_read(&row, table, i) == APR_SUCCESS && !row.final &&
            bl_table_row_text(&project, &json, table, i, row.build, scratch) ==
                APR_SUCCESS &&
            was_live(&row) &&
            bl_view_says(s->spec.view, project) == BL_VIEW_ALLOWED)
            put_event(e, "build", 0, json);
    }
    apr_pool_destroy(scratch);
}

static void send_beginning(const bl_opening_t *s, request_rec *r,
                           apr_uint32_t retry_ms)
{
    bl_encoder_t *e =
        bl_encoder_create(s->spec.form, s->spec.format, s->spec.time_format,
                          FIRST_BYTES, r->pool);

    bl_encoder_retry(e, retry_ms);
    /* The id is the client's place from its first moment on: it comes back to
     * it even if no line was sent before the connection broke. */
    bl_encoder_ping(e, s->at, apr_time_now());
    if (s->gap)
        bl_encoder_gap(e, 0, s->at);
    /* Who resumes has seen how they came to be. */
    if (s->query.build == 0 && (s->gap || s->query.want != BL_WANT_AFTER))
        put_live_builds(e, s, r);
    else if (s->query.build != 0 && s->at != 0 && s->now != NULL)
        /* Who begins in the middle has not seen how it came to be. */
        put_event(e, "build", 0, s->now);
    if (bl_encoder_len(e) > 0)
        ap_rwrite(bl_encoder_bytes(e), (int)bl_encoder_len(e), r);
}

static void set_head(request_rec *r, bl_form_e form)
{
    static const char *const types[] = {
        [BL_FORM_EVENTS] = "text/event-stream",
        [BL_FORM_OBJECTS] = "application/x-ndjson",
        [BL_FORM_TERMINAL] = "text/plain; charset=utf-8",
    };

    ap_set_content_type(r, types[form]);
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->headers_out, "X-Accel-Buffering", "no");
    apr_table_setn(r->headers_out, "Vary", "Accept");
    /* Compression would hold lines back until a block is full. */
    apr_table_setn(r->subprocess_env, "no-gzip", "1");
    apr_table_setn(r->subprocess_env, "no-brotli", "1");
}

static apr_uint32_t retry_of(const request_rec *r)
{
    return (apr_uint32_t)apr_time_as_msec(bl_config_retry(bl_config_dir(r)));
}

/* ---- too many ------------------------------------------------------- */

/* A browser gives up for ever on a 503: it is told to come back instead. */
static int answer_busy(request_rec *r, bl_form_e form, const char *detail)
{
    bl_encoder_t *e;
    bl_json_t *data;

    if (form != BL_FORM_EVENTS)
        return bl_error_unavailable(r, BUSY_RETRY_MS / 1000, detail);
    data = bl_json_object(r->pool);
    bl_json_set_string(data, "detail", detail);
    bl_json_set_int(data, "retry", BUSY_RETRY_MS);
    e = bl_encoder_create(form, BL_SSE_TEXT, NULL, FIRST_BYTES, r->pool);
    bl_encoder_retry(e, BUSY_RETRY_MS);
    put_event(e, "busy", 0, bl_json_text(data, r->pool));
    set_head(r, form);
    ap_rwrite(bl_encoder_bytes(e), (int)bl_encoder_len(e), r);
    return OK;
}

/* ---- the two ways to go on ------------------------------------------ */

static int go_kept(const bl_opening_t *s, request_rec *r,
                   const bl_conn_t *conn)
{
    bl_arrival_t *arrival;
    const char *limit = bl_conn_begin(&arrival, conn, &s->spec, s->at, r);

    if (limit != NULL)
        return answer_busy(r, s->spec.form, limit);
    set_head(r, s->spec.form);
    send_beginning(s, r, retry_of(r));
    bl_conn_go(arrival, conn, r);
    return OK;
}

/* What there is since the client's place, and the end. */
static int go_polled(bl_opening_t *s, request_rec *r)
{
    apr_bucket_alloc_t *buckets = r->connection->bucket_alloc;
    apr_bucket_brigade *out = apr_brigade_create(r->pool, buckets);
    bl_feed_t *feed = bl_feed_create(&s->spec, bl_daemon_logs_dir(),
                                     bl_daemon_table(), buckets, r->pool);
    apr_uint32_t retry = s->is_live ? POLL_RETRY_MS : POLL_RETRY_IDLE_MS;
    apr_size_t total = 0;
    apr_uint64_t lines = 0;
    bl_stamp_t at = s->at;
    bl_chunk_t chunk;
    int chunks = 0;

    while (total < POLL_BYTES && chunks < POLL_CHUNKS &&
           bl_feed_next(&chunk, feed, at) == APR_SUCCESS) {
        apr_bucket *copy;

        chunks++;
        lines += chunk.lines;
        if (chunk.bucket != NULL) {
            if (apr_bucket_copy(chunk.bucket, &copy) != APR_SUCCESS)
                break;
            APR_BRIGADE_INSERT_TAIL(out, copy);
            total += copy->length;
            retry = POLL_RETRY_LINES_MS;
        }
        at = chunk.to;
        if (chunk.then == BL_CHUNK_AGAIN)
            retry = POLL_RETRY_LINES_MS; /* decided anew, there is more */
        if (chunk.then != BL_CHUNK_MORE)
            break;
    }
    if (total >= POLL_BYTES || chunks == POLL_CHUNKS)
        retry = POLL_RETRY_MORE_MS;
    /* When all that came since was not for this client, it is told so: it need
     * not ask for the same stretch again, nor be told of a gap there one day.
     */
    if (total == 0)
        s->at = at;
    set_head(r, s->spec.form);
    send_beginning(s, r, retry);
    ap_rflush(r);
    if (total > 0)
        ap_pass_brigade(r->output_filters, out);
    bl_child_count(BL_COUNT_POLLED, 1);
    bl_child_count(BL_COUNT_LINES, lines);
    bl_child_count(BL_COUNT_BYTES, total);
    bl_feed_destroy(&feed);
    return OK;
}

int bl_stream_push(request_rec *r)
{
    const bl_conn_t *conn = bl_conn_of(r);
    const char *detail = NULL;
    bl_opening_t opening;
    int result = bl_opening_decide(&opening, &detail, r, conn == NULL);

    if (result == HTTP_NO_CONTENT)
        return HTTP_NO_CONTENT;
    if (result == HTTP_SERVICE_UNAVAILABLE)
        return answer_busy(r, opening.query.form, detail);
    if (result != OK)
        return bl_error_send(r, result, detail);
    if (r->header_only) {
        set_head(r, opening.spec.form);
        return OK;
    }
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r,
                  "BL0402 stream of build %" APR_UINT64_T_FMT
                  " after %" APR_UINT64_T_FMT ", connection %s",
                  opening.query.build, opening.at,
                  conn != NULL ? conn->name : "polled");
    return conn != NULL ? go_kept(&opening, r, conn) : go_polled(&opening, r);
}
