/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tally_test.c - lines, bytes and digest are those of the log as text,
 * however its lines are cut (promises 1 and 5: what "end" says can be checked)
 */
#include "bl_tally.h"

#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "tap.h"

static apr_pool_t *pool;

static void add(bl_tally_t *t, unsigned flags, const char *text,
                apr_size_t len)
{
    bl_record_t rec = {1, BL_STDOUT, 0, 0, NULL, 0};

    rec.flags = flags;
    rec.text = text;
    rec.len = len;
    bl_tally_add(t, &rec);
}

/* Known sums of "" and of "abc\n". */
#define SUM_EMPTY                                                             \
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SUM_ABC                                                               \
    "edeaaff3f1774ad2888673770c6d64097e391bc362d7d6fb34982ddf0efd18cb"

static void test_known(void)
{
    bl_build_t build;
    bl_tally_t *t;

    memset(&build, 0, sizeof(build));
    bl_tally_finish(bl_tally_create(pool), &build, pool);
    is_str(build.sha256, SUM_EMPTY, "nothing");
    is_u64(build.lines, 0, "no lines");

    t = bl_tally_create(pool);
    add(t, BL_REC_PIECE, "a", 1);
    add(t, BL_REC_NOTE | BL_REC_BUILD, "{}", 2);
    add(t, 0, "bc", 2);
    add(t, BL_REC_NOTE | BL_REC_END, "{}", 2);
    bl_tally_finish(t, &build, pool);
    is_str(build.sha256, SUM_ABC, "a piece, its rest, and records between");
    is_u64(build.lines, 1, "one line");
    is_u64(build.bytes, 4, "four bytes");
}

/* The block in which short lines are put together must not show. */
static void test_cuts(void)
{
    static const apr_size_t lengths[] = {1,    7,    100,  8190,
                                         8191, 8192, 8193, 20000};
    const apr_size_t total = 400000;
    char *text = apr_palloc(pool, total);
    const char *want = NULL;
    apr_size_t i, at;

    for (i = 0; i < total; i++)
        text[i] = (char)('a' + i * 31 % 26);
    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        bl_tally_t *t = bl_tally_create(pool);
        bl_build_t build;

        memset(&build, 0, sizeof(build));
        for (at = 0; at < total; at += lengths[i])
            add(t, BL_REC_PIECE, text + at,
                total - at < lengths[i] ? total - at : lengths[i]);
        bl_tally_finish(t, &build, pool);
        if (want == NULL)
            want = build.sha256;
        is_str(build.sha256, want, "pieces of %d bytes", (int)lengths[i]);
        is_u64(build.bytes, total, "all bytes");
    }
}

static void test_copy(void)
{
    bl_build_t build;
    bl_tally_t *t = bl_tally_create(pool), *copy;

    memset(&build, 0, sizeof(build));
    add(t, BL_REC_PIECE, "a", 1);
    copy = bl_tally_copy(t, pool);
    add(t, 0, "other", 5);
    add(copy, 0, "bc", 2);
    bl_tally_finish(copy, &build, pool);
    is_str(build.sha256, SUM_ABC, "a copy goes on by itself");
    is_u64(build.lines, 1, "its lines");
    is_u64(build.bytes, 4, "its bytes");
    bl_tally_finish(t, &build, pool);
    is_u64(build.bytes, 7, "and so does the first one");
}

int main(void)
{
    apr_initialize();
    atexit(apr_terminate);
    apr_pool_create(&pool, NULL);
    test_known();
    test_cuts();
    test_copy();
    return done_testing();
}
