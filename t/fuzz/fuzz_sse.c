/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_sse.c - any text as a line, as the data of an event, as a position
 * (E1, E2)
 *
 * INPUT  byte 0   bit 0: JSON, bit 1: stderr, bit 2: no stamp; bits 3-5: flags
 *        byte 1   the step
 *        then the text
 *
 * A frame has its fields and no others, and ends with its only empty line;
 * what was put in comes out again.
 */
#include "bl_sse.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "bl_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD 2
#define ID APR_UINT64_C(1795341600123456)
#define ID_FIELD "id: 1795341600123456\n"
#define STAMP "data: [10:00] "

static void must(int good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "not so: %s\n", what);
    abort();
}

/* The rest behind a text that must be there. */
static const char *behind(const char *frame, const char *want)
{
    size_t len = strlen(want);

    must(strncmp(frame, want, len) == 0, want);
    return frame + len;
}

/* A text with CR and LF blanked, as it stands in a frame. */
static char *blanked(const char *text, size_t len, apr_pool_t *pool)
{
    char *copy = apr_pstrmemdup(pool, text, len);
    size_t i;

    for (i = 0; i < len; i++) {
        if (copy[i] == '\r' || copy[i] == '\n')
            copy[i] = ' ';
    }
    return copy;
}

static void check_json(const char *data, size_t data_len, const char *text,
                       size_t len, apr_pool_t *pool)
{
    bl_json_t *object = NULL;
    const char *why = "";
    int plain = 1;
    size_t i;

    must(memchr(data, '\n', data_len) == NULL &&
             memchr(data, '\r', data_len) == NULL,
         "JSON is one line");
    for (i = 0; i < len; i++)
        plain = plain && text[i] != '\0' && (unsigned char)text[i] < 0x80;
    if (bl_json_parse(&object, data, data_len, &why, pool) != APR_SUCCESS) {
        /* The text of a record is UTF-8 (R1); this one need not be. */
        must(!plain, why);
        return;
    }
    data = bl_json_string(object, "text");
    must(data != NULL && strlen(data) == len && memcmp(data, text, len) == 0,
         "JSON reads back");
}

static void try_line(const uint8_t *head, const char *text, size_t len,
                     apr_pool_t *pool)
{
    bl_record_t rec = {ID, BL_STDOUT, 0, 0, NULL, 0};
    bl_sse_style_t style;
    size_t max;
    size_t size;
    char *frame;
    const char *data;

    memset(&style, 0, sizeof(style));
    style.format = (head[0] & 1) != 0 ? BL_SSE_JSON : BL_SSE_TEXT;
    style.time_format = (head[0] & 4) != 0 ? "" : "10:00";
    rec.stream = (head[0] & 2) != 0 ? BL_STDERR : BL_STDOUT;
    rec.flags = head[0] >> 3 & (BL_REC_PIECE | BL_REC_NOTE | BL_REC_CR);
    rec.step = head[1];
    rec.text = text;
    rec.len = len;

    /* Of the size that was promised, so that a sanitizer sees more. */
    max = bl_sse_line_max(&style, len);
    frame = malloc(max);
    size = bl_sse_line(frame, &style, 42, &rec);
    must(size <= max, "a frame has room");
    must(memcmp(frame + size - 2, "\n\n", 2) == 0, "a frame ends");
    data = behind(frame, ID_FIELD);
    size -= (size_t)(data - frame) + 2;
    if (style.format == BL_SSE_JSON) {
        check_json(behind(data, "data: "), size - 6, text, len, pool);
    }
    else {
        const char *prefix = (head[0] & 4) != 0 ? "data: " : STAMP;

        data = behind(data, prefix);
        must(size - strlen(prefix) == len &&
                 memcmp(data, blanked(text, len, pool), len) == 0,
             "text is as it was, on one line");
    }
    free(frame);
}

static void try_event(const char *data, size_t len, apr_pool_t *pool)
{
    size_t max = bl_sse_event_max(5, len);
    char *frame = malloc(max);
    size_t size = bl_sse_event(frame, "build", ID, data, len);
    const char *rest = behind(frame, ID_FIELD "event: build\ndata: ");

    must(size <= max && size == (size_t)(rest - frame) + len + 2,
         "an event has room");
    must(memcmp(rest, blanked(data, len, pool), len) == 0 &&
             memcmp(rest + len, "\n\n", 2) == 0,
         "an event has its data on one line");
    free(frame);
}

static void try_from(const char *text, size_t len)
{
    bl_from_e from = BL_FROM_TAIL;
    bl_stamp_t id = 0;
    apr_status_t rv = bl_sse_from_read(&from, &id, text, len);

    must((id != 0) == (rv == APR_SUCCESS && from == BL_FROM_ID),
         "a position has an id or none");
    must(id <= BL_STAMP_MAX, "an id is in range");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;

    if (pool == NULL) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
    }
    if (size >= HEAD)
        try_line(data, (const char *)data + HEAD, size - HEAD, pool);
    try_event((const char *)data, size, pool);
    try_from((const char *)data, size);
    apr_pool_clear(pool);
    return 0;
}
