/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stamp_test.c - an id is a time, and grows whatever the clock does (S1, S2);
 * so a client that comes back by its id gets each line once (promise 1)
 */
#include "bl_stamp.h"

#include <stdlib.h>
#include <time.h>

#include "tap.h"

#define SECOND APR_UINT64_C(1000000)
#define DAY (86400 * SECOND)

static const char *text_of(bl_stamp_t stamp)
{
    static char text[BL_STAMP_TEXT_LEN + 1];

    memset(text, '#', sizeof(text));
    bl_stamp_write(text, stamp);
    if (text[BL_STAMP_TEXT_LEN] != '#')
        return "wrote too much";
    text[BL_STAMP_TEXT_LEN] = '\0';
    return text;
}

/* 0: refused. */
static bl_stamp_t read_text(const char *text)
{
    bl_stamp_t stamp = 0;

    return bl_stamp_read(&stamp, text, strlen(text)) == APR_SUCCESS ? stamp
                                                                    : 0;
}

static bl_stamp_t read_id(const char *text)
{
    bl_stamp_t id = 0;

    return bl_stamp_read_id(&id, text, strlen(text)) == APR_SUCCESS ? id : 0;
}

static void test_next(void)
{
    is_u64(bl_stamp_next(5, 1000), 1000, "next: the clock, when it is ahead");
    is_u64(bl_stamp_next(1000, 1000), 1001, "next: two in one microsecond");
    is_u64(bl_stamp_next(2000, 1000), 2001, "next: the clock stepped back");
    is_u64(bl_stamp_next(0, 0), 1, "next: never 0");
    is_u64(bl_stamp_next(7, -1), 8, "next: a clock before the epoch");
    is_u64(bl_stamp_next(7, (apr_time_t)BL_STAMP_MAX + 1), 8,
           "next: a clock after the year 9999");
    is_u64(bl_stamp_next(7, (apr_time_t)BL_STAMP_MAX), BL_STAMP_MAX,
           "next: the last time there is");
}

static void test_text(void)
{
    is_str(text_of(APR_UINT64_C(1795341600123456)),
           "2026-11-22T10:00:00.123456Z", "write: an ordinary time");
    is_str(text_of(1), "1970-01-01T00:00:00.000001Z", "write: the first id");
    is_str(text_of(BL_STAMP_MAX), "9999-12-31T23:59:59.999999Z",
           "write: the last id");
    is_str(text_of(UINT64_MAX), "9999-12-31T23:59:59.999999Z",
           "write: what is no id keeps the length");
    is_u64(read_text("2026-11-22T10:00:00.123456Z"),
           APR_UINT64_C(1795341600123456), "read: an ordinary time");
    is_u64(read_text("2000-02-29T23:59:59.000001Z"),
           APR_UINT64_C(951868799000001), "read: a leap day");
    is_u64(read_text("9999-12-31T23:59:59.999999Z"), BL_STAMP_MAX,
           "read: the last id");
}

/* Write each day's first and last second as the C library does, and read
 * both back. */
static void test_calendar(void)
{
    apr_uint64_t day;
    apr_uint64_t bad_write = 0;
    apr_uint64_t bad_read = 0;

    for (day = 0; day <= BL_STAMP_MAX / DAY; day++) {
        int late;

        for (late = 0; late <= 1; late++) {
            bl_stamp_t stamp = day * DAY + (late ? DAY - 1 : 1);
            time_t second = (time_t)(stamp / SECOND);
            char want[BL_STAMP_TEXT_LEN + 1];
            struct tm tm;

            strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S.000001Z",
                     gmtime_r(&second, &tm));
            if (late)
                memcpy(want + 20, "999999", 6);
            bad_write += strcmp(text_of(stamp), want) != 0;
            bad_read += read_text(want) != stamp;
        }
    }
    is_u64(bad_write, 0, "write: every day up to 9999 is as strftime has it");
    is_u64(bad_read, 0, "read: every day up to 9999 comes back");
}

static void test_random(void)
{
    apr_uint64_t state = 20261122;
    unsigned bad = 0;
    unsigned i;

    for (i = 0; i < 300000; i++) {
        bl_stamp_t stamp;
        char id[32];
        apr_size_t len;

        state =
            state * APR_UINT64_C(6364136223846793005) + 1442695040888963407;
        stamp = (state >> 1) % BL_STAMP_MAX + 1;
        bad += read_text(text_of(stamp)) != stamp;
        len = bl_stamp_write_id(id, stamp);
        id[len] = '\0';
        bad += len > 18 || read_id(id) != stamp;
    }
    is_u64(bad, 0, "times and ids come back as they were written");
}

static void test_refused_text(void)
{
    static const char *const cases[] = {
        "",
        "2026-11-22T10:00:00.123456",
        "2026-11-22T10:00:00.123456Z ",
        " 2026-11-22T10:00:00.123456",
        "2026-11-22t10:00:00.123456Z",
        "2026-11-22T10:00:00.123456z",
        "2026-11-22 10:00:00.123456Z",
        "2026/11-22T10:00:00.123456Z",
        "2026-11-22T10:00:00,123456Z",
        "2026-11-22T10:00:00.12345 Z",
        "2026-11-22T10:00:00.12345:Z",
        "2026-11-22T10:00:00.12345/Z",
        "+026-11-22T10:00:00.123456Z",
        "2026-11-22T10:00:00.-23456Z",
        "2026-00-22T10:00:00.123456Z",
        "2026-13-22T10:00:00.123456Z",
        "2026-11-00T10:00:00.123456Z",
        "2026-11-31T10:00:00.123456Z",
        "2026-01-32T10:00:00.123456Z",
        "2026-02-29T10:00:00.123456Z",
        "2100-02-29T10:00:00.123456Z",
        "2026-11-22T24:00:00.123456Z",
        "2026-11-22T10:60:00.123456Z",
        "2026-11-22T10:00:60.123456Z",
        "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00.000000Z",
        "0000-00-00T00:00:00.000000Z",
        "2026-11-22T10:00:00.12345\xB2Z",
    };
    bl_stamp_t out = 77;
    unsigned i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ok(bl_stamp_read(&out, cases[i], strlen(cases[i])) == APR_EGENERAL,
           "read: refused: '%s'", cases[i]);
    ok(bl_stamp_read(&out,
                     "2026-11-22T10:00:00\0"
                     "123456Z",
                     27) == APR_EGENERAL,
       "read: refused: a NUL");
    is_u64(out, 77, "read: what is refused leaves the result alone");
}

static void test_id(void)
{
    static const char *const cases[] = {
        "",
        "0",
        "000",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1\n",
        "0x1",
        "1e3",
        "1:",
        "1/",
        "1.",
        "253402300800000000",
        "999999999999999999",
        "1000000000000000000",
        "18446744073709551617",
        "0000000000000000001",
        "a",
        "\xD9\xA1",
    };
    bl_stamp_t out = 77;
    char text[32];
    unsigned i;

    is_u64(read_id("1"), 1, "id: the first");
    is_u64(read_id("253402300799999999"), BL_STAMP_MAX, "id: the last");
    is_u64(read_id("1795341600123456"), APR_UINT64_C(1795341600123456),
           "id: an ordinary one");
    is_u64(read_id("007"), 7, "id: zeros in front");
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ok(bl_stamp_read_id(&out, cases[i], strlen(cases[i])) == APR_EGENERAL,
           "id: refused: number %u", i);
    ok(bl_stamp_read_id(&out, "1\0", 2) == APR_EGENERAL, "id: refused: a NUL");
    is_u64(out, 77, "id: what is refused leaves the result alone");
    is_mem(text, bl_stamp_write_id(text, 1), "1", 1, "id: one digit");
    is_mem(text, bl_stamp_write_id(text, BL_STAMP_MAX), "253402300799999999",
           18, "id: 18 digits");
    is_u64(bl_stamp_write_id(text, UINT64_MAX), 18, "id: never more than 18");
}

static void test_local(void)
{
    static const char at[] = "%Y-%m-%d %H:%M:%S";
    bl_stamp_t stamp = APR_UINT64_C(1795341600123456);
    bl_stamp_local_t local;
    char big[BL_STAMP_LOCAL_MAX + 2];

    setenv("TZ", "UTC-2", 1);
    tzset();
    memset(&local, 0, sizeof(local));
    bl_stamp_local(&local, at, stamp);
    is_mem(local.text, local.len, "2026-11-22 12:00:00", 19,
           "local: in the zone of the server");

    local.text[0] = '#';
    bl_stamp_local(&local, at, stamp + SECOND / 2);
    is_mem(local.text, local.len, "#026-11-22 12:00:00", 19,
           "local: made once a second");
    bl_stamp_local(&local, at, stamp + SECOND);
    is_mem(local.text, local.len, "2026-11-22 12:00:01", 19,
           "local: follows the second");
    bl_stamp_local(&local, at, stamp);
    is_mem(local.text, local.len, "2026-11-22 12:00:00", 19,
           "local: also back");

    memset(&local, 0, sizeof(local));
    bl_stamp_local(&local, at, 1);
    is_mem(local.text, local.len, "1970-01-01 02:00:00", 19,
           "local: the first second is not 'nothing yet'");

    memset(&local, 0xFF, sizeof(local));
    bl_stamp_local(&local, "", stamp);
    is_mem(local.text, local.len, "", 0, "local: an empty format");
    is_str(local.text, "", "local: empty, also as a string");

    memset(big, 'x', sizeof(big));
    big[BL_STAMP_LOCAL_MAX] = '\0';
    bl_stamp_local(&local, big, stamp + SECOND);
    is_mem(local.text, local.len, "", 0, "local: a result that does not fit");
    is_str(local.text, "", "local: empty then, also as a string");
    big[BL_STAMP_LOCAL_MAX - 1] = '\0';
    bl_stamp_local(&local, big, stamp + 2 * SECOND);
    is_mem(local.text, local.len, big, BL_STAMP_LOCAL_MAX - 1,
           "local: a result that just fits");
}

int main(void)
{
    test_next();
    test_text();
    test_calendar();
    test_random();
    test_refused_text();
    test_id();
    test_local();
    return done_testing();
}
