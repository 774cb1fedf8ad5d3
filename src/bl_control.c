/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_control.c - characters, and the sequences by which output controls a
 * terminal
 */
#include "bl_control.h"

apr_size_t bl_control_character(apr_uint32_t *c, const char *text,
                                apr_size_t len)
{
    /* By their bytes: the least that needs so many. */
    static const apr_uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *s = (const unsigned char *)text;
    apr_size_t n, i;

    n = s[0] < 0x80 ? 1 : s[0] < 0xC2 ? 0 : s[0] < 0xE0 ? 2 : 3;
    n = s[0] >= 0xF5 ? 0 : s[0] >= 0xF0 ? 4 : n;
    if (n == 0 || n > len)
        return 0;
    *c = n == 1 ? s[0] : s[0] & (0x7Fu >> n);
    for (i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 0;
        *c = *c << 6 | (s[i] & 0x3Fu);
    }
    return *c < least[n] || *c > 0x10FFFF || (*c >= 0xD800 && *c < 0xE000) ? 0
                                                                           : n;
}

/* What a character from ESC on begins, by the letter behind ESC. */
static bl_control_e begun_by(apr_uint32_t letter)
{
    if (letter == '[')
        return BL_CONTROL_CONTROL;
    if (letter == ']' || letter == 'P' || letter == 'X' || letter == '^' ||
        letter == '_')
        return BL_CONTROL_STRING;
    return BL_CONTROL_NONE;
}

int bl_control_takes(bl_control_e *state, apr_uint32_t c)
{
    bl_control_e was = *state;

    switch (was) {
    case BL_CONTROL_STRING:
        *state = c == 0x1B                ? BL_CONTROL_STRING_ESCAPE
                 : c == 0x07 || c == 0x9C ? BL_CONTROL_NONE
                                          : BL_CONTROL_STRING;
        return 1;
    case BL_CONTROL_CONTROL:
        *state = c >= 0x20 && c < 0x40 ? BL_CONTROL_CONTROL : BL_CONTROL_NONE;
        return c >= 0x20 && c < 0x7F;
    case BL_CONTROL_INTERMEDIATE:
    case BL_CONTROL_ESCAPE:
    case BL_CONTROL_STRING_ESCAPE:
        if (c >= 0x20 && c < 0x30) {
            *state = BL_CONTROL_INTERMEDIATE;
            return 1;
        }
        *state =
            was == BL_CONTROL_INTERMEDIATE ? BL_CONTROL_NONE : begun_by(c);
        return c >= 0x30 && c < 0x7F;
    default:
        return 0;
    }
}

int bl_control_begins(bl_control_e *state, apr_uint32_t c)
{
    if (c == 0x1B)
        *state = BL_CONTROL_ESCAPE;
    else if (c >= 0x80 && c < 0xA0)
        *state = begun_by(c - 0x40);
    else
        return 0;
    return 1;
}
