/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_cast.c - a log as a recording of a terminal: asciicast
 *
 * FORMAT        asciicast v2 (docs.asciinema.org): a header as a JSON object,
 *               then an array of time, code and text for each event; a line
 *               each
 */
#include "bl_cast.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_strings.h>
/* layer 0 */
#include "bl_json.h"

/* Builds know no size: wide enough for most of what they print. */
#define COLUMNS 120
#define ROWS 36

/* All that an event has besides its text: the time is the longest there is. */
#define EVENT "[253402300799.999999,\"o\",\"\\r\\n\"]\n"

static char *put(char *at, const char *text, apr_size_t len)
{
    memcpy(at, text, len);
    return at + len;
}

static inline char *put_literal(char *at, const char *text)
{
    return put(at, text, strlen(text));
}

const char *bl_cast_head(const char *title, bl_stamp_t begin,
                         apr_uint64_t duration, apr_pool_t *p)
{
    bl_json_t *object = bl_json_object(p), *env = bl_json_object(p);
    const char *head;

    bl_json_set_int(object, "version", 2);
    bl_json_set_int(object, "width", COLUMNS);
    bl_json_set_int(object, "height", ROWS);
    bl_json_set_int(object, "timestamp", (apr_int64_t)(begin / 1000000));
    bl_json_set_string(object, "title", title);
    bl_json_set_string(env, "TERM", "xterm-256color");
    bl_json_set(object, "env", env);
    head = bl_json_text(object, p);
    if (duration == 0)
        return apr_pstrcat(p, head, "\n", NULL);
    /* A number that is no integer: behind the last one. */
    return apr_psprintf(p, "%.*s,\"duration\":%" APR_UINT64_T_FMT ".%06u}\n",
                        (int)strlen(head) - 1, head, duration / 1000000,
                        (unsigned)(duration % 1000000));
}

apr_size_t bl_cast_event_max(apr_size_t len)
{
    return sizeof(EVENT) + BL_JSON_ESCAPE_GROWTH * len;
}

/* "[1.204113,"o","". What is before the beginning is at it. */
static char *put_begin(char *at, bl_stamp_t begin, bl_stamp_t id,
                       const char *code)
{
    apr_uint64_t time = id > begin ? id - begin : 0;

    at += apr_snprintf(at, sizeof(EVENT),
                       "[%" APR_UINT64_T_FMT ".%06u,\"%s\",\"", time / 1000000,
                       (unsigned)(time % 1000000), code);
    return at;
}

apr_size_t bl_cast_line(char *out, bl_stamp_t begin, const bl_record_t *rec)
{
    char *at = put_begin(out, begin, rec->id, "o");

    at += bl_json_escape(at, rec->text, rec->len);
    if ((rec->flags & BL_REC_CR) != 0)
        at = put_literal(at, "\\r");
    else if ((rec->flags & BL_REC_PIECE) == 0)
        at = put_literal(at, "\\r\\n");
    at = put_literal(at, "\"]\n");
    return (apr_size_t)(at - out);
}

apr_size_t bl_cast_marker(char *out, bl_stamp_t begin, bl_stamp_t id,
                          const char *label, apr_size_t len)
{
    char *at = put_begin(out, begin, id, "m");

    at += bl_json_escape(at, label, len);
    at = put_literal(at, "\"]\n");
    return (apr_size_t)(at - out);
}
