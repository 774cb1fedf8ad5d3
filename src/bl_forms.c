/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_forms.c - the forms in which a program may print a value
 */
#include "bl_forms.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_lib.h>
#include <apr_strings.h>

#define LINE_ENDS "\r\n"
#define BLANKS " \t"

typedef struct {
    apr_array_header_t *list;
    apr_size_t least;
    apr_pool_t *pool;
} forms_t;

static void add(forms_t *forms, const char *text, apr_size_t len)
{
    if (len >= forms->least)
        APR_ARRAY_PUSH(forms->list, const char *) =
            apr_pstrmemdup(forms->pool, text, len);
}

/* Without these characters around it. */
static const char *trim(const char *text, apr_size_t *len, const char *chars)
{
    while (*len > 0 && strchr(chars, text[0]) != NULL) {
        text++;
        --*len;
    }
    while (*len > 0 && strchr(chars, text[*len - 1]) != NULL)
        --*len;
    return text;
}

static void add_lines(forms_t *forms, const char *text)
{
    while (*text != '\0') {
        apr_size_t all = strcspn(text, LINE_ENDS), len = all;
        const char *line = trim(text, &len, BLANKS);

        add(forms, line, len);
        text += all;
        text += strspn(text, LINE_ENDS);
    }
}

/* ---- base64 --------------------------------------------------------- */

#define COMMON "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define PLAIN COMMON "+/"
#define FOR_URLS COMMON "-_"

/* Six bits of text that begin at this bit; what is outside of it is 0. */
static unsigned sextet(const unsigned char *text, apr_size_t len,
                       apr_size_t bit)
{
    apr_size_t at = bit / 8;
    unsigned two = (at < len ? (unsigned)text[at] : 0u) << 8 |
                   (at + 1 < len ? (unsigned)text[at + 1] : 0u);

    return two >> (10 - bit % 8) & 0x3Fu;
}

/* As part of something longer a value may begin at any of the three places of
 * a group. A character that has bits of a neighbour, too, belongs to no form,
 * except at the end, where the encoder fills up with zeros and "=". */
static void add_base64(forms_t *forms, const char *text, const char *alphabet)
{
    apr_size_t len = strlen(text), place;
    char *out = apr_palloc(forms->pool, len / 3 * 4 + 12);

    for (place = 0; place < 3; place++) {
        /* The bits of the first byte of the group that are not ours. */
        apr_size_t bit = place == 0 ? 0 : place == 1 ? 4 : 2, n = 0;

        for (; bit + 6 <= 8 * len; bit += 6)
            out[n++] = alphabet[sextet((const unsigned char *)text, len, bit)];
        add(forms, out, n);
        if (bit < 8 * len) {
            out[n++] = alphabet[sextet((const unsigned char *)text, len, bit)];
            add(forms, out, n);
            out[n++] = '=';
            add(forms, out, n);
            out[n++] = '=';
            if ((place + len) % 3 == 1)
                add(forms, out, n);
        }
    }
}

/* ---- percent-encoding ----------------------------------------------- */

/* What encoders leave as it is, besides letters and digits. */
typedef struct {
    const char *kept;
    int plus; /* a blank becomes "+" */
} encoder_t;

static const encoder_t encoders[] = {
    {"-._~", 0},                 /* RFC 3986 */
    {"-._~/", 0},                /* ... of a path */
    {"-._~!*'()", 0},            /* encodeURIComponent */
    {"-._~!*'();,/?:@&=+$#", 0}, /* encodeURI */
    {"-._*", 1},                 /* forms */
    {"-._~", 1},                 /* Python's quote_plus */
    {"-._", 1},                  /* PHP's urlencode */
};

static void add_encoded(forms_t *forms, const char *text,
                        const encoder_t *encoder, const char *digits)
{
    char *out = apr_palloc(forms->pool, 3 * strlen(text) + 1), *end = out;

    for (; *text != '\0'; text++) {
        if (apr_isalnum(*text) && (unsigned char)*text < 0x80) {
            *end++ = *text;
        }
        else if (strchr(encoder->kept, *text) != NULL) {
            *end++ = *text;
        }
        else if (*text == ' ' && encoder->plus) {
            *end++ = '+';
        }
        else {
            *end++ = '%';
            *end++ = digits[(unsigned char)*text >> 4];
            *end++ = digits[(unsigned char)*text & 0xF];
        }
    }
    add(forms, out, (apr_size_t)(end - out));
}

/* Most values have nothing to encode, and all of these are the value. */
static int is_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text >= 0x80 ||
            (!apr_isalnum(*text) && strchr("-._", *text) == NULL))
            return 0;
    }
    return 1;
}

static void add_percent(forms_t *forms, const char *text)
{
    apr_size_t i;

    if (is_plain(text))
        return;
    for (i = 0; i < sizeof(encoders) / sizeof(encoders[0]); i++) {
        add_encoded(forms, text, &encoders[i], "0123456789ABCDEF");
        add_encoded(forms, text, &encoders[i], "0123456789abcdef");
    }
}

/* ---- all ------------------------------------------------------------ */

apr_size_t bl_forms_len(const char *value)
{
    apr_size_t len = strlen(value);

    trim(value, &len, BLANKS LINE_ENDS);
    return len;
}

int bl_forms_add(apr_array_header_t *list, const char *value, apr_size_t least,
                 apr_pool_t *p)
{
    forms_t forms = {list, least, p};
    apr_size_t len = strlen(value);
    const char *text = trim(value, &len, BLANKS LINE_ENDS);
    int before = list->nelts;

    /* What is too short by itself is so in a longer form, too. */
    if (len < least)
        return 0;
    text = apr_pstrmemdup(p, text, len);
    add(&forms, text, len);
    if (strpbrk(text, LINE_ENDS) != NULL)
        add_lines(&forms, text);
    add_base64(&forms, text, PLAIN);
    add_base64(&forms, text, FOR_URLS);
    add_percent(&forms, text);
    return list->nelts - before;
}
