/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_svg.c - a badge: two words side by side, as a picture
 *
 * FORMAT        SVG 1.1. Lengths are in pixels; text is 11 pixels high
 * INVARIANTS    V1 to V3 in bl_svg.h
 */
#include "bl_svg.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_strings.h>
/* layer 0 */
#include "bl_html.h"

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */
#define ELLIPSIS "\xE2\x80\xA6"    /* U+2026 */

/* Beside each of the texts. */
#define MARGIN 6

/* White on each of them is read well: 4.5 to 1 at least. */
static const char *const colours[BL_SVG_TONES] = {
    [BL_SVG_GOOD] = "#2e7d32",
    [BL_SVG_BAD] = "#b3261e",
    [BL_SVG_ODD] = "#616161",
};
#define LABEL_COLOUR "#3c3c3c"

/* A text of the picture, escaped. */
typedef struct {
    const char *text;
    int width;
} piece_t;

/* ---- how wide ------------------------------------------------------- */

/* In tenths of a pixel, as common fonts without serifs have it. */
static int ascii_width(char c)
{
    if (strchr("ijl|.,:;'!` ", c) != NULL)
        return 36;
    if (strchr("frtI()[]{}/\\\"-*", c) != NULL)
        return 48;
    if (strchr("mwMW@%", c) != NULL)
        return 102;
    return c >= 'A' && c <= 'Z' ? 79 : 68;
}

/* @param unit  of escaped text: a character, or a reference to one */
static int width_of(const char *unit, apr_size_t len)
{
    const unsigned char *s = (const unsigned char *)unit;

    if (s[0] < 0x80)
        return len == 1 ? ascii_width(*unit) : 75;
    /* From U+2E80 on most are as wide as they are high. */
    if (len == 2 ||
        (len == 3 && (s[0] < 0xE2 || (s[0] == 0xE2 && s[1] < 0xBA))))
        return 72;
    return 115;
}

/* ---- text ----------------------------------------------------------- */

/* Bytes of the first character of escaped text, which is UTF-8. */
static apr_size_t unit_len(const char *s)
{
    unsigned char c = (unsigned char)*s;

    if (c == '&')
        return strcspn(s, ";") + 1;
    return c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

/* U+FFFE and U+FFFF are UTF-8, and not XML. */
static const char *escape(const char *text, apr_pool_t *p)
{
    char *out = apr_pstrdup(p, bl_html_escape(text, p)), *s;

    for (s = out; (s = strstr(s, "\xEF\xBF")) != NULL; s += 3) {
        if ((unsigned char)s[2] >= 0xBE)
            memcpy(s, REPLACEMENT, 3);
    }
    return out;
}

/* @param escaped  as many of its characters as fit */
static piece_t piece_of(const char *escaped, apr_pool_t *p)
{
    piece_t piece = {escaped, 0};
    const char *s = escaped;
    int count = 0;

    while (*s != '\0' && count < BL_SVG_LABEL_MOST) {
        apr_size_t len = unit_len(s);

        piece.width += width_of(s, len);
        s += len;
        count++;
    }
    if (*s != '\0') {
        piece.text = apr_pstrcat(
            p, apr_pstrmemdup(p, escaped, (apr_size_t)(s - escaped)), ELLIPSIS,
            NULL);
        piece.width += width_of(ELLIPSIS, strlen(ELLIPSIS));
    }
    piece.width = (piece.width + 9) / 10;
    return piece;
}

static const char *put_text(const piece_t *piece, int at, apr_pool_t *p)
{
    /* No text at all has no length that it could be given. */
    if (piece->width == 0)
        return "";
    return apr_psprintf(p,
                        "<text x=\"%d\" y=\"14\" textLength=\"%d\" "
                        "lengthAdjust=\"spacingAndGlyphs\">%s</text>",
                        at, piece->width, piece->text);
}

const char *bl_svg_badge(const char *label, const char *word,
                         bl_svg_tone_e tone, apr_pool_t *p)
{
    const char *name =
        apr_pstrcat(p, escape(label, p), ": ", escape(word, p), NULL);
    piece_t left = piece_of(escape(label, p), p);
    piece_t right = piece_of(escape(word, p), p);
    int middle = left.width + 2 * MARGIN;
    int width = middle + right.width + 2 * MARGIN;

    return apr_psprintf(
        p,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"20\" "
        "viewBox=\"0 0 %d 20\" role=\"img\" aria-label=\"%s\">"
        "<title>%s</title>"
        "<rect width=\"%d\" height=\"20\" rx=\"3\" fill=\"%s\"/>"
        "<path d=\"M3 0h%dv20H3a3 3 0 0 1-3-3V3a3 3 0 0 1 3-3z\" "
        "fill=\"" LABEL_COLOUR "\"/>"
        "<g fill=\"#fff\" font-family=\"Verdana,DejaVu Sans,sans-serif\" "
        "font-size=\"11\">%s%s</g></svg>\n",
        width, width, name, name, width, colours[tone], middle - 3,
        put_text(&left, MARGIN, p), put_text(&right, middle + MARGIN, p));
}
