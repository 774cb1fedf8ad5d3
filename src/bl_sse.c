/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_sse.c - Server-Sent Events: frames out, positions in
 *
 * FORMAT        "Server-sent events" of the WHATWG HTML standard. Every field
 *               is written "name: value": a reader takes one blank away after
 *               the colon, so a text that begins with blanks keeps them all.
 *               "data: " with nothing behind it is an event too (its data is
 *               the empty string); only an event without a data field is
 *               dropped. So no line is lost, not even an empty one without a
 *               stamp.
 * INVARIANTS    E1 to E3 in bl_sse.h
 *               E2 in text: CR and LF become blanks, also those that a time
 *               format makes (%n). In JSON they are escaped and come out
 *               again at the client as they were.
 * DIAGNOSTICS   none
 * LIMITS        written once per line and format: no printf, no allocation
 */
#include "bl_sse.h"

/* system */
#include <assert.h>
#include <string.h>
/* layer 0 */
#include "bl_json.h"

/* Decimal digits of the largest apr_uint64_t. */
#define NUMBER_MAX 20

/* All that a frame can have besides its values: sizes come from here. */
#define TEXT_FRAME "id: \ndata: [] \n\n"
#define JSON_FRAME                                                            \
    "id: \ndata: {\"build\":,\"id\":\"\",\"time\":\"\",\"stream\":\"stdout\"" \
    ",\"text\":\"\",\"step\":,\"partial\":true,\"cr\":true,\"note\":true}"    \
    "\n\n"
#define NUMBERED                                                              \
    "{\"line\":,\"id\":\"\",\"time\":\"\",\"stream\":\"stdout\",\"text\":"    \
    "\"\""                                                                    \
    ",\"step\":,\"partial\":true,\"cr\":true,\"note\":true,\"gap\":true}"
#define EVENT_FRAME "id: \nevent: \ndata: \n\n"

/* ---- pieces: each writes at "at" and returns the place behind ------- */

static char *put(char *at, const char *bytes, apr_size_t len)
{
    memcpy(at, bytes, len);
    return at + len;
}

/* For literals: the compiler knows their length. */
static inline char *put_literal(char *at, const char *text)
{
    return put(at, text, strlen(text));
}

static char *put_number(char *at, apr_uint64_t n)
{
    char digits[NUMBER_MAX];
    apr_size_t first = sizeof(digits);

    do {
        digits[--first] = (char)('0' + n % 10);
        n /= 10;
    } while (n != 0);
    return put(at, digits + first, sizeof(digits) - first);
}

static char *put_id(char *at, bl_stamp_t id)
{
    at = put_literal(at, "id: ");
    at += bl_stamp_write_id(at, id);
    *at++ = '\n';
    return at;
}

static void blank_out(char *from, char *end, char bad)
{
    char *hit = memchr(from, bad, (apr_size_t)(end - from));

    while (hit != NULL) {
        *hit++ = ' ';
        hit = memchr(hit, bad, (apr_size_t)(end - hit));
    }
}

/* E2: done on the copy, for there a search is all that a clean line costs. */
static void keep_one_line(char *from, char *end)
{
    blank_out(from, end, '\n');
    blank_out(from, end, '\r');
}

/* ---- lines ---------------------------------------------------------- */

static char *put_text_line(char *at, bl_sse_style_t *style,
                           const bl_record_t *rec)
{
    char *data;

    bl_stamp_local(&style->local, style->time_format, rec->id);
    data = at = put_literal(at, "data: ");
    if (style->local.len > 0) {
        *at++ = '[';
        at = put(at, style->local.text, style->local.len);
        at = put_literal(at, "] ");
    }
    at = put(at, rec->text, rec->len);
    keep_one_line(data, at);
    return at;
}

/* What the objects of a line share. */
static char *put_fields(char *at, const bl_record_t *rec)
{
    at = put_literal(at, ",\"id\":\"");
    at += bl_stamp_write_id(at, rec->id);
    at = put_literal(at, "\",\"time\":\"");
    bl_stamp_write(at, rec->id);
    at += BL_STAMP_TEXT_LEN;
    at = rec->stream == BL_STDERR
             ? put_literal(at, "\",\"stream\":\"stderr\",\"text\":\"")
             : put_literal(at, "\",\"stream\":\"stdout\",\"text\":\"");
    at += bl_json_escape(at, rec->text, rec->len);
    *at++ = '"';
    if (rec->step > 0) {
        at = put_literal(at, ",\"step\":");
        at = put_number(at, rec->step);
    }
    if ((rec->flags & BL_REC_PIECE) != 0)
        at = put_literal(at, ",\"partial\":true");
    if ((rec->flags & BL_REC_CR) != 0)
        at = put_literal(at, ",\"cr\":true");
    if ((rec->flags & BL_REC_NOTE) != 0)
        at = put_literal(at, ",\"note\":true");
    return at;
}

static char *put_json(char *at, apr_uint64_t build, const bl_record_t *rec)
{
    at = put_literal(at, "{\"build\":");
    at = put_number(at, build);
    at = put_fields(at, rec);
    *at++ = '}';
    return at;
}

apr_size_t bl_sse_line_max(const bl_sse_style_t *style, apr_size_t len)
{
    if (style->format == BL_SSE_JSON)
        /* Numbers: the build, the id twice, the step. */
        return sizeof(JSON_FRAME) + 4 * NUMBER_MAX + BL_STAMP_TEXT_LEN +
               BL_JSON_ESCAPE_GROWTH * len;
    return sizeof(TEXT_FRAME) + NUMBER_MAX + BL_STAMP_LOCAL_MAX + len;
}

apr_size_t bl_sse_line(char *out, bl_sse_style_t *style, apr_uint64_t build,
                       const bl_record_t *rec)
{
    char *at = put_id(out, rec->id);

    if (style->format == BL_SSE_JSON)
        at = put_json(put_literal(at, "data: "), build, rec);
    else
        at = put_text_line(at, style, rec);
    at = put_literal(at, "\n\n");
    return (apr_size_t)(at - out);
}

apr_size_t bl_sse_json(char *out, apr_uint64_t build, const bl_record_t *rec)
{
    return (apr_size_t)(put_json(out, build, rec) - out);
}

apr_size_t bl_sse_numbered_max(apr_size_t len)
{
    /* Numbers: the line, the id, the step. */
    return sizeof(NUMBERED) + 3 * NUMBER_MAX + BL_STAMP_TEXT_LEN +
           BL_JSON_ESCAPE_GROWTH * len;
}

apr_size_t bl_sse_numbered(char *out, apr_uint64_t line,
                           const bl_record_t *rec)
{
    char *at = put_literal(out, "{\"line\":");

    at = put_number(at, line);
    at = put_fields(at, rec);
    if ((rec->flags & BL_REC_GAP) != 0)
        at = put_literal(at, ",\"gap\":true");
    *at++ = '}';
    return (apr_size_t)(at - out);
}

/* ---- events --------------------------------------------------------- */

apr_size_t bl_sse_event_max(apr_size_t name_len, apr_size_t data_len)
{
    return sizeof(EVENT_FRAME) + NUMBER_MAX + name_len + data_len;
}

apr_size_t bl_sse_event(char *out, const char *name, bl_stamp_t id,
                        const char *data, apr_size_t len)
{
    char *at = out;
    char *value;

    /* E3: the browser's own events have these names, a page could not tell. */
    assert(strcmp(name, "error") != 0 && strcmp(name, "open") != 0);

    if (id != 0)
        at = put_id(at, id);
    at = put_literal(at, "event: ");
    at = put(at, name, strlen(name));
    at = put_literal(at, "\ndata: ");
    value = at;
    at = put(at, data, len);
    keep_one_line(value, at);
    at = put_literal(at, "\n\n");
    return (apr_size_t)(at - out);
}

apr_size_t bl_sse_retry(char *out, apr_uint32_t ms)
{
    char *at = put_literal(out, "retry: ");

    at = put_number(at, ms);
    at = put_literal(at, "\n\n");
    return (apr_size_t)(at - out);
}

/* ---- positions ------------------------------------------------------ */

static int is_word(const char *text, apr_size_t len, const char *word)
{
    return len == strlen(word) && memcmp(text, word, len) == 0;
}

apr_status_t bl_sse_from_read(bl_from_e *from, bl_stamp_t *id,
                              const char *text, apr_size_t len)
{
    apr_status_t rv;

    if (is_word(text, len, "start")) {
        *from = BL_FROM_START;
        return APR_SUCCESS;
    }
    if (is_word(text, len, "tail")) {
        *from = BL_FROM_TAIL;
        return APR_SUCCESS;
    }
    rv = bl_stamp_read_id(id, text, len);
    if (rv != APR_SUCCESS)
        return rv;
    *from = BL_FROM_ID;
    return APR_SUCCESS;
}
