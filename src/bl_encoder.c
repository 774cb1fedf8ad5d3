/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_encoder.c - records become what a viewer gets: events, or plain lines
 */
#include "bl_encoder.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_strings.h>
/* layer 0 */
#include "bl_middle.h"
#include "bl_plain.h"

struct bl_encoder_t {
    apr_pool_t *pool;
    bl_sse_style_t style;
    int plain;
    char *buf;
    apr_size_t len;
    apr_size_t cap;
};

bl_encoder_t *bl_encoder_create(bl_sse_format_e format, int plain,
                                const char *time_format, apr_size_t room,
                                apr_pool_t *p)
{
    bl_encoder_t *e = apr_pcalloc(p, sizeof(*e));

    e->pool = p;
    e->style.format = format;
    e->style.time_format = apr_pstrdup(p, time_format);
    e->plain = plain;
    e->cap = room;
    e->buf = apr_palloc(p, e->cap);
    return e;
}

void bl_encoder_clear(bl_encoder_t *e)
{
    e->len = 0;
}

const char *bl_encoder_bytes(const bl_encoder_t *e)
{
    return e->buf;
}

apr_size_t bl_encoder_len(const bl_encoder_t *e)
{
    return e->len;
}

static char *room(bl_encoder_t *e, apr_size_t want)
{
    if (e->cap - e->len < want) {
        apr_size_t cap = e->cap * 2;
        char *buf;

        while (cap - e->len < want)
            cap *= 2;
        /* The old one stays in the pool: doubling wastes less than it holds,
         * and only a line longer than all before makes it grow. */
        buf = apr_palloc(e->pool, cap);
        memcpy(buf, e->buf, e->len);
        e->buf = buf;
        e->cap = cap;
    }
    return e->buf + e->len;
}

static void put_event(bl_encoder_t *e, const char *name, bl_stamp_t id,
                      const char *data, apr_size_t len)
{
    char *at;

    if (e->plain)
        return;
    at = room(e, bl_sse_event_max(strlen(name), len));
    e->len += bl_sse_event(at, name, id, data, len);
}

static void put_line(bl_encoder_t *e, apr_uint64_t build,
                     const bl_record_t *rec)
{
    if (e->plain) {
        char *at = room(e, bl_plain_line_max(e->style.format, rec->len));

        e->len += bl_plain_line(at, e->style.format, build, rec);
    }
    else {
        char *at = room(e, bl_sse_line_max(&e->style, rec->len));

        e->len += bl_sse_line(at, &e->style, build, rec);
    }
}

void bl_encoder_numbered(bl_encoder_t *e, apr_uint64_t line,
                         const bl_record_t *rec)
{
    char *at = room(e, bl_sse_numbered_max(rec->len));

    e->len += bl_sse_numbered(at, line, rec);
}

void bl_encoder_put(bl_encoder_t *e, const char *bytes, apr_size_t len)
{
    memcpy(room(e, len), bytes, len);
    e->len += len;
}

int bl_encoder_record(bl_encoder_t *e, apr_uint64_t build,
                      const bl_record_t *rec, int alone)
{
    if (BL_REC_IS_LINE(rec)) {
        put_line(e, build, rec);
        return 0;
    }
    if (!alone || (rec->flags & BL_REC_END) == 0) {
        put_event(e, "build", rec->id, rec->text, rec->len);
        return 0;
    }
    /* Only the last event carries the id: who got the first but not the
     * second comes back for it. */
    put_event(e, "build", 0, rec->text, rec->len);
    put_event(e, "end", rec->id, rec->text, rec->len);
    return 1;
}

void bl_encoder_gap(bl_encoder_t *e, bl_stamp_t after, bl_stamp_t from)
{
    char data[96], behind[32] = "null";
    int n;

    if (from != 0)
        apr_snprintf(behind, sizeof(behind), "\"%" APR_UINT64_T_FMT "\"",
                     from);
    n = apr_snprintf(data, sizeof(data),
                     "{\"after\":\"%" APR_UINT64_T_FMT "\",\"from\":%s}",
                     after, behind);
    put_event(e, "gap", 0, data, (apr_size_t)n);
}

void bl_encoder_hole(bl_encoder_t *e, apr_uint64_t build, bl_stamp_t after,
                     const bl_record_t *next)
{
    bl_record_t rec;

    if (!e->plain) {
        bl_encoder_gap(e, after, next->id);
        return;
    }
    bl_middle_record(&rec, next->id);
    put_line(e, build, &rec);
}

void bl_encoder_ping(bl_encoder_t *e, bl_stamp_t at, apr_time_t now)
{
    char data[64] = "{\"time\":\"";
    apr_size_t len = strlen(data);

    bl_stamp_write(data + len, (bl_stamp_t)now);
    len += BL_STAMP_TEXT_LEN;
    data[len++] = '"';
    data[len++] = '}';
    put_event(e, "ping", at, data, len);
}
