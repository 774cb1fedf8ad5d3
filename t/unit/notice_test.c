/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notice_test.c - who is still to be told is on disk, whole or not at all, and
 * not for ever (issue 7, item 3)
 */
#include "bl_notice.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "tap.h"

#define KEY "0123456789abcdef0123456789abcdef"

static apr_pool_t *pool;
static const char *dir;

static void write_text(const char *name, const char *text)
{
    FILE *file = fopen(apr_pstrcat(pool, dir, "/", name, NULL), "w");

    fputs(text, file);
    fclose(file);
}

static apr_status_t load(bl_notice_t **out, apr_uint64_t build, int index)
{
    *out = NULL;
    return bl_notice_load(out, dir, build, index, pool);
}

static void test_store(void)
{
    bl_notice_t notice = {42, 1, KEY, NULL, NULL, 0, 0}, *back;
    struct stat info;

    is_u64(bl_notice_save(dir, &notice, pool), APR_SUCCESS, "a build begins");
    is_u64(load(&back, 42, 1), APR_SUCCESS, "... and is found");
    is_str(back->target, KEY, "... with its receiver");
    ok(back->body == NULL && back->id == NULL && back->build == 42 &&
           back->index == 1,
       "... and no end");
    stat(apr_pstrcat(pool, dir, "/42.1", NULL), &info);
    is_u64(info.st_mode & 0777, 0600, "... its owner's alone");

    notice.id = "build-42-1";
    notice.body = "{\"id\":42,\"title\":\"\xC3\xA4 \\\" \\u0001\"}";
    notice.tries = 3;
    notice.due = APR_INT64_C(1763805600123456);
    is_u64(bl_notice_save(dir, &notice, pool), APR_SUCCESS, "it has ended");
    is_u64(load(&back, 42, 1), APR_SUCCESS, "... and is found");
    is_str(back->body, notice.body, "... byte by byte");
    is_str(back->id, notice.id, "... with its id");
    ok(back->tries == 3 && back->due == notice.due, "... and when it is due");

    is_u64(load(&back, 42, 2) != APR_SUCCESS, 1, "another receiver has none");
    bl_notice_remove(dir, 42, 1, pool);
    ok(APR_STATUS_IS_ENOENT(load(&back, 42, 1)) && back == NULL, "it goes");
    bl_notice_remove(dir, 42, 1, pool);
    ok(bl_notice_save("/nowhere", &notice, pool) != APR_SUCCESS,
       "no directory");
}

static void test_damage(void)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"target\":7}",
        "{\"target\":\"x\",\"id\":\"y\"}",
        "{\"target\":\"x\",\"body\":\"y\"}",
        "{\"target\":\"x\",\"body\":7,\"id\":\"y\"}"};
    bl_notice_t *back;
    unsigned i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        write_text("7.0", bad[i]);
        is_u64(load(&back, 7, 0), APR_EGENERAL, "damaged: %s", bad[i]);
        ok(back == NULL, "... nothing comes out");
    }
    bl_notice_remove(dir, 7, 0, pool);
}

static void test_list(void)
{
    static const char *const strange[] = {"1",     "x.0",  "1.x", "-1.0",
                                          "0.0",   "1.",   ".1",  "1.0.new",
                                          "1.100", "1.-1", "+1.0"};
    apr_array_header_t *list = NULL;
    const bl_notice_t *at;
    unsigned i;

    for (i = 0; i < sizeof(strange) / sizeof(strange[0]); i++)
        write_text(strange[i], "");
    write_text("10.0", "");
    write_text("9.1", "");
    write_text("9.0", "");
    write_text("9.11", "");
    is_u64(bl_notice_list(&list, dir, pool), APR_SUCCESS, "a list");
    is_u64((uint64_t)list->nelts, 4, "of notices, and nothing else");
    at = (const bl_notice_t *)list->elts;
    ok(at[0].build == 9 && at[0].index == 0 && at[1].index == 1 &&
           at[2].index == 11 && at[3].build == 10,
       "... in their order");
    ok(bl_notice_list(&list, "/nowhere", pool) != APR_SUCCESS, "no directory");
}

static void test_delays(void)
{
    apr_interval_time_t sum = 0, delay;
    int tries, grows = 1;

    for (tries = 1; (delay = bl_notice_delay(tries)) >= 0; tries++) {
        grows = grows && delay > (tries > 1 ? bl_notice_delay(tries - 1) : 0);
        sum += delay;
    }
    is_u64((uint64_t)tries, 9, "nine tries");
    ok(grows, "each wait is longer");
    is_u64((uint64_t)apr_time_sec(sum), 30980, "eight hours and a half");
    ok(bl_notice_delay(0) < 0 && bl_notice_delay(-1) < 0 &&
           bl_notice_delay(1000) < 0,
       "no more");
}

int main(void)
{
    char template[] = "/tmp/notices-XXXXXX";
    const char *tmp = getenv("TMPDIR");

    apr_initialize();
    apr_pool_create(&pool, NULL);
    dir = mkdtemp(tmp != NULL ? apr_pstrcat(pool, tmp, "/notices-XXXXXX", NULL)
                              : template);
    rmdir(dir);
    is_u64(bl_notice_make(dir, pool), APR_SUCCESS, "a directory");
    is_u64(bl_notice_make(dir, pool), APR_SUCCESS, "... is there");
    test_store();
    test_damage();
    test_list();
    test_delays();
    if (system(apr_pstrcat(pool, "rm -rf ", dir, NULL)) != 0)
        printf("# %s stays\n", dir);
    return done_testing();
}
