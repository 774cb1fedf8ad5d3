/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_stream.c - GET .../log/push: what a viewer asked for, and its beginning
 *
 * ORDER         for the feed of all builds the place is fixed (the watermark
 *               read) before it is decided what the user may see: a project
 *               that appears in between has only records behind that place,
 *               so the pump will find it undecided and not pass it over
 */
#include "bl_stream.h"

/* libc */
#include <unistd.h>
/* APR */
#include <apr_hash.h>
#include <apr_strings.h>
/* httpd */
#include "ap_mpm.h"
#include "http_core.h"
#include "http_protocol.h"
#include "mod_buildlog.h"
#include "mpm_common.h"
/* layer 0 */
#include "bl_json.h"
#include "bl_view.h"
/* layer 1 */
#include "bl_log.h"
/* layer 2 */
#include "bl_feed.h"
#include "bl_pump.h"
/* layer 3 */
#include "bl_api.h"
#include "bl_config.h"
#include "bl_conn.h"
#include "bl_daemon.h"
#include "bl_error.h"
#include "bl_project.h"
#include "bl_query.h"

/* A short poll ends behind so many bytes; the client comes back at once. */
#define POLL_BYTES (256 * 1024)

/* What a polling client is told to wait: there is more than one answer took;
 * lines come; a build waits or runs; nothing does. */
#define POLL_RETRY_MORE_MS 0
#define POLL_RETRY_LINES_MS 200
#define POLL_RETRY_MS 1000
#define POLL_RETRY_IDLE_MS 5000

/* ...and one that came when all places were taken. */
#define BUSY_RETRY_MS 5000

/* A stream as it was asked for and will begin. */
typedef struct {
    request_rec *r;
    bl_query_t query;
    bl_feed_spec_t spec;
    bl_stamp_t at;   /* what follows this id is sent */
    int gap;         /* the client's place is none of ours: say so */
    const char *now; /* the record of the one build as it is now */
    apr_array_header_t *projects; /* all: may be seen (const char *) */
} stream_t;

/* This child's pump and its slot; NULL, -1: none. */
static bl_pump_t *pump;
static int slot = -1;

/* ---- who may see what: the feed of all builds ----------------------- */

/* Every project that the configuration names or that has a build in the
 * table. */
static const char *decide_view(request_rec *r)
{
    apr_array_header_t *lines = apr_array_make(r->pool, 16, sizeof(char *));
    apr_array_header_t *listed = bl_project_list(r);
    const bl_table_t *table = bl_daemon_table();
    apr_hash_t *seen = apr_hash_make(r->pool);
    int i, rows = bl_table_row_count(table);
    apr_pool_t *scratch;

    for (i = 0; i < listed->nelts; i++) {
        const char *path = APR_ARRAY_IDX(listed, i, bl_project_t).path;

        apr_hash_set(seen, path, APR_HASH_KEY_STRING, path);
        bl_view_add(lines, path, 1);
    }
    apr_pool_create(&scratch, r->pool);
    for (i = 0; i < rows; i++) {
        const char *path;
        bl_table_row_t row;

        apr_pool_clear(scratch);
        if (bl_table_row_read(&row, table, i) != APR_SUCCESS ||
            bl_table_row_text(&path, NULL, table, i, row.build, scratch) !=
                APR_SUCCESS ||
            apr_hash_get(seen, path, APR_HASH_KEY_STRING) != NULL)
            continue;
        path = apr_pstrdup(r->pool, path);
        apr_hash_set(seen, path, APR_HASH_KEY_STRING, path);
        bl_view_add(lines, path, bl_project_may_see(r, path));
    }
    apr_pool_destroy(scratch);
    return bl_view_make(lines, r->pool);
}

/* ---- where it begins ------------------------------------------------ */

static apr_status_t tail_of_build(stream_t *s, const bl_table_row_t *row)
{
    bl_cursor_t *cursor;
    apr_status_t rv;

    rv = bl_cursor_open(&cursor, bl_daemon_logs_dir(), s->query.build,
                        s->r->pool);
    if (rv != APR_SUCCESS)
        return rv;
    rv = bl_cursor_seek_tail(&s->at, cursor, s->query.tail, row->tail);
    bl_cursor_close(&cursor);
    /* Of what has ended at least the end is sent. */
    if (row->final && s->at >= row->last_id)
        s->at = row->last_id - 1;
    return rv;
}

/* An id that is still to come was never given by this server. The records of a
 * build may be seen a moment before the watermark is raised: last_id. */
static int is_from_the_future(bl_stamp_t id, bl_stamp_t last_id)
{
    return id > last_id && id > bl_table_watermark(bl_daemon_table());
}

/* @return OK; 204: the client has everything; 404, 500 */
static int begin_build(stream_t *s)
{
    const char *project;
    bl_table_row_t row;

    if (bl_api_find_build(&row, &project, &s->now, s->r, s->query.build) !=
        APR_SUCCESS)
        return HTTP_NOT_FOUND;
    switch (s->query.want) {
    case BL_WANT_AFTER:
        if (is_from_the_future(s->query.after, row.last_id))
            s->gap = 1;
        else if (row.final && s->query.after >= row.last_id)
            return HTTP_NO_CONTENT;
        else
            s->at = s->query.after;
        return OK;
    case BL_WANT_TAIL:
        return tail_of_build(s, &row) == APR_SUCCESS
                   ? OK
                   : HTTP_INTERNAL_SERVER_ERROR;
    case BL_WANT_UNKNOWN:
        s->gap = 1;
        return OK;
    default:
        return OK;
    }
}

static int begin_all(stream_t *s)
{
    bl_stamp_t now = bl_table_watermark(bl_daemon_table());

    s->at = now;
    if (s->query.want == BL_WANT_START)
        s->at = 0;
    else if (s->query.want == BL_WANT_UNKNOWN)
        s->gap = 1;
    else if (s->query.want == BL_WANT_AFTER) {
        if (is_from_the_future(s->query.after, now))
            s->gap = 1;
        else
            s->at = s->query.after;
    }
    s->spec.view = decide_view(s->r);
    return OK;
}

/* ---- first events --------------------------------------------------- */

static void send_event(request_rec *r, const char *name, bl_stamp_t id,
                       const char *data)
{
    apr_size_t len = strlen(data);
    char *buf = apr_palloc(r->pool, bl_sse_event_max(strlen(name), len));

    ap_rwrite(buf, (int)bl_sse_event(buf, name, id, data, len), r);
}

static void send_retry(request_rec *r, apr_uint32_t ms)
{
    char buf[BL_SSE_RETRY_MAX];

    ap_rwrite(buf, (int)bl_sse_retry(buf, ms), r);
}

static void send_ping(request_rec *r, bl_stamp_t at)
{
    char data[64] = "{\"time\":\"";
    apr_size_t len = strlen(data);

    bl_stamp_write(data + len, (bl_stamp_t)apr_time_now());
    apr_cpystrn(data + len + BL_STAMP_TEXT_LEN, "\"}", 3);
    /* The id is the client's place from its first moment on: it comes back to
     * it even if no line was sent before the connection broke. */
    send_event(r, "ping", at, data);
}

/* The builds that wait or run, as they are now. */
static void send_live_builds(const stream_t *s)
{
    const bl_table_t *table = bl_daemon_table();
    int i, rows = bl_table_row_count(table);
    apr_pool_t *scratch;

    apr_pool_create(&scratch, s->r->pool);
    for (i = 0; i < rows; i++) {
        const char *project, *json;
        bl_table_row_t row;

        apr_pool_clear(scratch);
        if (bl_table_row_read(&row, table, i) == APR_SUCCESS && !row.final &&
            bl_table_row_text(&project, &json, table, i, row.build, scratch) ==
                APR_SUCCESS &&
            bl_view_says(s->spec.view, project) == BL_VIEW_ALLOWED)
            send_event(s->r, "build", 0, json);
    }
    apr_pool_destroy(scratch);
}

static void send_beginning(const stream_t *s, apr_uint32_t retry_ms)
{
    char data[64];

    send_retry(s->r, retry_ms);
    send_ping(s->r, s->at);
    if (s->gap) {
        apr_snprintf(data, sizeof(data),
                     "{\"after\":null,\"from\":\"%" APR_UINT64_T_FMT "\"}",
                     s->at);
        send_event(s->r, "gap", 0, data);
    }
    if (s->query.build == 0)
        send_live_builds(s);
    else if (s->at != 0 && s->now != NULL)
        /* Who begins in the middle has not seen how it came to be. */
        send_event(s->r, "build", 0, s->now);
}

static void set_head(request_rec *r)
{
    ap_set_content_type(r, "text/event-stream");
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->headers_out, "X-Accel-Buffering", "no");
    /* Compression would hold lines back until a block is full. */
    apr_table_setn(r->subprocess_env, "no-gzip", "1");
    apr_table_setn(r->subprocess_env, "no-brotli", "1");
}

static apr_uint32_t retry_of(const request_rec *r)
{
    return (apr_uint32_t)apr_time_as_msec(bl_config_retry(bl_config_dir(r)));
}

/* ---- too many ------------------------------------------------------- */

static int accepts_events(const request_rec *r)
{
    const char *accept = apr_table_get(r->headers_in, "Accept");

    return accept != NULL && ap_strcasestr(accept, "text/event-stream");
}

/* A browser gives up for ever on a 503: it is told to come back instead. */
static int answer_busy(request_rec *r)
{
    const char *detail = apr_psprintf(
        r->pool,
        "%u viewers are connected, and BuildLogMaxClients allows no "
        "more. Try again later.",
        bl_table_viewers(bl_daemon_table()));
    bl_json_t *data;

    if (!accepts_events(r))
        return bl_error_unavailable(r, BUSY_RETRY_MS / 1000, detail);
    data = bl_json_object(r->pool);
    bl_json_set_string(data, "detail", detail);
    bl_json_set_int(data, "retry", BUSY_RETRY_MS);
    set_head(r);
    send_retry(r, BUSY_RETRY_MS);
    send_event(r, "busy", 0, bl_json_text(data, r->pool));
    return OK;
}

/* ---- the two ways to go on ------------------------------------------ */

static int go_detached(const stream_t *s)
{
    request_rec *r = s->r;
    apr_os_sock_t fd;
    apr_status_t rv;

    if (bl_table_viewer_add(bl_daemon_table(), slot,
                            bl_config_server()->max_clients) != APR_SUCCESS)
        return answer_busy(r);
    set_head(r);
    bl_conn_prepare(r);
    send_beginning(s, retry_of(r));
    if (ap_rflush(r) < 0 || r->connection->aborted) {
        bl_table_viewer_remove(bl_daemon_table(), slot);
        return OK;
    }
    rv = bl_conn_detach(&fd, r);
    if (rv == APR_SUCCESS) {
        rv = bl_pump_req_adopt(pump, fd, &s->spec, s->at);
        if (rv != APR_SUCCESS)
            close(fd);
    }
    if (rv != APR_SUCCESS) {
        bl_table_viewer_remove(bl_daemon_table(), slot);
        ap_log_rerror(APLOG_MARK, APLOG_ERR, rv, r,
                      "BL0401 a viewer could not be kept; it will come back");
    }
    return OK;
}

/* Is anything going on that could print a line? Whose it is does not matter:
 * the answer is only how soon to ask again. */
static int anything_lives(void)
{
    const bl_table_t *table = bl_daemon_table();
    int i, rows = bl_table_row_count(table);
    bl_table_row_t row;

    for (i = 0; i < rows; i++) {
        if (bl_table_row_read(&row, table, i) == APR_SUCCESS && !row.final)
            return 1;
    }
    return 0;
}

/* What there is since the client's place, and the end. */
static int go_polled(stream_t *s)
{
    request_rec *r = s->r;
    apr_bucket_alloc_t *buckets = r->connection->bucket_alloc;
    apr_bucket_brigade *out = apr_brigade_create(r->pool, buckets);
    bl_feed_t *feed = bl_feed_create(&s->spec, bl_daemon_logs_dir(),
                                     bl_daemon_table(), buckets, r->pool);
    apr_uint32_t retry = anything_lives() ? POLL_RETRY_MS : POLL_RETRY_IDLE_MS;
    apr_size_t total = 0;
    bl_stamp_t at = s->at;
    bl_chunk_t chunk;

    while (total < POLL_BYTES &&
           bl_feed_next(&chunk, feed, at) == APR_SUCCESS) {
        apr_bucket *copy;

        if (chunk.bucket != NULL) {
            if (apr_bucket_copy(chunk.bucket, &copy) != APR_SUCCESS)
                break;
            APR_BRIGADE_INSERT_TAIL(out, copy);
            total += copy->length;
            retry = POLL_RETRY_LINES_MS;
        }
        at = chunk.to;
        if (chunk.then != BL_CHUNK_MORE)
            break;
    }
    if (total >= POLL_BYTES)
        retry = POLL_RETRY_MORE_MS;
    /* When all that came since was not for this client, it is told so: it need
     * not ask for the same stretch again, nor be told of a gap there one day.
     */
    if (total == 0)
        s->at = at;
    set_head(r);
    send_beginning(s, retry);
    ap_rflush(r);
    if (total > 0)
        ap_pass_brigade(r->output_filters, out);
    bl_feed_destroy(&feed);
    return OK;
}

int bl_stream_push(request_rec *r)
{
    const bl_dir_conf_t *conf = bl_config_dir(r);
    bl_conn_kind_e kind = bl_conn_kind(r);
    const char *detail = NULL;
    stream_t s;
    int result;

    memset(&s, 0, sizeof(s));
    s.r = r;
    if (bl_query_read(&s.query, &detail, r) != APR_SUCCESS)
        return bl_error_send(r, HTTP_BAD_REQUEST, detail);
    s.spec.build = s.query.build;
    s.spec.format = s.query.format;
    s.spec.time_format = bl_config_time_format(conf);
    s.spec.flush = bl_config_flush(conf);
    s.spec.ping = bl_config_ping(conf);
    s.spec.resumes = s.query.build == 0 && accepts_events(r);
    result = s.query.build != 0 ? begin_build(&s) : begin_all(&s);
    if (result == HTTP_NO_CONTENT)
        return HTTP_NO_CONTENT;
    if (result != OK)
        return bl_error_send(r, result,
                             result == HTTP_NOT_FOUND
                                 ? "There is no such build."
                                 : "The log cannot be read.");
    if (r->header_only) {
        set_head(r);
        return OK;
    }
    if (pump == NULL)
        kind = BL_CONN_POLLED;
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r,
                  "BL0402 stream of build %" APR_UINT64_T_FMT
                  " after %" APR_UINT64_T_FMT ", connection %s",
                  s.query.build, s.at, bl_conn_kind_name(kind));
    return kind == BL_CONN_DETACHED ? go_detached(&s) : go_polled(&s);
}

/* ---- the child's pump ----------------------------------------------- */

static apr_status_t end_of_child(void *dummy)
{
    bl_pump_join(pump);
    bl_table_slot_release(bl_daemon_table(), (apr_uint32_t)getpid());
    return APR_SUCCESS;
}

static void child_init(apr_pool_t *p, server_rec *s)
{
    apr_status_t rv;

    if (bl_daemon_table() == NULL)
        return;
    slot = bl_table_slot_claim(bl_daemon_table(), (apr_uint32_t)getpid());
    bl_wake_keep(bl_daemon_wake(), slot);
    if (slot < 0) {
        ap_log_error(
            APLOG_MARK, APLOG_WARNING, 0, s,
            "BL0403 no slot for the viewers of this child: they poll");
        return;
    }
    rv = bl_pump_create(&pump, bl_daemon_table(), bl_daemon_wake(), slot,
                        bl_daemon_logs_dir(), p);
    if (rv != APR_SUCCESS) {
        pump = NULL;
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, s,
                     "BL0404 no pump in this child: its viewers poll");
        bl_table_slot_release(bl_daemon_table(), (apr_uint32_t)getpid());
        return;
    }
    apr_pool_pre_cleanup_register(p, NULL, end_of_child);
}

static void child_stopping(apr_pool_t *p, int graceful)
{
    if (pump != NULL)
        bl_pump_begin_stop(pump);
}

/* Parent: a child that crashed did not give its slot back. (One that lost its
 * place in the scoreboard still lives and has viewers.) */
static void child_status(server_rec *s, pid_t pid, ap_generation_t gen,
                         int child, mpm_child_status state)
{
    if (state == MPM_CHILD_EXITED && bl_daemon_table() != NULL)
        bl_table_slot_release(bl_daemon_table(), (apr_uint32_t)pid);
}

void bl_stream_register_hooks(apr_pool_t *p)
{
    /* Behind the daemon's: the table must be there. */
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_stopping(child_stopping, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_status(child_status, NULL, NULL, APR_HOOK_MIDDLE);
}
