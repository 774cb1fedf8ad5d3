/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record_test.c - what was stored is read back as it was (R1; promise 1), and
 * what was damaged is skipped, not guessed (promise 7)
 */
#include "bl_record.h"

#include <stdlib.h>

#include <apr_strings.h>

#include "tap.h"

#define ID APR_UINT64_C(1795341600123456)
#define AT "2026-11-22T10:00:00.123456Z"

#define BL_REC_ALL                                                            \
    (BL_REC_PIECE | BL_REC_NOTE | BL_REC_CR | BL_REC_BUILD | BL_REC_END |     \
     BL_REC_GAP)

static bl_record_t make(unsigned flags, unsigned step, const char *text)
{
    bl_record_t rec = {ID, BL_STDOUT, 0, 0, NULL, 0};

    rec.flags = flags;
    rec.step = step;
    rec.text = text;
    rec.len = strlen(text);
    return rec;
}

static int is_same(const bl_record_t *a, const bl_record_t *b)
{
    return a->id == b->id && a->stream == b->stream && a->flags == b->flags &&
           a->step == b->step && a->len == b->len &&
           (a->len == 0 || memcmp(a->text, b->text, a->len) == 0);
}

static void test_encode(void)
{
    static const struct {
        unsigned flags;
        unsigned step;
        const char *text;
        const char *line;
    } cases[] = {
        {0, 0, "added 120 packages in 3s",
         AT " stdout F added 120 packages in 3s\n"},
        {0, 0, "", AT " stdout F \n"},
        {0, 0, " two  blanks ", AT " stdout F  two  blanks \n"},
        {BL_REC_PIECE, 0, "Password: ", AT " stdout P Password: \n"},
        {BL_REC_CR, 0, "50%", AT " stdout F:cr 50%\n"},
        {BL_REC_NOTE, 1, "$ yarn install",
         AT " stdout F:note:s1 $ yarn install\n"},
        {BL_REC_NOTE, 10, "", AT " stdout F:note:s10 \n"},
        {BL_REC_NOTE, 100, "", AT " stdout F:note:s100 \n"},
        {BL_REC_NOTE, 999, "", AT " stdout F:note:s999 \n"},
        {BL_REC_NOTE, 1000, "", AT " stdout F:note \n"},
        {BL_REC_NOTE | BL_REC_BUILD, 0, "{}", AT " stdout F:note:build {}\n"},
        {BL_REC_NOTE | BL_REC_END, 0, "{}", AT " stdout F:note:end {}\n"},
        {BL_REC_ALL, 999, "all",
         AT " stdout P:note:cr:build:end:gap:s999 all\n"},
        {BL_REC_NOTE | BL_REC_GAP, 0, "out", AT " stdout F:note:gap out\n"},
        {0, 0, "\xC3\xBC \xF0\x9F\x9A\x80",
         AT " stdout F \xC3\xBC \xF0\x9F\x9A\x80\n"},
    };
    char out[256];
    unsigned i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bl_record_t rec = make(cases[i].flags, cases[i].step, cases[i].text);
        apr_size_t len;

        memset(out, '#', sizeof(out));
        len = bl_record_encode(out, &rec);
        is_mem(out, len, cases[i].line, strlen(cases[i].line),
               "encode: case %u", i);
        ok(len <= rec.len + BL_REC_OVERHEAD && out[len] == '#',
           "encode: case %u keeps to its room", i);
    }
}

static void test_round_trip(void)
{
    static const char text[] = "F stdout : " AT " s1:note";
    unsigned flags;
    unsigned step;
    unsigned bad = 0;
    char out[256];

    for (flags = 0; flags <= BL_REC_ALL; flags++) {
        for (step = 0; step <= BL_REC_STEP_MAX; step++) {
            bl_record_t rec = make(flags, step, text);
            bl_record_t back;
            apr_size_t len;
            apr_size_t used = 0;

            rec.stream = step % 2 == 0 ? BL_STDERR : BL_STDOUT;
            rec.len = step % sizeof(text);
            len = bl_record_encode(out, &rec);
            bad += bl_record_decode(&back, out, len, &used) != APR_SUCCESS ||
                   used != len || !is_same(&rec, &back);
        }
    }
    is_u64(bad, 0, "all flags and steps come back");
}

static void test_decode(void)
{
    static const struct {
        const char *line;
        unsigned flags;
        unsigned step;
        const char *text;
    } cases[] = {
        {AT " stdout F:later x\n", 0, 0, "x"},
        {AT " stdout F:later:cr:s7:more x\n", BL_REC_CR, 7, "x"},
        {AT " stdout F:s0 x\n", 0, 0, "x"},
        {AT " stdout F:s01 x\n", 0, 0, "x"},
        {AT " stdout F:s1000 x\n", 0, 0, "x"},
        {AT " stdout F:s x\n", 0, 0, "x"},
        {AT " stdout F:s1x x\n", 0, 0, "x"},
        {AT " stdout F:sx1 x\n", 0, 0, "x"},
        {AT " stdout F:x12 x\n", 0, 0, "x"},
        {AT " stdout F:NOTE x\n", 0, 0, "x"},
        {AT " stdout F:not:notes x\n", 0, 0, "x"},
        {AT " stdout F::note: x\n", BL_REC_NOTE, 0, "x"},
        {AT " stdout F:cr:note x\n", BL_REC_CR | BL_REC_NOTE, 0, "x"},
        {AT " stdout P x\r\n", BL_REC_PIECE, 0, "x\r"},
    };
    unsigned i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bl_record_t want = make(cases[i].flags, cases[i].step, cases[i].text);
        bl_record_t got;
        apr_size_t used = 0;
        apr_size_t len = strlen(cases[i].line);

        ok(bl_record_decode(&got, cases[i].line, len, &used) == APR_SUCCESS &&
               used == len && is_same(&got, &want),
           "decode: case %u", i);
    }
}

static void test_refused(void)
{
    static const char *const cases[] = {
        "\n",
        "x\n",
        AT "\n",
        AT " \n",
        AT " stdout\n",
        AT " stdout \n",
        AT " stdout F\n",
        AT " stdout  F x\n",
        AT " stdout  x\n",
        AT " stdout X x\n",
        AT " stdout f x\n",
        AT " stdout FP x\n",
        AT " stdout note:F x\n",
        AT " stdlog F x\n",
        AT " STDOUT F x\n",
        AT "  stdout F x\n",
        AT "\tstdout F x\n",
        " " AT " stdout F x\n",
        "2026-11-31T10:00:00.123456Z stdout F x\n",
        "1970-01-01T00:00:00.000000Z stdout F x\n",
        "2026-11-22T10:00:00.123456789Z stdout F x\n",
        "6-11-22T10:00:00.123456Z stdout F cut at its start\n",
    };
    unsigned i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bl_record_t rec = make(0, 0, "untouched");
        bl_record_t same = rec;
        apr_size_t len = strlen(cases[i]);
        apr_size_t used = 0;
        /* Of its exact size, so that a sanitizer sees a read past it. */
        char *bad = memcpy(malloc(len), cases[i], len);
        char two[256];

        ok(bl_record_decode(&rec, bad, len, &used) == APR_EGENERAL &&
               used == len && is_same(&rec, &same),
           "refused: case %u", i);
        free(bad);
        apr_snprintf(two, sizeof(two), "%s" AT " stdout F next\n", cases[i]);
        ok(bl_record_decode(&rec, two, strlen(two), &used) == APR_EGENERAL &&
               used == len,
           "refused: case %u, up to its own end", i);
        ok(bl_record_decode(&rec, two + used, strlen(two) - used, &used) ==
               APR_SUCCESS,
           "refused: case %u, the next one is read", i);
    }
}

static void test_incomplete(void)
{
    static const char line[] = AT " stdout F:note:s12 text\n";
    apr_size_t whole = sizeof(line) - 1;
    unsigned bad = 0;
    apr_size_t len;

    for (len = 0; len < whole; len++) {
        /* Of its exact size, so that a sanitizer sees a read past it. */
        char *start = malloc(len + 1);
        bl_record_t rec = make(0, 0, "untouched");
        bl_record_t same = rec;
        apr_size_t used = 99;

        memcpy(start, line, len);
        bad += bl_record_decode(&rec, start, len, &used) != APR_INCOMPLETE ||
               used != 0 || !is_same(&rec, &same);
        free(start);
    }
    is_u64(bad, 0, "incomplete: at every length");
}

static void test_longest(void)
{
    char *buf = malloc(BL_REC_MAX + 2);
    bl_record_t rec;
    apr_size_t used = 0;
    static const char head[] = AT " stdout F ";

    memset(buf, 'x', BL_REC_MAX + 2);
    memcpy(buf, head, sizeof(head) - 1);
    ok(bl_record_decode(&rec, buf, BL_REC_MAX - 1, &used) == APR_INCOMPLETE,
       "longest: may still end");
    ok(bl_record_decode(&rec, buf, BL_REC_MAX, &used) == APR_EGENERAL &&
           used == BL_REC_MAX,
       "longest: without an end all is skipped");
    buf[BL_REC_MAX] = '\n';
    ok(bl_record_decode(&rec, buf, BL_REC_MAX + 2, &used) == APR_EGENERAL &&
           used == BL_REC_MAX + 1,
       "longest: one byte more is refused");
    buf[BL_REC_MAX - 1] = '\n';
    ok(bl_record_decode(&rec, buf, BL_REC_MAX + 2, &used) == APR_SUCCESS &&
           used == BL_REC_MAX && rec.len == BL_REC_MAX - sizeof(head),
       "longest: is read");
    free(buf);
}

static void test_is_line(void)
{
    bl_record_t rec = make(BL_REC_NOTE | BL_REC_CR | BL_REC_PIECE, 1, "");

    ok(BL_REC_IS_LINE(&rec), "a note is a line");
    rec.flags = BL_REC_NOTE | BL_REC_BUILD;
    ok(!BL_REC_IS_LINE(&rec), "a build record is not");
    rec.flags = BL_REC_NOTE | BL_REC_END;
    ok(!BL_REC_IS_LINE(&rec), "the last record is not");
}

int main(void)
{
    test_encode();
    test_round_trip();
    test_decode();
    test_refused();
    test_incomplete();
    test_longest();
    test_is_line();
    return done_testing();
}
