/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_plain.c - a log as a document: text, or a JSON object a line (NDJSON)
 */
#include "bl_plain.h"

/* libc */
#include <string.h>

apr_size_t bl_plain_text_len(const bl_record_t *rec)
{
    return rec->len + ((rec->flags & BL_REC_PIECE) == 0);
}

void bl_plain_text_copy(char *out, const bl_record_t *rec, apr_size_t from,
                        apr_size_t len)
{
    if (len > 0 && from + len > rec->len)
        out[--len] = '\n';
    memcpy(out, rec->text + from, len);
}

apr_size_t bl_plain_line_max(bl_sse_format_e format, apr_size_t len)
{
    const bl_sse_style_t style = {BL_SSE_JSON, NULL, {0, 0, ""}};

    return (format == BL_SSE_JSON ? bl_sse_line_max(&style, len) : len) + 1;
}

apr_size_t bl_plain_line(char *out, bl_sse_format_e format, apr_uint64_t build,
                         const bl_record_t *rec)
{
    apr_size_t len;

    if (format == BL_SSE_JSON) {
        len = bl_sse_json(out, build, rec);
        out[len++] = '\n';
        return len;
    }
    len = bl_plain_text_len(rec);
    bl_plain_text_copy(out, rec, 0, len);
    return len;
}

/* ---- events --------------------------------------------------------- */

#define EVENT "{\"event\":\"\",\"id\":\"\",\"data\":}\n"
#define ID_MAX 18

static char *put(char *at, const char *bytes, apr_size_t len)
{
    memcpy(at, bytes, len);
    return at + len;
}

static inline char *put_literal(char *at, const char *text)
{
    return put(at, text, strlen(text));
}

apr_size_t bl_plain_event_max(apr_size_t name_len, apr_size_t data_len)
{
    return sizeof(EVENT) + ID_MAX + name_len + data_len;
}

apr_size_t bl_plain_event(char *out, const char *name, bl_stamp_t id,
                          const char *data, apr_size_t len)
{
    char *at = put_literal(out, "{\"event\":\""), *s;

    at = put_literal(at, name);
    if (id != 0) {
        at = put_literal(at, "\",\"id\":\"");
        at += bl_stamp_write_id(at, id);
    }
    s = at = put_literal(at, "\",\"data\":");
    at = put(at, data, len);
    for (; s < at; s++) {
        if (*s == '\n' || *s == '\r')
            *s = ' ';
    }
    at = put_literal(at, "}\n");
    return (apr_size_t)(at - out);
}
