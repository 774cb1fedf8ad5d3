/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_mask.c - any values, any bytes, in any reads (M1 .. M4)
 *
 * INPUT  values, each with a NUL behind it; one that is empty is the last
 *        then reads: one byte (bits 0-5: how many bytes follow, bit 7: the
 *                    stream ends after them, and another begins), the bytes
 *
 * What comes out is what a plain search for every form makes of each stream.
 */
#include "bl_mask.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <apr_tables.h>

#include "bl_forms.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define READ_MAX 0x3F
#define END_AFTER 0x80
#define VALUES_MOST 8
#define VALUES_LEN_MOST 256

typedef struct {
    char *bytes;
    size_t len;
} text_t;

typedef struct {
    const apr_array_header_t *forms;
    bl_masked_t *masked;
    text_t fed;   /* of all streams */
    size_t begin; /* of this stream in it */
    text_t got;
    char *covered;
    text_t want;
} check_t;

static void must(int good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "not so: %s\n", what);
    abort();
}

static void add(text_t *text, const void *bytes, size_t len)
{
    memcpy(text->bytes + text->len, bytes, len);
    text->len += len;
}

/* What a stream has to become, and how much of it may still be inside. */
static void look_for_all(check_t *c)
{
    const char *text = c->fed.bytes;
    size_t len = c->fed.len, held = 0, at;
    int i;

    memset(c->covered, 0, len);
    for (i = 0; i < c->forms->nelts; i++) {
        const char *form = APR_ARRAY_IDX(c->forms, i, const char *);
        size_t n = strlen(form), begun;

        for (at = 0; at + n <= len; at++) {
            if (memcmp(text + at, form, n) == 0)
                memset(c->covered + at, 1, n);
        }
        for (begun = n - 1; begun > held; begun--) {
            if (begun <= len && memcmp(text + len - begun, form, begun) == 0)
                held = begun;
        }
    }
    if (held >= BL_MASK_LEAST)
        memset(c->covered + len - held, 1, held);
    c->want.len = 0;
    for (at = c->begin; at < len; at++) {
        size_t run = 1;

        if (!c->covered[at]) {
            add(&c->want, text + at, 1);
            continue;
        }
        while (at + run < len && c->covered[at + run])
            run++;
        add(&c->want, "***", run < 3 ? run : 3);
        at += run - 1;
    }
}

static void end_stream(check_t *c)
{
    apr_size_t len = 0;
    const char *given = bl_masked_finish(c->masked, &len);

    add(&c->got, given, len);
    look_for_all(c);
    must(c->got.len == c->want.len &&
             memcmp(c->got.bytes, c->want.bytes, c->got.len) == 0,
         "what comes out is what a plain search makes of it");
    c->begin = c->fed.len;
    c->got.len = 0;
}

static void read_some(check_t *c, const uint8_t *data, size_t n)
{
    /* Of its exact size, so that a sanitizer sees a read past it. */
    char *buf = malloc(n + 1);
    apr_size_t len = n;
    const char *given;

    memcpy(buf, data, n);
    given = bl_masked_feed(c->masked, buf, &len);
    free(buf);
    add(&c->fed, data, n);
    add(&c->got, given, len);
    must(c->got.len <= c->fed.len - c->begin,
         "no more comes out than went in");
}

static void run(check_t *c, const uint8_t *data, size_t size)
{
    while (size > 0) {
        uint8_t head = *data++;
        size_t n = head & READ_MAX;

        size--;
        n = n < size ? n : size;
        read_some(c, data, n);
        if ((head & END_AFTER) != 0)
            end_stream(c);
        data += n;
        size -= n;
    }
    end_stream(c);
}

static void check(const char *const *values, int count, const uint8_t *data,
                  size_t size, apr_pool_t *pool)
{
    apr_array_header_t *forms = apr_array_make(pool, 8, sizeof(char *));
    bl_mask_t *mask = NULL;
    check_t c;
    int i;

    for (i = 0; i < count; i++)
        bl_forms_add(forms, values[i], BL_MASK_LEAST, pool);
    must(bl_mask_create(&mask, values, count, pool) == APR_SUCCESS,
         "these are not too many");
    must((mask == NULL) == (forms->nelts == 0), "a form is what is masked");
    if (mask == NULL)
        return;
    memset(&c, 0, sizeof(c));
    c.forms = forms;
    c.masked = bl_masked_create(mask, READ_MAX, pool);
    c.fed.bytes = apr_palloc(pool, size + 1);
    c.got.bytes = apr_palloc(pool, size + 1);
    c.want.bytes = apr_palloc(pool, size + 4);
    c.covered = apr_palloc(pool, size + 1);
    run(&c, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;
    const char *values[VALUES_MOST];
    size_t at = 0;
    int count = 0;

    if (pool == NULL) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
    }
    while (at < size && count < VALUES_MOST) {
        const uint8_t *end = memchr(data + at, '\0', size - at);
        size_t len = end != NULL ? (size_t)(end - (data + at)) : size - at;

        if (len == 0 || len > VALUES_LEN_MOST)
            break;
        values[count++] = apr_pstrmemdup(pool, (const char *)data + at, len);
        at += len + (end != NULL);
    }
    if (at < size)
        at++;
    check(values, count, data + at, size - at, pool);
    apr_pool_clear(pool);
    return 0;
}
