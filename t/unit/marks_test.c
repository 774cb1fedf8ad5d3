/* SPDX-License-Identifier: Apache-2.0 */
/*
 * marks_test.c - what is remembered of large logs stays small, in order, and
 * true (K1 to K3 of bl_marks.h; promise 4)
 */
#include "bl_marks.h"

/* APR */
#include <apr_general.h>

#include "tap.h"

#define SPACING 1000

static apr_pool_t *pool;

static unsigned random_below(unsigned n)
{
    static uint64_t state = 20261122;

    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % n;
}

/* A log in which each line has ten bytes. */
static void add(bl_marks_t *marks, apr_off_t offset)
{
    bl_mark_t mark = {offset, (apr_uint64_t)offset / 10 + 1};

    bl_marks_add(marks, &mark);
}

static int is_in_order(const bl_marks_t *marks)
{
    unsigned i;

    for (i = 1; i < marks->count; i++)
        if (marks->at[i].offset - marks->at[i - 1].offset < marks->spacing ||
            marks->at[i].number <= marks->at[i - 1].number)
            return 0;
    return marks->count <= BL_MARKS_MOST;
}

static void test_one(void)
{
    bl_mark_t wrong = {5000, 1}, same = {5000, 301};
    bl_marks_t marks;

    bl_marks_clear(&marks, SPACING);
    ok(bl_marks_before(&marks, 7) == NULL &&
           bl_marks_behind(&marks, 7) == NULL,
       "of a log that is not known there is nothing");
    add(&marks, 3000);
    add(&marks, 9000);
    add(&marks, 3999);
    add(&marks, 2001);
    is_u64(marks.count, 2, "what is near to another one is not taken");
    bl_marks_add(&marks, &wrong);
    bl_marks_add(&marks, &same);
    is_u64(marks.count, 2, "nor what contradicts the others");
    add(&marks, 6000);
    add(&marks, 1000);
    is_u64(marks.count, 4, "between them, and before them, there is room");
    ok(is_in_order(&marks), "in order");
    ok(bl_marks_before(&marks, 101) == NULL &&
           bl_marks_before(&marks, 102)->number == 101 &&
           bl_marks_before(&marks, 301)->number == 101 &&
           bl_marks_before(&marks, APR_UINT64_MAX)->number == 901,
       "the last one before a line, and not at it");
    ok(bl_marks_behind(&marks, 0)->number == 101 &&
           bl_marks_behind(&marks, 101)->number == 101 &&
           bl_marks_behind(&marks, 102)->number == 301 &&
           bl_marks_behind(&marks, 902) == NULL,
       "the first one behind it, or at it");
}

static void test_many(void)
{
    apr_off_t end = SPACING * (apr_off_t)BL_MARKS_MOST * 20, at;
    bl_marks_t marks;
    unsigned i;

    bl_marks_clear(&marks, SPACING);
    for (at = SPACING; at < end; at += SPACING)
        add(&marks, at);
    ok(is_in_order(&marks), "of a long log no more are kept (K1)");
    ok(marks.count > BL_MARKS_MOST / 4, "nor much fewer: %u", marks.count);
    ok(end - marks.at[marks.count - 1].offset <= marks.spacing &&
           marks.at[0].offset <= marks.spacing,
       "from its start to its end");
    bl_marks_clear(&marks, SPACING);
    for (i = 0; i < 20000; i++)
        add(&marks, random_below((unsigned)end));
    ok(is_in_order(&marks) && marks.count > BL_MARKS_MOST / 8,
       "and in any order: %u", marks.count);
}

static unsigned on_shelf(bl_marks_shelf_t *shelf, const bl_marks_key_t *key)
{
    bl_marks_t marks;

    bl_marks_shelf_get(&marks, shelf, key);
    return marks.count;
}

static void test_shelf(void)
{
    bl_marks_key_t key = {1, 1, 0};
    bl_marks_shelf_t *shelf = NULL;
    bl_marks_t marks;
    unsigned i, known = 0;

    ok(bl_marks_shelf_create(&shelf, pool) == APR_SUCCESS, "a shelf");
    is_u64(on_shelf(shelf, &key), 0, "it is empty");
    bl_marks_clear(&marks, SPACING);
    bl_marks_shelf_put(shelf, &key, &marks);
    for (i = 1; i <= 3; i++)
        add(&marks, i * SPACING);
    bl_marks_shelf_put(shelf, &key, &marks);
    is_u64(on_shelf(shelf, &key), 3, "what was counted is there");
    bl_marks_clear(&marks, SPACING);
    for (i = 3; i <= 5; i++)
        add(&marks, i * SPACING);
    bl_marks_shelf_put(shelf, &key, &marks);
    is_u64(on_shelf(shelf, &key), 5, "what another one counted comes to it");
    key.hole = 4096;
    is_u64(on_shelf(shelf, &key), 0, "a hole that has grown: nothing (K3)");
    key.hole = 0;
    key.grows = 0;
    is_u64(on_shelf(shelf, &key), 0, "a log that has ended: nothing (K3)");
    bl_marks_shelf_put(shelf, &key, &marks);
    is_u64(on_shelf(shelf, &key), 3, "but what was counted then");
    key.grows = 1;
    is_u64(on_shelf(shelf, &key), 0, "which is not mixed with the old ones");

    key.grows = 0;
    for (i = 2; i <= 3 * BL_MARKS_LOGS; i++) {
        key.build = i;
        bl_marks_shelf_put(shelf, &key, &marks);
        key.build = 1;
        known += on_shelf(shelf, &key) > 0;
    }
    is_u64(known, 3 * BL_MARKS_LOGS - 1, "a log that is asked for stays");
    for (known = 0, i = 1; i <= 3 * BL_MARKS_LOGS; i++) {
        key.build = i;
        known += on_shelf(shelf, &key) > 0;
    }
    is_u64(known, BL_MARKS_LOGS, "of the others the latest (K1)");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_one();
    test_many();
    test_shelf();
    return done_testing();
}
