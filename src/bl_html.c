/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_html.c - hostile text becomes text of an HTML document
 *
 * FORMAT        escape sequences as ECMA-48 has them:
 *               ESC [ (parameters 30-3F, intermediates 20-2F)* final 40-7E
 *               ESC ] P X ^ _ string, up to BEL, ESC \ or U+009C
 *               ESC (intermediates 20-2F)* final 30-7E
 *               and U+009B, U+0090, U+0098, U+009D to U+009F for ESC and
 *               their letter. What does not go on as it should is none
 * INVARIANTS    H1, H2 in bl_html.h
 * LIMITS        a string without an end takes the rest of its line with it, as
 *               it does in a terminal
 */
#include "bl_html.h"

/* libc */
#include <string.h>

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

enum { TEXT, ESCAPE, INTERMEDIATE, CONTROL, STRING, STRING_ESCAPE };

/* ---- characters ----------------------------------------------------- */

/* The bytes of the character at the start of a text, and which it is; 0: it
 * is not UTF-8. */
static apr_size_t character(apr_uint32_t *c, const char *text, apr_size_t len)
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

static int is_shown(apr_uint32_t c)
{
    if (c < 0x20 || c == 0x7F)
        return c == '\t';
    return !(c >= 0x202A && c <= 0x202E) && !(c >= 0x2066 && c <= 0x2069);
}

static const char *reference(apr_uint32_t c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

/* ---- sequences ------------------------------------------------------ */

/* What a character from ESC on begins, by the letter behind ESC. */
static int begun_by(apr_uint32_t letter)
{
    if (letter == '[')
        return CONTROL;
    if (letter == ']' || letter == 'P' || letter == 'X' || letter == '^' ||
        letter == '_')
        return STRING;
    return TEXT;
}

/* In a sequence: does it take the character? *state is what follows. */
static int takes(int *state, apr_uint32_t c)
{
    int was = *state;

    switch (was) {
    case STRING:
        *state = c == 0x1B                ? STRING_ESCAPE
                 : c == 0x07 || c == 0x9C ? TEXT
                                          : STRING;
        return 1;
    case CONTROL:
        *state = c >= 0x20 && c < 0x40 ? CONTROL : TEXT;
        return c >= 0x20 && c < 0x7F;
    case INTERMEDIATE:
    case ESCAPE:
    case STRING_ESCAPE:
        if (c >= 0x20 && c < 0x30) {
            *state = INTERMEDIATE;
            return 1;
        }
        *state = was == INTERMEDIATE ? TEXT : begun_by(c);
        return c >= 0x30 && c < 0x7F;
    default:
        return 0;
    }
}

/* Outside of a sequence: does the character begin one, or is it one alone? */
static int begins(int *state, apr_uint32_t c)
{
    if (c == 0x1B)
        *state = ESCAPE;
    else if (c >= 0x80 && c < 0xA0)
        *state = begun_by(c - 0x40);
    else
        return 0;
    return 1;
}

/* ---- text ----------------------------------------------------------- */

/* Bytes at the start that pass as they are: most of a text. */
static apr_size_t plain_run(const char *text, apr_size_t len)
{
    apr_size_t n;

    for (n = 0; n < len; n++) {
        unsigned char c = (unsigned char)text[n];

        if (c < 0x20 || c > 0x7E || reference(c) != NULL)
            break;
    }
    return n;
}

static apr_size_t put(char *out, const char *text, apr_size_t len)
{
    memcpy(out, text, len);
    return len;
}

/* Write the character at the start of the text; *used are its bytes. */
static apr_size_t put_character(char *out, apr_size_t *used, bl_html_t *html,
                                const char *text, apr_size_t len)
{
    apr_uint32_t c = 0;
    apr_size_t n = character(&c, text, len);

    *used = n > 0 ? n : 1;
    if (n == 0 && html->state == STRING)
        return 0;
    if (n == 0) {
        html->state = TEXT;
        return put(out, REPLACEMENT, 3);
    }
    if (html->state != TEXT && takes(&html->state, c))
        return 0;
    if (begins(&html->state, c))
        return 0;
    if (!is_shown(c))
        return put(out, REPLACEMENT, 3);
    if (reference(c) != NULL)
        return put(out, reference(c), strlen(reference(c)));
    return put(out, text, n);
}

apr_size_t bl_html_text(char *out, apr_size_t room, bl_html_t *html,
                        const char **text, apr_size_t *len)
{
    apr_size_t done = 0;

    while (*len > 0 && room - done >= BL_HTML_GROWTH) {
        apr_size_t most = *len < room - done ? *len : room - done;
        apr_size_t n = html->state == TEXT ? plain_run(*text, most) : 0;

        if (n > 0)
            done += put(out + done, *text, n);
        else
            done += put_character(out + done, &n, html, *text, *len);
        *text += n;
        *len -= n;
    }
    return done;
}

const char *bl_html_escape(const char *text, apr_pool_t *p)
{
    apr_size_t len = strlen(text), room = BL_HTML_GROWTH * (len + 1);
    char *out = apr_palloc(p, room + 1);
    bl_html_t html = {TEXT};

    out[bl_html_text(out, room, &html, &text, &len)] = '\0';
    return out;
}
