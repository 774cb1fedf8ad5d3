/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain_test.c - the bytes of a log as a document are the same whoever writes
 * them, and are those that the tally counts (P1; promises 1 and 5)
 */
#include "bl_plain.h"

#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "bl_json.h"
#include "bl_tally.h"
#include "tap.h"

static apr_pool_t *pool;

static bl_record_t record(unsigned flags, const char *text)
{
    bl_record_t rec = {
        APR_UINT64_C(1795341600123456), BL_STDOUT, 0, 0, NULL, 0};

    rec.flags = flags;
    rec.text = text;
    rec.len = strlen(text);
    return rec;
}

static const char *line(bl_sse_format_e format, const bl_record_t *rec)
{
    apr_size_t room = bl_plain_line_max(format, rec->len), len;
    char *out = malloc(room); /* so that a sanitizer sees one byte too many */
    const char *copy;

    len = bl_plain_line(out, format, 42, rec);
    copy = apr_pstrmemdup(pool, out, len);
    ok(len <= room, "no more than announced");
    free(out);
    return copy;
}

static void test_text(void)
{
    bl_record_t rec = record(0, "hello");

    is_str(line(BL_SSE_TEXT, &rec), "hello\n", "a line ends with LF");
    rec = record(BL_REC_PIECE, "hel");
    is_str(line(BL_SSE_TEXT, &rec), "hel", "a piece does not");
    rec = record(BL_REC_CR, "50%");
    is_str(line(BL_SSE_TEXT, &rec), "50%\n", "a progress frame is a line");
    rec = record(0, "");
    is_str(line(BL_SSE_TEXT, &rec), "\n", "an empty line");
    rec = record(BL_REC_PIECE, "");
    is_str(line(BL_SSE_TEXT, &rec), "", "an empty piece");
    rec = record(BL_REC_NOTE, "Build finished");
    is_str(line(BL_SSE_TEXT, &rec), "Build finished\n", "a note");
}

static void test_json(void)
{
    static const char bad[] = "a\"b\\c\x01\x7f\t";
    bl_record_t rec = record(BL_REC_PIECE, bad);
    const char *out = line(BL_SSE_JSON, &rec), *why;
    bl_json_t *json;

    is_u64(strcspn(out, "\n"), strlen(out) - 1,
           "NDJSON: one LF, at the end, also behind a piece");
    ok(bl_json_parse(&json, out, strlen(out), &why, pool) == APR_SUCCESS,
       "that is JSON");
    ok(strstr(out, "\"partial\":true") != NULL, "and says that it is a piece");
}

/* Each way to cut a record in three: what the parts are together. */
static void test_parts(void)
{
    static const unsigned flags[] = {0, BL_REC_PIECE};
    unsigned i, bad = 0;

    for (i = 0; i < 2; i++) {
        bl_record_t rec = record(flags[i], "0123456789");
        apr_size_t all = bl_plain_text_len(&rec), a, b;
        const char *whole = line(BL_SSE_TEXT, &rec);

        is_u64(all, strlen(whole), "the length is that of the line");
        for (a = 0; a <= all; a++) {
            for (b = a; b <= all; b++) {
                char out[16] = "";

                bl_plain_text_copy(out, &rec, 0, a);
                bl_plain_text_copy(out + a, &rec, a, b - a);
                bl_plain_text_copy(out + b, &rec, b, all - b);
                out[all] = '\0';
                bad += strcmp(out, whole) != 0;
            }
        }
    }
    is_u64(bad, 0, "whatever parts are copied, together they are the line");
}

/* The digest of "end" is that of these bytes. */
static void test_tally(void)
{
    static const struct {
        unsigned flags;
        const char *text;
    } log[] = {{BL_REC_NOTE, "$ make"},
               {BL_REC_PIECE, "a pie"},
               {0, "ce"},
               {BL_REC_CR, "10%"},
               {BL_REC_NOTE | BL_REC_BUILD, "{\"no\":\"line\"}"},
               {BL_REC_PIECE, ""},
               {0, ""},
               {0, "\xc3\xa4 \xef\xbf\xbd"}};
    bl_tally_t *records = bl_tally_create(pool);
    bl_tally_t *bytes = bl_tally_create(pool);
    bl_build_t of_records, of_bytes;
    const char *all = "";
    bl_record_t piece;
    unsigned i;

    memset(&of_records, 0, sizeof(of_records));
    memset(&of_bytes, 0, sizeof(of_bytes));
    for (i = 0; i < sizeof(log) / sizeof(log[0]); i++) {
        bl_record_t rec = record(log[i].flags, log[i].text);

        bl_tally_add(records, &rec);
        if (BL_REC_IS_LINE(&rec))
            all = apr_pstrcat(pool, all, line(BL_SSE_TEXT, &rec), NULL);
    }
    /* One piece: its text alone, unchanged. */
    piece = record(BL_REC_PIECE, all);
    bl_tally_add(bytes, &piece);
    bl_tally_finish(records, &of_records, pool);
    bl_tally_finish(bytes, &of_bytes, pool);
    is_u64(of_records.bytes, strlen(all), "as many bytes as the tally counts");
    is_str(of_records.sha256, of_bytes.sha256, "and their digest");
}

static const char *event(const char *name, bl_stamp_t id, const char *data)
{
    apr_size_t len = strlen(data);
    apr_size_t room = bl_plain_event_max(strlen(name), len), n;
    char *out = malloc(room);
    const char *copy;

    n = bl_plain_event(out, name, id, data, len);
    copy = apr_pstrmemdup(pool, out, n);
    ok(n <= room, "no more than announced");
    free(out);
    return copy;
}

/* In a stream as NDJSON: an object a line, whatever is in it. */
static void test_events(void)
{
    is_str(event("end", APR_UINT64_C(1795341600123456), "{\"id\":42}"),
           "{\"event\":\"end\",\"id\":\"1795341600123456\",\"data\":"
           "{\"id\":42}}\n",
           "an event");
    is_str(event("gap", 0, "{}"), "{\"event\":\"gap\",\"data\":{}}\n",
           "one without a place");
    is_str(event("build", BL_STAMP_MAX, "{\n\r}"),
           apr_psprintf(pool,
                        "{\"event\":\"build\",\"id\":\"%" APR_UINT64_T_FMT
                        "\",\"data\":{  }}\n",
                        BL_STAMP_MAX),
           "a line end in a damaged log ends no line");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_text();
    test_json();
    test_parts();
    test_tally();
    test_events();
    apr_terminate();
    return done_testing();
}
