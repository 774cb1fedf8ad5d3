/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seen_test.c - a delivery is known again, over restarts, and what is stored
 * does not grow (K1, K2 in bl_seen.h; issue 7, item 2)
 */
#include "bl_seen.h"

#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_general.h>
#include <apr_strings.h>

#include "tap.h"

static apr_pool_t *pool;

static const char *mark(unsigned n)
{
    return apr_psprintf(pool, "%032x", n);
}

static bl_seen_t *open_it(const char *path, apr_status_t want,
                          const char *what)
{
    bl_seen_t *seen = NULL;

    is_u64(bl_seen_open(&seen, path, pool), want, "%s", what);
    ok(seen != NULL, "... there is one");
    return seen;
}

int main(void)
{
    const char *dir, *path;
    apr_finfo_t info;
    apr_file_t *file;
    bl_seen_t *seen;
    unsigned i, known = 0;
    char template[] = "seen-XXXXXX";

    apr_initialize();
    apr_pool_create(&pool, NULL);
    apr_temp_dir_get(&dir, pool);
    path = apr_pstrcat(pool, dir, "/", template, NULL);
    apr_file_mktemp(&file, (char *)path, APR_FOPEN_CREATE | APR_FOPEN_WRITE,
                    pool);
    apr_file_close(file);

    seen = open_it(path, APR_SUCCESS, "an empty file");
    is_u64(bl_seen_find(seen, mark(1)), 0, "nothing is known");
    is_u64(bl_seen_find(seen, mark(0)), 0, "nor what a free place has");
    is_u64(bl_seen_add(seen, mark(1), 42), APR_SUCCESS, "a delivery");
    is_u64(bl_seen_find(seen, mark(1)), 42, "... is known, and its build");

    seen = open_it(path, APR_SUCCESS, "again");
    is_u64(bl_seen_find(seen, mark(1)), 42, "it is known still");
    for (i = 2; i <= BL_SEEN_MOST; i++)
        bl_seen_add(seen, mark(i), i);
    is_u64(bl_seen_find(seen, mark(1)), 42, "as many as there is room for");
    bl_seen_add(seen, mark(i), i);
    is_u64(bl_seen_find(seen, mark(1)), 0, "one more: the first one goes");

    seen = open_it(path, APR_SUCCESS, "again");
    bl_seen_add(seen, mark(i + 1), i + 1);
    seen = open_it(path, APR_SUCCESS, "and again");
    for (i = 1; i <= BL_SEEN_MOST + 2; i++)
        known += bl_seen_find(seen, mark(i)) != 0;
    is_u64(known, BL_SEEN_MOST, "all but the oldest");
    is_u64(bl_seen_find(seen, mark(2)), 0, "... which went");
    apr_stat(&info, path, APR_FINFO_SIZE, pool);
    is_u64((uint64_t)info.size, 48 * BL_SEEN_MOST, "the file does not grow");

    /* A write that was cut off. */
    apr_file_open(&file, path, APR_FOPEN_WRITE, 0, pool);
    apr_file_trunc(file, 48 * 10 + 20);
    apr_file_close(file);
    seen = open_it(path, APR_SUCCESS, "a file with half a place");
    is_u64(bl_seen_find(seen, mark(8)), 8, "the whole ones are known");
    is_u64(bl_seen_add(seen, mark(7000), 7000), APR_SUCCESS, "it goes on");
    seen = open_it(path, APR_SUCCESS, "...");
    is_u64(bl_seen_find(seen, mark(7000)), 7000, "... and is known");
    apr_file_remove(path, pool);

    seen = NULL;
    ok(bl_seen_open(&seen, "/nowhere/deliveries", pool) != APR_SUCCESS,
       "no such directory");
    ok(bl_seen_add(seen, mark(5), 5) != APR_SUCCESS, "it cannot be stored");
    is_u64(bl_seen_find(seen, mark(5)), 5, "... and is known all the same");
    return done_testing();
}
