/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_lines.c - any bytes, in any reads, with any flushes (L1 .. L6)
 *
 * INPUT  byte 0      the limit, above 16
 *        then reads: one byte (bits 0-5: how many bytes follow, bit 7: a flush
 *                    comes after them), the bytes
 *
 * Each emit is text that a record can hold; and the whole lines are the same
 * as when all bytes come in one read.
 */
#include "bl_lines.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define READ_MAX 0x3F
#define FLUSH_AFTER 0x80

typedef struct {
    apr_size_t limit;
    char *text; /* whole lines; then the pieces of one that is begun */
    size_t lines_len;
    size_t len;
    int begun;
    size_t emitted; /* bytes in all */
} sink_t;

static void must(int good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "not so: %s\n", what);
    abort();
}

/* Decodes by value: no part of the code that is tested. */
static int is_utf8(const unsigned char *s, size_t len)
{
    static const unsigned long least[] = {0, 0x80, 0x800, 0x10000};
    const unsigned char *end = s + len;

    while (s < end) {
        unsigned char first = *s++;
        int more = first < 0x80 ? 0 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
        unsigned long point = more == 0 ? first : first & (0x3F >> more);
        int i;

        if ((first >= 0x80 && first < 0xC0) || first > 0xF7 || end - s < more)
            return 0;
        for (i = 0; i < more; i++, s++) {
            if ((*s & 0xC0) != 0x80)
                return 0;
            point = point << 6 | (*s & 0x3F);
        }
        if (point < least[more] || point > 0x10FFFF ||
            (point >= 0xD800 && point <= 0xDFFF))
            return 0;
    }
    return 1;
}

static void take(void *baton, unsigned flags, const char *text, apr_size_t len)
{
    sink_t *sink = baton;

    must(flags == 0 || flags == BL_REC_PIECE || flags == BL_REC_CR,
         "an emit is a line, a piece or a frame");
    must(len <= 3 * sink->limit, "text is at most 3 times the limit");
    must(is_utf8((const unsigned char *)text, len), "text is UTF-8");
    must(memchr(text, '\n', len) == NULL && memchr(text, '\r', len) == NULL &&
             memchr(text, '\0', len) == NULL,
         "text has no LF, CR, NUL");
    must(len > 0 || flags == 0 || (flags == BL_REC_CR && sink->begun),
         "no piece is empty, and a frame only after pieces");

    sink->emitted += len;
    sink->begun = flags == BL_REC_PIECE;
    if (flags == BL_REC_CR) {
        sink->len = sink->lines_len;
        return;
    }
    memcpy(sink->text + sink->len, text, len);
    sink->len += len;
    if (flags == 0) {
        sink->text[sink->len++] = '\n';
        sink->lines_len = sink->len;
    }
}

/* Feed the reads, or (bytes != NULL) only collect what they bring. */
static size_t for_reads(const uint8_t *data, size_t size, bl_lines_t *lines,
                        char *bytes)
{
    size_t len = 0;

    while (size > 0) {
        uint8_t head = *data++;
        size_t read = head & READ_MAX;

        size--;
        read = read < size ? read : size;
        if (bytes != NULL) {
            memcpy(bytes + len, data, read);
        }
        else {
            bl_lines_feed(lines, (const char *)data, read);
            if ((head & FLUSH_AFTER) != 0)
                bl_lines_flush(lines);
        }
        len += read;
        data += read;
        size -= read;
    }
    return len;
}

static void sink_open(sink_t *sink, apr_size_t limit, size_t size)
{
    memset(sink, 0, sizeof(*sink));
    sink->limit = limit;
    sink->text = malloc(4 * size + 4); /* an LF, or three for each byte */
}

static void check(const uint8_t *data, size_t size, apr_pool_t *pool)
{
    apr_size_t limit = 16u + data[0];
    char *bytes = malloc(size);
    size_t len = for_reads(data + 1, size - 1, NULL, bytes);
    sink_t cut;
    sink_t uncut;
    bl_lines_t *lines;

    sink_open(&cut, limit, size);
    lines = bl_lines_create(limit, take, &cut, pool);
    for_reads(data + 1, size - 1, lines, NULL);
    bl_lines_finish(lines);
    must(!cut.begun && !bl_lines_pending(lines), "the end leaves nothing");
    /* An LF that ends a flushed frame repeats it (L6): twice at most. */
    must(cut.emitted <= 6 * len, "emits are bounded by what was fed");

    sink_open(&uncut, limit, size);
    lines = bl_lines_create(limit, take, &uncut, pool);
    bl_lines_feed(lines, bytes, len);
    bl_lines_finish(lines);
    /* A last frame that was flushed is not a line as well. */
    if (len > 0 && bytes[len - 1] != '\r')
        must(cut.len == uncut.len &&
                 memcmp(cut.text, uncut.text, cut.len) == 0,
             "lines are the same however the reads cut them");
    free(cut.text);
    free(uncut.text);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;

    if (size == 0)
        return 0;
    if (pool == NULL) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
    }
    check(data, size, pool);
    apr_pool_clear(pool);
    return 0;
}
