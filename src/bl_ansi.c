/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_ansi.c - a line of a log for a terminal: stamp, colours
 *
 * FORMAT        SGR of ECMA-48: ESC [ numbers m
 * INVARIANTS    N1, N2 in bl_ansi.h
 */
#include "bl_ansi.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_strings.h>
/* layer 0 */
#include "bl_control.h"

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */
#define REPLACEMENT_BYTES 3

#define FAINT "\033[2m"
#define BOLD "\033[1m"
#define RED "\033[31m"
#define OFF "\033[0m"

/* All that a line has besides its texts. */
#define FRAME FAINT "[ #] " OFF RED OFF "\n"
#define NUMBER_MAX 20

static char *put(char *at, const char *text, apr_size_t len)
{
    memcpy(at, text, len);
    return at + len;
}

static inline char *put_literal(char *at, const char *text)
{
    return put(at, text, strlen(text));
}

/* Bytes at the start that pass as they are: most of a text, all of its other
 * characters too. */
static apr_size_t plain_run(const char *text, apr_size_t len)
{
    apr_size_t n;

    for (n = 0; n < len; n++) {
        unsigned char c = (unsigned char)text[n];

        /* From C2 80 to C2 9F the control characters have a second form. */
        if ((c < 0x20 && c != '\t') || c == 0x7F || c == 0xC2)
            break;
    }
    return n;
}

/* @return the bytes of a sequence for colours at the start of a text; 0: it is
 * none */
static apr_size_t colours_len(const char *text, apr_size_t len)
{
    apr_size_t n = 2;

    if (len < 3 || text[0] != '\033' || text[1] != '[')
        return 0;
    while (n < len && text[n] >= '0' && text[n] <= ';')
        n++;
    return n < len && text[n] == 'm' ? n + 1 : 0;
}

/* One character, or a sequence for colours; *used are its bytes. */
static char *put_special(char *at, apr_size_t *used, bl_control_e *state,
                         const char *text, apr_size_t len)
{
    apr_uint32_t c = 0;
    apr_size_t n;

    if (*state == BL_CONTROL_NONE) {
        *used = colours_len(text, len);
        if (*used > 0)
            return put(at, text, *used);
    }
    n = bl_control_character(&c, text, len);
    *used = n > 0 ? n : 1;
    if (n == 0) {
        if (*state == BL_CONTROL_STRING)
            return at;
        *state = BL_CONTROL_NONE;
        return put_literal(at, REPLACEMENT);
    }
    if ((*state != BL_CONTROL_NONE && bl_control_takes(state, c)) ||
        bl_control_begins(state, c))
        return at;
    if ((c < 0x20 && c != '\t') || c == 0x7F)
        return put_literal(at, REPLACEMENT);
    return put(at, text, n);
}

static char *put_text(char *at, const char *text, apr_size_t len)
{
    bl_control_e state = BL_CONTROL_NONE;

    while (len > 0) {
        apr_size_t n = state == BL_CONTROL_NONE ? plain_run(text, len) : 0;

        if (n > 0)
            at = put(at, text, n);
        else
            at = put_special(at, &n, &state, text, len);
        text += n;
        len -= n;
    }
    return at;
}

apr_size_t bl_ansi_line_max(apr_size_t len)
{
    return sizeof(FRAME) + NUMBER_MAX +
           REPLACEMENT_BYTES * (BL_STAMP_LOCAL_MAX + len);
}

/* "[2026-11-22 10:00:00 #42] ", as much of it as there is to say. */
static char *put_stamp(char *at, bl_sse_style_t *style, apr_uint64_t build,
                       bl_stamp_t id)
{
    bl_stamp_local(&style->local, style->time_format, id);
    if (style->local.len == 0 && build == 0)
        return at;
    at = put_literal(at, FAINT "[");
    at = put_text(at, style->local.text, style->local.len);
    if (build != 0) {
        at = put_literal(at, style->local.len > 0 ? " #" : "#");
        at += apr_snprintf(at, NUMBER_MAX + 1, "%" APR_UINT64_T_FMT, build);
    }
    return put_literal(at, "]" OFF " ");
}

apr_size_t bl_ansi_line(char *out, bl_sse_style_t *style, apr_uint64_t build,
                        const bl_record_t *rec)
{
    char *at = put_stamp(out, style, build, rec->id), *text;
    int coloured = 1;

    if (rec->stream == BL_STDERR)
        at = put_literal(at, RED);
    else if ((rec->flags & BL_REC_NOTE) != 0)
        at = put_literal(at, BOLD);
    else
        coloured = 0;
    text = at;
    at = put_text(at, rec->text, rec->len);
    if (coloured || memchr(text, '\033', (apr_size_t)(at - text)) != NULL)
        at = put_literal(at, OFF);
    *at++ = '\n';
    return (apr_size_t)(at - out);
}
