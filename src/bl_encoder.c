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
#include "bl_ansi.h"
#include "bl_middle.h"
#include "bl_plain.h"

struct bl_encoder_t {
    apr_pool_t *pool;
    bl_form_e form;
    bl_sse_style_t style;
    char *buf;
    apr_size_t len;
    apr_size_t cap;
};

int bl_encoder_speaks(bl_form_e form)
{
    return form == BL_FORM_EVENTS || form == BL_FORM_OBJECTS;
}

bl_encoder_t *bl_encoder_create(bl_form_e form, bl_sse_format_e format,
                                const char *time_format, apr_size_t room,
                                apr_pool_t *p)
{
    bl_encoder_t *e = apr_pcalloc(p, sizeof(*e));

    e->pool = p;
    e->form = form;
    e->style.format = form == BL_FORM_OBJECTS ? BL_SSE_JSON : format;
    e->style.time_format = apr_pstrdup(p, time_format);
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

char *bl_encoder_room(bl_encoder_t *e, apr_size_t want)
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

void bl_encoder_took(bl_encoder_t *e, apr_size_t len)
{
    e->len += len;
}

void bl_encoder_event(bl_encoder_t *e, const char *name, bl_stamp_t id,
                      const char *data, apr_size_t len)
{
    apr_size_t name_len = strlen(name);

    if (e->form == BL_FORM_EVENTS)
        e->len +=
            bl_sse_event(bl_encoder_room(e, bl_sse_event_max(name_len, len)),
                         name, id, data, len);
    else if (e->form == BL_FORM_OBJECTS)
        e->len += bl_plain_event(
            bl_encoder_room(e, bl_plain_event_max(name_len, len)), name, id,
            data, len);
}

void bl_encoder_retry(bl_encoder_t *e, apr_uint32_t ms)
{
    char data[32];
    int n;

    if (e->form == BL_FORM_EVENTS) {
        e->len += bl_sse_retry(bl_encoder_room(e, BL_SSE_RETRY_MAX), ms);
        return;
    }
    n = apr_snprintf(data, sizeof(data), "{\"retry\":%u}", ms);
    bl_encoder_event(e, "retry", 0, data, (apr_size_t)n);
}

/* @param alone  no other build's lines are beside it */
static void put_line(bl_encoder_t *e, apr_uint64_t build,
                     const bl_record_t *rec, int alone)
{
    apr_size_t n;
    char *at;

    switch (e->form) {
    case BL_FORM_EVENTS:
        at = bl_encoder_room(e, bl_sse_line_max(&e->style, rec->len));
        n = bl_sse_line(at, &e->style, build, rec);
        break;
    case BL_FORM_TERMINAL:
        at = bl_encoder_room(e, bl_ansi_line_max(rec->len));
        n = bl_ansi_line(at, &e->style, alone ? 0 : build, rec);
        break;
    default:
        at = bl_encoder_room(e, bl_plain_line_max(e->style.format, rec->len));
        n = bl_plain_line(at, e->style.format, build, rec);
    }
    e->len += n;
}

void bl_encoder_numbered(bl_encoder_t *e, apr_uint64_t line,
                         const bl_record_t *rec)
{
    char *at = bl_encoder_room(e, bl_sse_numbered_max(rec->len));

    e->len += bl_sse_numbered(at, line, rec);
}

void bl_encoder_put(bl_encoder_t *e, const char *bytes, apr_size_t len)
{
    memcpy(bl_encoder_room(e, len), bytes, len);
    e->len += len;
}

int bl_encoder_record(bl_encoder_t *e, apr_uint64_t build,
                      const bl_record_t *rec, int alone)
{
    if (BL_REC_IS_LINE(rec)) {
        put_line(e, build, rec, alone);
        return 0;
    }
    if (!alone || (rec->flags & BL_REC_END) == 0) {
        bl_encoder_event(e, "build", rec->id, rec->text, rec->len);
        return 0;
    }
    /* Only the last event carries the id: who got the first but not the
     * second comes back for it. */
    bl_encoder_event(e, "build", 0, rec->text, rec->len);
    bl_encoder_event(e, "end", rec->id, rec->text, rec->len);
    return 1;
}

/* Words of the module among the lines. */
static void put_note(bl_encoder_t *e, bl_stamp_t id, const char *text)
{
    bl_record_t rec;

    memset(&rec, 0, sizeof(rec));
    rec.id = id;
    rec.stream = BL_STDOUT;
    rec.flags = BL_REC_NOTE;
    rec.text = text;
    rec.len = strlen(text);
    put_line(e, 0, &rec, 1);
}

static const char *id_or_null(char *buf, apr_size_t size, bl_stamp_t id)
{
    if (id == 0)
        return "null";
    apr_snprintf(buf, size, "\"%" APR_UINT64_T_FMT "\"", id);
    return buf;
}

void bl_encoder_gap(bl_encoder_t *e, bl_stamp_t after, bl_stamp_t from)
{
    char data[96], before[32], behind[32];
    int n;

    if (e->form == BL_FORM_TERMINAL) {
        put_note(e, from != 0 ? from : after,
                 "Lines are missing here: they are kept no longer");
        return;
    }
    n = apr_snprintf(data, sizeof(data), "{\"after\":%s,\"from\":%s}",
                     id_or_null(before, sizeof(before), after),
                     id_or_null(behind, sizeof(behind), from));
    bl_encoder_event(e, "gap", 0, data, (apr_size_t)n);
}

void bl_encoder_hole(bl_encoder_t *e, apr_uint64_t build, bl_stamp_t after,
                     const bl_record_t *next, int alone)
{
    bl_record_t rec;

    if (bl_encoder_speaks(e->form)) {
        bl_encoder_gap(e, after, next->id);
        return;
    }
    bl_middle_record(&rec, next->id);
    put_line(e, build, &rec, alone);
}

void bl_encoder_ping(bl_encoder_t *e, bl_stamp_t at, apr_time_t now)
{
    char data[64] = "{\"time\":\"";
    apr_size_t len = strlen(data);

    bl_stamp_write(data + len, (bl_stamp_t)now);
    len += BL_STAMP_TEXT_LEN;
    data[len++] = '"';
    data[len++] = '}';
    bl_encoder_event(e, "ping", at, data, len);
}
