/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_json.c - any bytes as JSON, and any string as a part of it (J1, J2 in
 * bl_json.c)
 *
 * What was parsed can be written, and what was written is parsed and written
 * the same again. Every string can be put into JSON.
 */
#include "bl_json.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "not so: %s\n", what);
    abort();
}

static void try_parse(const char *text, size_t len, apr_pool_t *pool)
{
    bl_json_t *object = NULL;
    bl_json_t *again = NULL;
    const char *why = NULL;
    const char *first;
    const char *c;

    if (bl_json_parse(&object, text, len, &why, pool) != APR_SUCCESS) {
        must(object == NULL && why != NULL, "a refusal has a reason");
        for (c = why; *c != '\0'; c++)
            must((unsigned char)*c >= 0x20 && *c != 0x7F,
                 "a reason is plain text");
        return;
    }
    first = bl_json_text(object, pool);
    must(strchr(first, '\n') == NULL && strchr(first, '\r') == NULL,
         "JSON is one line");
    why = "";
    must(bl_json_parse(&again, first, strlen(first), &why, pool) ==
             APR_SUCCESS,
         why);
    must(strcmp(first, bl_json_text(again, pool)) == 0,
         "what was written is written again");

    /* The readers, with a key that seeds have. */
    bl_json_string(object, "a");
    bl_json_int(object, "a", 0);
    must(bl_json_time(object, "a") <= BL_STAMP_MAX, "a time is in range");
    again = bl_json_element(object, "a", 0, pool);
    must(again == NULL || bl_json_has(object, "a"),
         "an element is of a value");
}

/* As a C string: to its first NUL. */
static void try_string(const char *text, apr_pool_t *pool)
{
    bl_json_t *object = bl_json_object(pool);
    bl_json_t *again = NULL;
    const char *why = "";
    const char *json;
    const char *back;

    bl_json_set_string(object, "t", text);
    json = bl_json_text(object, pool);
    must(bl_json_parse(&again, json, strlen(json), &why, pool) == APR_SUCCESS,
         why);
    back = bl_json_string(again, "t");
    must(back != NULL, "a string comes back");
    must(strcmp(text, back) == 0 || strstr(back, "\xEF\xBF\xBD") != NULL,
         "only what is no UTF-8 changes");
    bl_json_set_string(again, "t", back);
    must(strcmp(json, bl_json_text(again, pool)) == 0,
         "what was repaired once stays");
}

static void try_escape(const char *text, size_t len, apr_pool_t *pool)
{
    size_t max = BL_JSON_ESCAPE_GROWTH * len;
    char *out = malloc(max + (max == 0));
    size_t size = bl_json_escape(out, text, len);
    const char *json;
    bl_json_t *object = NULL;
    const char *why;
    size_t i;

    must(size >= len && size <= max, "an escape has room");
    for (i = 0; i < size; i++)
        must((unsigned char)out[i] >= 0x20, "control bytes are escaped");
    json = apr_pstrcat(pool, "{\"t\":\"", apr_pstrmemdup(pool, out, size),
                       "\"}", NULL);
    if (bl_json_parse(&object, json, strlen(json), &why, pool) ==
        APR_SUCCESS) {
        const char *back = bl_json_string(object, "t");

        must(back != NULL && strlen(back) == len &&
                 memcmp(back, text, len) == 0,
             "what was escaped comes back");
    }
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;

    if (pool == NULL) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
    }
    try_parse((const char *)data, size, pool);
    try_string(apr_pstrmemdup(pool, (const char *)data, size), pool);
    try_escape((const char *)data, size, pool);
    apr_pool_clear(pool);
    return 0;
}
