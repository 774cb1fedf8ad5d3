/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_html.c - any bytes as text of an HTML document (H1, H2)
 *
 * INPUT  byte 0   how much room there is at a time
 *        byte 1   where the text is cut
 *        then the text
 *
 * What comes out has no markup and no control character, and is UTF-8.
 */
#include "bl_html.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>

#include "bl_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "not so: %s\n", what);
    abort();
}

static size_t convert(char *out, bl_html_t *html, const char *text,
                      apr_size_t len, size_t room)
{
    size_t done = 0;

    while (len > 0) {
        apr_size_t before = len;
        char *some = malloc(room);
        size_t n = bl_html_text(some, room, html, &text, &len);

        must(len < before, "progress");
        memcpy(out + done, some, n);
        done += n;
        free(some);
    }
    return done;
}

static void check(const char *out, size_t len, apr_pool_t *pool)
{
    char *json = apr_palloc(pool, BL_JSON_ESCAPE_GROWTH * len + 16);
    const char *why = "";
    bl_json_t *object;
    size_t n, i;

    for (i = 0; i < len; i++) {
        must((unsigned char)out[i] >= 0x20 || out[i] == '\t', "no control");
        must(strchr("\x7F<>\"'", out[i]) == NULL, "no markup");
    }
    /* The parser takes nothing but UTF-8. */
    memcpy(json, "{\"x\":\"", 6);
    n = 6 + bl_json_escape(json + 6, out, len);
    memcpy(json + n, "\"}", 2);
    must(bl_json_parse(&object, json, n + 2, &why, pool) == APR_SUCCESS, why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;
    const char *text = (const char *)data + 2;
    size_t room, cut, len;
    bl_html_t html;
    char *out;

    if (pool == NULL) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
    }
    if (size < 2)
        return 0;
    size -= 2;
    room = BL_HTML_GROWTH + data[0];
    cut = size > 0 ? data[1] % (size + 1) : 0;
    memset(&html, 0, sizeof(html));
    out = apr_palloc(pool, BL_HTML_GROWTH * size + 1);
    len = convert(out, &html, text, cut, room);
    len += convert(out + len, &html, text + cut, size - cut, room);
    check(out, len, pool);
    apr_pool_clear(pool);
    return 0;
}
