/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_output.c - the output of one build, from its pipes into its log
 *
 * DIAGNOSTICS   BL0201 when the log cannot be written, BL0202 when it can be
 *               again; each once
 */
#include "bl_output.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_strings.h>
/* layer 0 */
#include "bl_diag.h"
#include "bl_lines.h"
#include "bl_tally.h"
/* layer 1 */
#include "bl_log.h"
/* this side of layer 2 */
#include "bl_trim.h"

/* A line that is not complete is shown as a piece after so long. */
#define PIECE_TIME apr_time_from_msec(100)

/* A log that could not be written is tried again. */
#define RETRY_TIME apr_time_from_sec(1)

/* What may stand in a pipe when a step ends. A process that the step left
 * behind cannot hold up the build by writing on and on. */
#define DRAIN_BYTES (1024 * 1024)

/* How far ids may be ahead of the clock (O2), and how long to wait then. */
#define AHEAD_TIME apr_time_from_sec(1)
#define AHEAD_WAIT apr_time_from_msec(20)

#define STREAMS 2

typedef struct {
    bl_output_t *output;
    bl_stream_e stream;
    apr_file_t *file; /* NULL: nothing to read (any more) */
    bl_watch_t watch;
    bl_masked_t *masked; /* before lines; NULL: nothing is secret */
    bl_lines_t *lines;
    unsigned emitted;     /* out of the last feed */
    apr_time_t piece_due; /* 0: nothing is pending */
} stream_t;

struct bl_output_t {
    apr_pool_t *pool;
    bl_host_t *host;
    bl_build_t *build;
    bl_log_t *log;
    bl_tally_t *tally; /* of all that came */
    bl_trim_t *trim;
    apr_off_t record_at; /* the build's record, as it was put last */
    int row;
    stream_t streams[STREAMS];
    const bl_mask_t *mask; /* NULL: nothing is secret */
    bl_lines_t *notes;     /* cleans and cuts the texts of notes */
    unsigned note_step;
    bl_stamp_t first_pending; /* 0: all is written */
    apr_time_t last_read;
    apr_time_t retry_at;    /* 0: the log can be written */
    const char *waits_for;  /* why not; NULL: it can be written */
    int is_over;            /* its sums stand, no line comes any more */
    apr_time_t ahead_until; /* 0: ids are not ahead of the clock */
};

/* ---- into the log --------------------------------------------------- */

static void put(bl_output_t *o, bl_stream_e stream, unsigned flags,
                unsigned step, const char *text, apr_size_t len)
{
    apr_uint64_t lines = o->build->lines, bytes = o->build->bytes;
    bl_record_t rec;

    bl_trim_next(o->trim, o->tally);
    o->host->last_id = bl_stamp_next(o->host->last_id, o->host->now);
    rec.id = o->host->last_id;
    rec.stream = stream;
    rec.flags = flags;
    rec.step = step;
    rec.text = text;
    rec.len = len;
    bl_log_add(o->log, &rec);
    bl_tally_add(o->tally, &rec);
    bl_tally_count(o->tally, o->build);
    o->host->lines += o->build->lines - lines;
    o->host->bytes += o->build->bytes - bytes;
    if (o->first_pending == 0)
        o->first_pending = rec.id;
}

static void emit_line(void *baton, unsigned flags, const char *text,
                      apr_size_t len)
{
    stream_t *s = baton;

    s->emitted++;
    put(s->output, s->stream, flags, 0, text, len);
}

static void emit_note(void *baton, unsigned flags, const char *text,
                      apr_size_t len)
{
    bl_output_t *o = baton;

    put(o, BL_STDOUT, flags | BL_REC_NOTE, o->note_step, text, len);
    o->note_step = 0; /* only the first line begins the step */
}

void bl_output_note(bl_output_t *o, unsigned step, const char *text)
{
    o->note_step = step;
    text = bl_mask_text(o->mask, text, o->pool);
    bl_lines_feed(o->notes, text, strlen(text));
    bl_lines_finish(o->notes);
}

void bl_output_record(bl_output_t *o, unsigned flags, const char *json)
{
    o->record_at = bl_log_end(o->log);
    put(o, BL_STDOUT, BL_REC_NOTE | flags, 0, json, strlen(json));
}

int bl_output_record_is_gone(const bl_output_t *o)
{
    return bl_trim_took(o->trim, o->record_at);
}

static void set_reading(bl_output_t *o, int on)
{
    int i;

    for (i = 0; i < STREAMS; i++) {
        if (o->streams[i].file != NULL)
            bl_watch_set(o->host, &o->streams[i].watch, on);
    }
}

/* The administrator is told at once, viewers as soon as they can be. */
static void say_failed(bl_output_t *o, apr_status_t rv)
{
    char text[128];

    bl_diag(BL_DIAG_ERROR, rv,
            "BL0201 build %" APR_UINT64_T_FMT
            ": its log in %s cannot be written; the build waits until it can",
            o->build->id, o->host->logs_dir);
    o->waits_for = apr_pstrcat(o->pool, "its log cannot be written: ",
                               apr_strerror(rv, text, sizeof(text)), NULL);
    if (!o->is_over)
        bl_output_note(o, 0,
                       apr_psprintf(o->pool,
                                    "The log could not be written (%s): the "
                                    "build waited until it could",
                                    text));
}

static void commit_failed(bl_output_t *o, apr_status_t rv)
{
    int again = o->retry_at != 0;

    o->retry_at = o->host->tick + RETRY_TIME;
    set_reading(o, 0); /* O1 */
    /* With nothing in it yet the build is refused, which its owner says. */
    if (!again && bl_log_tail(o->log) > 0)
        say_failed(o, rv);
}

apr_status_t bl_output_commit(bl_output_t *o)
{
    apr_status_t rv;

    if (o->first_pending == 0)
        return APR_SUCCESS;
    bl_trim_shorten(o->trim);
    rv = bl_log_commit(o->log);
    if (rv != APR_SUCCESS) {
        commit_failed(o, rv);
        return rv;
    }
    if (o->retry_at != 0) {
        bl_diag(BL_DIAG_NOTICE, 0,
                "BL0202 build %" APR_UINT64_T_FMT
                ": its log can be written again, the build goes on",
                o->build->id);
        o->retry_at = 0;
        o->waits_for = NULL;
        set_reading(o, 1);
    }
    o->first_pending = 0;
    bl_table_row_publish(o->host->table, o->row, bl_log_tail(o->log),
                         bl_log_last_id(o->log));
    o->host->changed = 1;
    return APR_SUCCESS;
}

apr_status_t bl_output_finish(bl_output_t *o)
{
    apr_status_t rv;

    o->is_over = 1;
    if (bl_trim_is_shorter(o->trim)) {
        rv = bl_output_commit(o);
        if (rv != APR_SUCCESS)
            return rv;
    }
    rv = bl_trim_settle(o->trim, o->tally);
    if (rv != APR_SUCCESS && !APR_STATUS_IS_EAGAIN(rv))
        commit_failed(o, rv);
    return rv;
}

/* ---- out of the pipes ----------------------------------------------- */

static void stream_close(stream_t *s)
{
    bl_watch_set(s->output->host, &s->watch, 0);
    s->file = NULL;
}

/* What is held back because a secret may begin with it is not shown after a
 * while, as an incomplete line is: nothing is pending for its sake. */
static void take_bytes(stream_t *s, const char *bytes, apr_size_t len)
{
    if (s->masked != NULL)
        bytes = bl_masked_feed(s->masked, bytes, &len);
    bl_lines_feed(s->lines, bytes, len);
}

/* One read. @return bytes; 0: none now, or never again */
static apr_size_t stream_read(stream_t *s)
{
    bl_host_t *host = s->output->host;
    apr_size_t len = BL_HOST_READ_BYTES;
    apr_status_t rv;

    rv = apr_file_read(s->file, host->read_buf, &len);
    if (rv != APR_SUCCESS) {
        if (!APR_STATUS_IS_EAGAIN(rv) && !APR_STATUS_IS_EINTR(rv))
            stream_close(s);
        return 0;
    }
    s->output->last_read = host->tick;
    s->emitted = 0;
    take_bytes(s, host->read_buf, len);
    if (!bl_lines_pending(s->lines))
        s->piece_due = 0;
    else if (s->piece_due == 0 || s->emitted > 0)
        s->piece_due = host->tick + PIECE_TIME;
    return len;
}

static void stream_ready(void *baton, apr_int16_t events)
{
    stream_t *s = baton;
    bl_output_t *o = s->output;

    if (s->file == NULL || o->retry_at != 0 || o->ahead_until != 0)
        return;
    if (o->host->last_id >
        (bl_stamp_t)(o->host->now + o->host->skew + AHEAD_TIME)) {
        o->ahead_until = o->host->tick + AHEAD_WAIT;
        set_reading(o, 0);
        return;
    }
    stream_read(s);
    bl_output_commit(o);
}

void bl_output_drain(bl_output_t *o)
{
    int i;

    for (i = 0; i < STREAMS; i++) {
        stream_t *s = &o->streams[i];
        apr_size_t total = 0, n = 1;

        /* O1 does not hold here: what is in the pipes is bounded, and the
         * batch takes it. */
        while (s->file != NULL && n > 0 && total < DRAIN_BYTES) {
            n = stream_read(s);
            total += n;
        }
        if (s->masked != NULL) {
            const char *rest = bl_masked_finish(s->masked, &n);

            bl_lines_feed(s->lines, rest, n);
        }
        bl_lines_finish(s->lines);
        s->piece_due = 0;
    }
}

void bl_output_set_mask(bl_output_t *o, const bl_mask_t *mask)
{
    int i;

    o->mask = mask;
    for (i = 0; mask != NULL && i < STREAMS; i++)
        o->streams[i].masked =
            bl_masked_create(mask, BL_HOST_READ_BYTES, o->pool);
}

void bl_output_attach(bl_output_t *o, apr_file_t *out, apr_file_t *err)
{
    int i;

    for (i = 0; i < STREAMS; i++) {
        stream_t *s = &o->streams[i];

        s->file = i == BL_STDOUT ? out : err;
        bl_watch_file(&s->watch, s->file, stream_ready, s, o->pool);
    }
    set_reading(o, o->retry_at == 0);
}

void bl_output_detach(bl_output_t *o)
{
    int i;

    for (i = 0; i < STREAMS; i++) {
        if (o->streams[i].file != NULL)
            stream_close(&o->streams[i]);
    }
}

/* ---- time ----------------------------------------------------------- */

static apr_time_t earlier(apr_time_t a, apr_time_t b)
{
    return b != 0 && b < a ? b : a;
}

apr_time_t bl_output_tick(bl_output_t *o)
{
    apr_time_t now = o->host->tick, next = now + RETRY_TIME;
    int waits = o->ahead_until != 0 || o->retry_at != 0, i;

    /* Who is made to wait is not silent. */
    if (waits)
        o->last_read = now;
    if (o->ahead_until != 0 && now >= o->ahead_until) {
        o->ahead_until = 0;
        set_reading(o, o->retry_at == 0);
    }
    for (i = 0; i < STREAMS; i++) {
        stream_t *s = &o->streams[i];

        if (s->piece_due != 0 && waits)
            s->piece_due = now + PIECE_TIME;
        if (s->piece_due != 0 && now >= s->piece_due) {
            bl_lines_flush(s->lines);
            s->piece_due = 0;
        }
        next = earlier(next, s->piece_due);
    }
    if (o->first_pending != 0 && (o->retry_at == 0 || now >= o->retry_at))
        bl_output_commit(o);
    next = earlier(next, o->retry_at);
    return earlier(next, o->ahead_until);
}

apr_time_t bl_output_last_read(const bl_output_t *o)
{
    return o->last_read;
}

const char *bl_output_waits_for(const bl_output_t *o)
{
    return o->waits_for;
}

bl_stamp_t bl_output_last_id(const bl_output_t *o)
{
    return bl_log_last_id(o->log);
}

bl_stamp_t bl_output_first_pending(const bl_output_t *o)
{
    return o->first_pending;
}

/* ---- life ----------------------------------------------------------- */

static apr_status_t close_log(void *baton)
{
    bl_output_t *o = baton;

    bl_output_detach(o);
    return APR_SUCCESS;
}

static apr_status_t begin(bl_output_t **out, bl_host_t *host,
                          bl_build_t *build, apr_int64_t max_log, int again,
                          apr_pool_t *p)
{
    bl_output_t *o = apr_pcalloc(p, sizeof(*o));
    int i;
    apr_status_t rv;

    o->pool = p;
    o->host = host;
    o->build = build;
    o->row = -1;
    o->tally = bl_tally_create(p);
    rv = again ? bl_log_reopen(&o->log, host->logs_dir, build->id, p)
               : bl_log_create(&o->log, host->logs_dir, build->id, p);
    if (rv != APR_SUCCESS)
        return rv;
    o->trim = bl_trim_create(host, build, o->log, max_log, p);
    for (i = 0; i < STREAMS; i++) {
        stream_t *s = &o->streams[i];

        s->output = o;
        s->stream = (bl_stream_e)i;
        s->lines = bl_lines_create(host->line_limit, emit_line, s, p);
    }
    o->notes = bl_lines_create(host->line_limit, emit_note, o, p);
    apr_pool_cleanup_register(p, o, close_log, apr_pool_cleanup_null);
    *out = o;
    return APR_SUCCESS;
}

apr_status_t bl_output_create(bl_output_t **out, bl_host_t *host,
                              bl_build_t *build, apr_int64_t max_log,
                              apr_pool_t *p)
{
    return begin(out, host, build, max_log, 0, p);
}

apr_status_t bl_output_reopen(bl_output_t **out, bl_host_t *host,
                              bl_build_t *build, apr_int64_t max_log,
                              apr_pool_t *p)
{
    return begin(out, host, build, max_log, 1, p);
}

void bl_output_set_row(bl_output_t *o, int row)
{
    o->row = row;
    /* What an earlier runner has shown stays shown. */
    bl_table_row_publish(o->host->table, row, bl_log_tail(o->log),
                         bl_log_last_id(o->log));
}

void bl_output_discard(bl_output_t *o)
{
    apr_file_remove(bl_log_path(o->host->logs_dir, o->build->id, o->pool),
                    o->pool);
}
