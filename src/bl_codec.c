/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_codec.c - fields of a message, written and read by the same words
 *
 * INVARIANTS    W3, W4 in bl_codec.h
 */
#include "bl_codec.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_strings.h>

#define FIELD_HEADER_LEN 6
#define NUMBER_LEN 8

/* ---- numbers -------------------------------------------------------- */

void bl_codec_number_put(char *out, apr_uint64_t n, int bytes)
{
    int i;

    for (i = 0; i < bytes; i++)
        out[i] = (char)(unsigned char)(n >> (8 * i));
}

apr_uint64_t bl_codec_number_get(const char *in, int bytes)
{
    apr_uint64_t n = 0;
    int i;

    for (i = bytes; i-- > 0;)
        n = n << 8 | (unsigned char)in[i];
    return n;
}

/* ---- fields --------------------------------------------------------- */

void bl_codec_require(bl_codec_t *c, int ok)
{
    if (!ok)
        c->broken = 1;
}

static void put_field(bl_codec_t *c, int key, const char *value,
                      apr_size_t len)
{
    apr_size_t left = c->size - c->at;

    bl_codec_require(c, left >= FIELD_HEADER_LEN &&
                            left - FIELD_HEADER_LEN >= len);
    if (c->broken)
        return;
    if (c->direction == BL_CODEC_WRITE) {
        char *at = c->out + c->at;

        bl_codec_number_put(at, (apr_uint64_t)key, 2);
        bl_codec_number_put(at + 2, len, 4);
        memcpy(at + FIELD_HEADER_LEN, value, len);
    }
    c->at += FIELD_HEADER_LEN + len;
}

/* Is the next field the one of this key? */
static int next_is(const bl_codec_t *c, int key)
{
    return c->size - c->at >= FIELD_HEADER_LEN &&
           bl_codec_number_get(c->in + c->at, 2) == (apr_uint64_t)key;
}

/* *value and *len are set unless the codec is broken. */
static void get_field(bl_codec_t *c, int key, const char **value,
                      apr_size_t *len)
{
    apr_size_t left = c->size - c->at;
    apr_uint64_t n;

    bl_codec_require(c, next_is(c, key));
    if (c->broken)
        return;
    n = bl_codec_number_get(c->in + c->at + 2, 4);
    bl_codec_require(c, n <= left - FIELD_HEADER_LEN);
    if (c->broken)
        return;
    *value = c->in + c->at + FIELD_HEADER_LEN;
    *len = (apr_size_t)n;
    c->at += FIELD_HEADER_LEN + *len;
}

/* ---- values --------------------------------------------------------- */

void bl_codec_text(bl_codec_t *c, int key, const char **text)
{
    const char *value;
    apr_size_t len;

    if (c->direction != BL_CODEC_READ) {
        if (*text == NULL)
            c->broken = 1;
        else if (!c->broken)
            put_field(c, key, *text, strlen(*text));
        return;
    }
    get_field(c, key, &value, &len);
    if (c->broken)
        return;
    bl_codec_require(c, memchr(value, '\0', len) == NULL);
    *text = apr_pstrmemdup(c->p, value, len);
}

int bl_codec_is_there(const bl_codec_t *c, int key, int there)
{
    return c->direction == BL_CODEC_READ ? next_is(c, key) : there;
}

void bl_codec_optional(bl_codec_t *c, int key, const char **text)
{
    if (bl_codec_is_there(c, key, *text != NULL))
        bl_codec_text(c, key, text);
}

void bl_codec_number(bl_codec_t *c, int key, apr_uint64_t *n,
                     apr_uint64_t least, apr_uint64_t most)
{
    char buf[NUMBER_LEN];
    const char *value = buf;
    apr_size_t len = NUMBER_LEN;

    if (c->direction == BL_CODEC_READ) {
        get_field(c, key, &value, &len);
        bl_codec_require(c, len == NUMBER_LEN);
        if (c->broken)
            return;
        *n = bl_codec_number_get(value, NUMBER_LEN);
    }
    else {
        bl_codec_number_put(buf, *n, NUMBER_LEN);
        put_field(c, key, buf, NUMBER_LEN);
    }
    bl_codec_require(c, *n >= least && *n <= most);
}

void bl_codec_uint32(bl_codec_t *c, int key, apr_uint32_t *n,
                     apr_uint32_t least, apr_uint32_t most)
{
    apr_uint64_t wide = *n;

    bl_codec_number(c, key, &wide, least, most);
    *n = (apr_uint32_t)wide;
}

/* What is negative is above the most, seen as what has no sign. */
void bl_codec_time(bl_codec_t *c, int key, apr_interval_time_t *t,
                   apr_uint64_t least)
{
    apr_uint64_t wide = (apr_uint64_t)*t;

    bl_codec_number(c, key, &wide, least, APR_INT64_MAX);
    *t = (apr_interval_time_t)wide;
}

void bl_codec_size(bl_codec_t *c, int key, apr_int64_t *size,
                   apr_uint64_t least, apr_uint64_t most)
{
    apr_uint64_t wide = (apr_uint64_t)*size;

    bl_codec_number(c, key, &wide, least, most);
    *size = (apr_int64_t)wide;
}

void bl_codec_count(bl_codec_t *c, int key, int *count, int least, int most)
{
    apr_uint64_t wide = (apr_uint64_t)*count;

    bl_codec_number(c, key, &wide, (apr_uint64_t)least, (apr_uint64_t)most);
    *count = (int)wide;
}

/* ---- whole messages ------------------------------------------------- */

apr_status_t bl_codec_measure(apr_size_t *len, bl_codec_fn code, void *message,
                              apr_size_t most)
{
    bl_codec_t c = {.direction = BL_CODEC_MEASURE, .size = most};

    code(&c, message);
    if (c.broken)
        return APR_EINVAL;
    *len = c.at;
    return APR_SUCCESS;
}

void bl_codec_write(char *out, apr_size_t len, bl_codec_fn code, void *message)
{
    bl_codec_t c = {.direction = BL_CODEC_WRITE, .out = out, .size = len};

    code(&c, message);
}

apr_status_t bl_codec_read(void *message, const char *in, apr_size_t len,
                           bl_codec_fn code, apr_pool_t *p)
{
    bl_codec_t c = {.direction = BL_CODEC_READ, .in = in, .size = len};

    c.p = p;
    code(&c, message);
    bl_codec_require(&c, c.at == c.size);
    return c.broken ? APR_EGENERAL : APR_SUCCESS;
}
