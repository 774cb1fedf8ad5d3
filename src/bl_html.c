/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_html.c - hostile text becomes text of an HTML document
 *
 * INVARIANTS    H1, H2 in bl_html.h
 */
#include "bl_html.h"

/* libc */
#include <string.h>
/* layer 0 */
#include "bl_control.h"

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

/* ---- characters ----------------------------------------------------- */

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
    apr_size_t n = bl_control_character(&c, text, len);

    *used = n > 0 ? n : 1;
    if (n == 0 && html->state == BL_CONTROL_STRING)
        return 0;
    if (n == 0) {
        html->state = BL_CONTROL_NONE;
        return put(out, REPLACEMENT, 3);
    }
    if (html->state != BL_CONTROL_NONE && bl_control_takes(&html->state, c))
        return 0;
    if (bl_control_begins(&html->state, c))
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
        apr_size_t n =
            html->state == BL_CONTROL_NONE ? plain_run(*text, most) : 0;

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
    bl_html_t html = {BL_CONTROL_NONE};

    out[bl_html_text(out, room, &html, &text, &len)] = '\0';
    return out;
}
