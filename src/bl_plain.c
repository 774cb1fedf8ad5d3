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
