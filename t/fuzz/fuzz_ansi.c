/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_ansi.c - any bytes as a line for a terminal (N1, N2)
 *
 * INPUT  byte 0   stream and kind of the record
 *        byte 1   how much of the rest is the format of the stamp
 *        then the text
 *
 * What comes out is one line, and of control characters it has only TAB and
 * those of sequences for colours, which are over where it ends.
 */
#include "bl_ansi.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "not so: %s\n", what);
    abort();
}

/* @return bytes of the sequence for colours that stands here; 0: none does */
static size_t colours(const char *out, size_t len)
{
    size_t n = 2;

    if (len < 3 || out[1] != '[')
        return 0;
    while (n < len && strchr("0123456789:;", out[n]) != NULL)
        n++;
    return n < len && out[n] == 'm' ? n + 1 : 0;
}

static void check(const char *out, size_t len)
{
    int coloured = 0;
    size_t i = 0;

    must(len > 0 && out[len - 1] == '\n', "a line");
    len--;
    while (i < len) {
        unsigned char c = (unsigned char)out[i];

        if (c == 0x1B) {
            size_t n = colours(out + i, len - i);

            must(n > 0, "nothing but colours");
            coloured = !(n == 4 && out[i + 2] == '0');
            i += n;
            continue;
        }
        must(c >= 0x20 || c == '\t', "no control character");
        must(c != 0x7F, "no DEL");
        must(!(c == 0xC2 && i + 1 < len && (unsigned char)out[i + 1] < 0xA0 &&
               (unsigned char)out[i + 1] >= 0x80),
             "none in its other form");
        i++;
    }
    must(!coloured, "behind it nothing is coloured");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bl_sse_style_t style;
    bl_record_t rec;
    char format[64];
    size_t room, len;
    char *out;

    if (size < 2)
        return 0;
    len = data[1] % sizeof(format);
    if (len > size - 2)
        len = size - 2;
    memcpy(format, data + 2, len);
    format[len] = '\0';
    memset(&style, 0, sizeof(style));
    style.time_format = format;
    memset(&rec, 0, sizeof(rec));
    rec.id = UINT64_C(1795341600123456);
    rec.stream = (data[0] & 1) != 0 ? BL_STDERR : BL_STDOUT;
    rec.flags = (data[0] & 2) != 0 ? BL_REC_NOTE : 0;
    rec.text = (const char *)data + 2 + len;
    rec.len = size - 2 - len;
    room = bl_ansi_line_max(rec.len);
    out = malloc(room);
    len = bl_ansi_line(out, &style, (data[0] & 4) != 0 ? UINT64_MAX : 0, &rec);
    must(len <= room, "no more than announced");
    check(out, len);
    free(out);
    return 0;
}
