/* SPDX-License-Identifier: Apache-2.0 */
/*
 * middle_test.c - of a log that grows beyond its limit head and latest output
 * stay, and it is known how much is gone (M1 .. M3; promise 4)
 */
#include "bl_middle.h"

#include <stdlib.h>

#include <apr_general.h>

#include "tap.h"

static apr_pool_t *pool;

static unsigned random_below(unsigned n)
{
    static uint64_t state = 20261124;

    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % n;
}

/* What a simulated build prints, and what has become of it. */
typedef struct {
    apr_int64_t limit;
    apr_int64_t total;   /* bytes of the log */
    unsigned most;       /* of a record */
    unsigned batch_most; /* records written at once */
} print_t;

typedef struct {
    apr_off_t tail;
    apr_off_t longest; /* record */
    apr_off_t batch;   /* longest */
    bl_middle_at_t begin;
    apr_uint64_t *lines_at; /* by offset / 16: records end on 16 bytes */
    unsigned steps;
    unsigned wrong;
} seen_t;

/* Something goes: between records, behind what went before, and not of what
 * was printed last. */
static void shorten(seen_t *s, bl_middle_t *m, const print_t *p)
{
    apr_off_t from, to, before_from, before_to;
    apr_off_t half = (apr_off_t)(p->limit / 2);

    bl_middle_is(&before_from, &before_to, m);
    if (!bl_middle_due(&from, &to, m, s->tail))
        return;
    s->steps++;
    s->wrong += from != s->begin.offset || from < half ||
                from > half + s->longest || to <= before_to ||
                to > s->tail - half + p->limit / 16 ||
                s->lines_at[to / 16] == 0;
    bl_middle_gone(m, to);
    s->wrong +=
        !bl_middle_is(&before_from, &before_to, m) || before_from != from ||
        before_to != to ||
        bl_middle_lines(m) != s->lines_at[to / 16] - 1 - s->begin.lines ||
        bl_middle_bytes(m) != (apr_uint64_t)(to - from) / 16;
}

static seen_t simulate(const print_t *p)
{
    bl_middle_t *m = bl_middle_create(p->limit, pool);
    bl_middle_at_t at = {0, 0, 0};
    seen_t s;

    memset(&s, 0, sizeof(s));
    s.lines_at = calloc((size_t)(p->total / 16) + 2 * 1024 * 1024, 8);
    while (at.offset < p->total) {
        unsigned n = 1 + random_below(p->batch_most);
        apr_off_t batch = at.offset, from, to, kept;

        for (; n > 0; n--) {
            apr_off_t len = 16 + 16 * (apr_off_t)random_below(p->most / 16);

            s.lines_at[at.offset / 16] = at.lines + 1;
            if (bl_middle_next(m, &at)) {
                s.wrong += s.begin.offset != 0;
                s.begin = at;
            }
            at.offset += len;
            at.lines++;
            at.bytes += (apr_uint64_t)len / 16;
            s.longest = len > s.longest ? len : s.longest;
        }
        s.tail = at.offset;
        batch = s.tail - batch;
        s.batch = batch > s.batch ? batch : s.batch;
        shorten(&s, m, p);
        bl_middle_is(&from, &to, m);
        kept = s.tail - (to - from);
        /* M1; marks that had to be given up cost a thirty-second of the
         * batch. */
        s.wrong +=
            kept > p->limit + 2 * s.longest + batch / 16 + p->limit / 32;
        s.wrong += kept < p->limit * 15 / 16 - s.longest && to > from;
    }
    free(s.lines_at);
    return s;
}

static void test_growth(void)
{
    static const struct {
        const char *name;
        print_t p;
        unsigned least, most; /* steps */
    } cases[] = {
        {"below the limit", {65536, 60000, 200, 10}, 0, 0},
        {"a little more", {65536, 72000, 200, 10}, 1, 3},
        {"short lines", {65536, 4000000, 100, 50}, 900, 2200},
        {"one at a time", {65536, 1000000, 3000, 1}, 100, 500},
        {"records near the limit", {65536, 8000000, 60000, 3}, 80, 700},
        {"records beyond it", {65536, 20000000, 400000, 2}, 20, 400},
        {"large batches", {65536, 40000000, 100, 60000}, 10, 60},
        {"a larger limit", {1 << 20, 20000000, 300, 1000}, 100, 700},
        {"no round number", {100001, 4000000, 500, 100}, 200, 1400},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        seen_t s = simulate(&cases[i].p);

        ok(s.wrong == 0 && s.steps >= cases[i].least &&
               s.steps <= cases[i].most,
           "%s: %u steps, %u wrong", cases[i].name, s.steps, s.wrong);
    }
}

/* Nothing is gone before it is said to be; and it is named again. */
static void test_not_gone(void)
{
    bl_middle_t *m = bl_middle_create(65536, pool);
    bl_middle_at_t at = {0, 0, 0};
    apr_off_t from, to, again;

    for (; at.offset <= 200000; at.offset += 100, at.lines++)
        bl_middle_next(m, &at);
    ok(bl_middle_due(&from, &to, m, 200000) && !bl_middle_is(&from, &to, m) &&
           bl_middle_lines(m) == 0,
       "what is due is not gone");
    ok(bl_middle_due(&from, &to, m, 200000) &&
           bl_middle_due(&from, &again, m, 200000) && again == to,
       "it goes on to be due");
    ok(bl_middle_due(&from, &again, m, 150000) && again < to,
       "and so does less of it");
    bl_middle_gone(m, to);
    ok(!bl_middle_due(&from, &again, m, 200000), "until it is gone");
}

/* ---- texts ---------------------------------------------------------- */

static const char *text_of(apr_int64_t limit, apr_uint64_t lines,
                           apr_uint64_t bytes)
{
    bl_middle_t *m = bl_middle_create(limit, pool);
    bl_middle_at_t begin = {0, 7, 100}, end = {0, 7, 100};

    begin.offset = limit;
    end.offset = 2 * limit;
    end.lines += lines;
    end.bytes += bytes;
    bl_middle_next(m, &begin);
    bl_middle_next(m, &end);
    bl_middle_gone(m, end.offset);
    return bl_middle_text(m, pool);
}

static void test_texts(void)
{
    static const struct {
        apr_int64_t limit;
        apr_uint64_t lines, bytes;
        const char *text;
    } cases[] = {
        {256 << 20, 123456, 17234567,
         "123456 lines (17.2 MB) were left out here: BuildLogMaxLog is 256M"},
        {65536, 1, 999,
         "1 line (999 bytes) was left out here: BuildLogMaxLog is 64K"},
        {100000, 0, 1000,
         "0 lines (1.0 kB) were left out here: BuildLogMaxLog is 100000"},
        {1536 << 10, 2, 999999,
         "2 lines (999.9 kB) were left out here: BuildLogMaxLog is 1536K"},
        {APR_INT64_C(1) << 30, 2, 1000000,
         "2 lines (1.0 MB) were left out here: BuildLogMaxLog is 1G"},
        {APR_INT64_C(1) << 40, 2, APR_UINT64_C(5500000000),
         "2 lines (5.5 GB) were left out here: BuildLogMaxLog is 1T"},
        {APR_INT64_C(1) << 50, 2, APR_UINT64_C(5432100000000000),
         "2 lines (5432.1 TB) were left out here: BuildLogMaxLog is 1024T"},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        is_str(text_of(cases[i].limit, cases[i].lines, cases[i].bytes),
               cases[i].text, "a note, %zu", i);
    is_str(bl_middle_text_of(17234567, pool),
           "17.2 MB of the log were left out here: see BuildLogMaxLog",
           "and one of a log whose runner is gone");
}

int main(void)
{
    apr_initialize();
    atexit(apr_terminate);
    apr_pool_create(&pool, NULL);
    test_growth();
    test_not_gone();
    test_texts();
    return done_testing();
}
