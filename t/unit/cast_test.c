/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cast_test.c - a log as a recording: each line is valid JSON, at its time
 * (item 4 of "at home in httpd")
 */
#include "bl_cast.h"

#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "bl_json.h"
#include "tap.h"

#define BEGIN APR_UINT64_C(1795341600123456)

static apr_pool_t *pool;

static const char *line(bl_stamp_t id, unsigned flags, const char *text)
{
    bl_record_t rec = {0, BL_STDOUT, 0, 0, NULL, 0};
    apr_size_t room, len;
    const char *copy;
    char *out;

    rec.id = id;
    rec.flags = flags;
    rec.text = text;
    rec.len = strlen(text);
    room = bl_cast_event_max(rec.len);
    out = malloc(room); /* so that a sanitizer sees one byte too many */
    len = bl_cast_line(out, BEGIN, &rec);
    copy = apr_pstrmemdup(pool, out, len);
    ok(len <= room, "no more than announced");
    free(out);
    return copy;
}

static void test_lines(void)
{
    is_str(line(BEGIN, 0, "$ yarn install"),
           "[0.000000,\"o\",\"$ yarn install\\r\\n\"]\n", "the first line");
    is_str(line(BEGIN + 1, 0, ""), "[0.000001,\"o\",\"\\r\\n\"]\n",
           "a microsecond later, an empty one");
    is_str(line(BEGIN + 3600999999u, BL_REC_PIECE, "Name: "),
           "[3600.999999,\"o\",\"Name: \"]\n", "an hour later, a piece");
    is_str(line(BEGIN + 2000000, BL_REC_CR, "10%"),
           "[2.000000,\"o\",\"10%\\r\"]\n", "a progress frame");
    is_str(line(BEGIN - 5, 0, "x"), "[0.000000,\"o\",\"x\\r\\n\"]\n",
           "what is before the beginning is at it");
    is_str(
        line(BEGIN, 0, "\033[31m\"\\\t\x01\xC3\xA9"),
        "[0.000000,\"o\",\"\\u001b[31m\\\"\\\\\\t\\u0001\xC3\xA9\\r\\n\"]\n",
        "escaped");
    line(BL_STAMP_MAX, 0, "\x01\x01\x01\x01\x01\x01\x01\x01");
}

static void test_marker(void)
{
    char out[128];
    apr_size_t len = bl_cast_marker(out, BEGIN, BEGIN + 1500000, "a \"b\"", 5);

    is_mem(out, len, "[1.500000,\"m\",\"a \\\"b\\\"\"]\n", 25, "a marker");
}

static void test_head(void)
{
    const char *head = bl_cast_head("Shop \"x\" #42", BEGIN, 12345678, pool);
    const char *why = "";
    bl_json_t *object = NULL;

    ok(bl_json_parse(&object, head, strlen(head) - 1, &why, pool) ==
               APR_SUCCESS &&
           head[strlen(head) - 1] == '\n',
       "a JSON object, a line%s", why);
    ok(object != NULL && bl_json_int(object, "version", 0) == 2 &&
           bl_json_int(object, "width", 0) == 120 &&
           bl_json_int(object, "height", 0) == 36 &&
           bl_json_int(object, "timestamp", 0) == 1795341600,
       "version, size, time");
    is_str(bl_json_string(object, "title"), "Shop \"x\" #42", "title");
    ok(strstr(head, ",\"duration\":12.345678}\n") != NULL, "duration");
    ok(strstr(bl_cast_head("", BEGIN, 0, pool), "duration") == NULL,
       "none that is not known");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_lines();
    test_marker();
    test_head();
    apr_terminate();
    return done_testing();
}
