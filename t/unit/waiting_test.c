/* SPDX-License-Identifier: Apache-2.0 */
/*
 * waiting_test.c - whoever waits to be told is told, whatever receivers do,
 * and nobody waits for ever (issue 7, item 3; W1 to W5 in bl_waiting.h)
 */
#include "bl_waiting.h"

#include <string.h>

#include <apr_general.h>

#include "bl_notice.h"
#include "tap.h"

#define NOW ((apr_time_t)1763805600 * 1000000)
#define SECOND apr_time_from_sec(1)

static apr_pool_t *pool;
static bl_waiting_t *q;

static void begin(int receivers)
{
    bl_waiting_create(&q, receivers, pool);
}

static void add(apr_uint64_t build, int receiver)
{
    bl_waiter_t w;

    memset(&w, 0, sizeof(w));
    w.build = build;
    w.receiver = receiver;
    bl_waiting_add(q, &w);
}

/* @return the build; 0: none */
static apr_uint64_t next(apr_time_t now, bl_waiter_t **out)
{
    apr_interval_time_t in;
    bl_waiter_t *w = bl_waiting_next(q, now, &in);

    if (out != NULL)
        *out = w;
    return w != NULL ? w->build : 0;
}

static int changes(void)
{
    int n = 0;

    while (bl_waiting_changed(q) != NULL)
        n++;
    return n;
}

static void test_receivers(void)
{
    apr_interval_time_t in = 0;
    int i;

    begin(64);
    for (i = 0; i < 64; i++) {
        add(100 + (unsigned)i, i);
        add(200 + (unsigned)i, i);
    }
    for (i = 0; i < 64; i++) {
        if (next(NOW, NULL) != 100 + (unsigned)i)
            break;
    }
    is_u64((apr_uint64_t)i, 64, "each receiver is told, at once (W1)");
    ok(bl_waiting_next(q, NOW, &in) == NULL && in == APR_INT64_MAX,
       "... and none of them about two");
    ok(bl_waiting_knows(q, 263, 0) && !bl_waiting_knows(q, 264, 0) &&
           !bl_waiting_knows(q, 263, 1),
       "who waits is known");
    is_u64((apr_uint64_t)bl_waiting_count(q), 128, "... and counted");
}

static void test_order(void)
{
    bl_waiter_t *w;
    apr_interval_time_t in;

    begin(1);
    add(1, 0);
    add(2, 0);
    add(3, 0);
    is_u64(next(NOW, &w), 1, "who came first is told first");
    bl_waiting_failed(q, w, NOW, 0, 0);
    is_u64((apr_uint64_t)changes(), 1, "a try that failed is written");
    is_u64(next(NOW, &w), 2, "... the others pass it (W4)");
    bl_waiting_remove(q, w, 1);
    is_u64(next(NOW, &w), 3, "... all of them");
    bl_waiting_remove(q, w, 1);
    is_u64(next(NOW, &w), 1,
           "... then it is tried again, for they were taken");
    bl_waiting_failed(q, w, NOW, 0, 0);
    is_u64((apr_uint64_t)w->tries, 1, "... which does not count (W2)");
    ok(bl_waiting_next(q, NOW, &in) == NULL && in == SECOND,
       "... and it waits as long as before");
    is_u64(next(NOW + SECOND, &w), 1, "until then");
    bl_waiting_failed(q, w, NOW + SECOND, 100 * SECOND, 0);
    ok(bl_waiting_next(q, NOW + SECOND, &in) == NULL && in == 100 * SECOND,
       "a receiver that says when is obeyed");
    is_u64(next(NOW - 10 * 3600 * SECOND, &w), 1,
           "a clock that was set back makes nobody wait for it");
}

/* A receiver that takes every second one. */
static void test_moody(int silent)
{
    apr_uint64_t build;
    int i, asked = 0, most = 0;
    bl_waiter_t *w;

    begin(1);
    for (i = 1; i <= 200; i++)
        add((unsigned)i, 0);
    /* The last one waits alone. */
    while (((build = next(NOW, &w)) != 0 ||
            (build = next(NOW + SECOND, &w)) != 0) &&
           asked < 10000) {
        most = w->tries > most ? w->tries : most;
        if (++asked % 2 == 0)
            bl_waiting_remove(q, w, 1);
        else
            bl_waiting_failed(q, w, NOW, 0, silent);
        changes();
    }
    is_u64((apr_uint64_t)bl_waiting_count(q), 0,
           "a receiver that takes every second one gets all");
    ok(most <= 1 && asked <= 401,
       "... and nobody was near to being given up: "
       "asked %d times, tries %d",
       asked, most);
}

/* One that often says nothing, by chance. */
static void test_broken(void)
{
    apr_time_t now = NOW;
    apr_interval_time_t in = 0;
    int i, asked = 0, given_up = 0;
    unsigned chance = 1;
    bl_waiter_t *w;

    begin(1);
    for (i = 1; i <= 500; i++)
        add((unsigned)i, 0);
    while (bl_waiting_count(q) > 0 && asked < 100000) {
        if (next(now, &w) == 0) {
            bl_waiting_next(q, now, &in);
            now += in;
            continue;
        }
        asked++;
        chance = chance * 1103515245 + 12345;
        if ((chance >> 16) % 3 == 0)
            bl_waiting_remove(q, w, 1);
        else
            bl_waiting_failed(q, w, now, 0, 1);
        while ((w = bl_waiting_changed(q)) != NULL) {
            if (bl_notice_delay(w->tries) < 0) {
                bl_waiting_remove(q, w, 0);
                given_up++;
            }
        }
    }
    ok(given_up == 0 && asked < 100000,
       "a receiver that says nothing two times of three gets all: asked %d "
       "times, given up %d, %d s",
       asked, given_up, (int)apr_time_sec(now - NOW));
}

/* One that it never takes, among others. */
static void test_poison(void)
{
    int i, told = 0;
    bl_waiter_t *w;

    begin(1);
    for (i = 1; i <= 100; i++)
        add((unsigned)i, 0);
    for (i = 0; i < 100 && next(NOW + i * SECOND, &w) != 0; i++) {
        int is_poison = w->build == 1;

        if (is_poison)
            bl_waiting_failed(q, w, NOW + i * SECOND, 0, 1);
        else
            bl_waiting_remove(q, w, 1);
        told += !is_poison;
        changes();
    }
    is_u64((apr_uint64_t)told, 99,
           "one that breaks the receiver each time holds up nobody (W4)");
}

/* A receiver that is not there: one try for all, until all are given up. */
static void test_gone(void)
{
    apr_time_t now = NOW;
    apr_interval_time_t in = 0;
    int asked = 0, i, given_up = 0;
    bl_waiter_t *w;

    begin(2);
    for (i = 1; i <= 1000; i++)
        add((unsigned)i, 0);
    while (bl_waiting_count(q) > 0 && asked < 100) {
        if (next(now, &w) == 0) {
            bl_waiting_next(q, now, &in);
            now += in;
            continue;
        }
        asked++;
        bl_waiting_failed(q, w, now, 0, 1);
        while ((w = bl_waiting_changed(q)) != NULL) {
            if (bl_notice_delay(w->tries) < 0) {
                bl_waiting_remove(q, w, 0);
                given_up++;
            }
        }
    }
    is_u64((apr_uint64_t)asked, 10, "who says nothing is asked once for all");
    is_u64((apr_uint64_t)given_up, 1000, "... all are given up in the end");
    ok(now - NOW > 8 * 3600 * SECOND && now - NOW < 10 * 3600 * SECOND,
       "... after hours (W3)");
}

static void test_surplus(void)
{
    bl_waiter_t *w;
    int i;

    begin(3);
    add(1, 0);
    for (i = 2; i < BL_WAITING_MOST; i++)
        add((unsigned)i, 1);
    ok(bl_waiting_surplus(q) == NULL, "there is room");
    add(5000, 2);
    is_u64(bl_waiting_surplus(q)->build, 2,
           "then who has most waiting loses its oldest (W5)");
    next(NOW, NULL);
    is_u64(next(NOW, &w), 2, "... which is being told");
    is_u64(bl_waiting_surplus(q)->build, 3, "... then the next one");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_receivers();
    test_order();
    test_moody(0);
    test_moody(1);
    test_broken();
    test_poison();
    test_gone();
    test_surplus();
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
