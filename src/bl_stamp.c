/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_stamp.c - the time of a record, which is also its id
 *
 * Dates are counted by arithmetic, not by gmtime: every record that is
 * written or read passes here. The count is that of the Gregorian calendar in
 * eras of 400 years, with years that begin on the first of March, so that the
 * leap day is the last of its year and months follow one formula.
 *
 * INVARIANTS    S1, S2: see bl_stamp.h
 * LIMITS        no leap seconds: an id is a POSIX time
 */
#include "bl_stamp.h"

/* system */
#include <string.h>
#include <time.h>

#define USEC_PER_SECOND 1000000u
#define SECONDS_PER_DAY 86400u

#define DAYS_PER_ERA 146097u    /* 400 years */
#define DAYS_TO_EPOCH 719468u   /* 0000-03-01 to 1970-01-01 */
#define BL_STAMP_DIGITS_MAX 18u /* of BL_STAMP_MAX */

typedef struct {
    unsigned year;
    unsigned month; /* 1 .. 12 */
    unsigned day;   /* 1 .. 31 */
} date_t;

bl_stamp_t bl_stamp_next(bl_stamp_t last, apr_time_t now)
{
    /* A clock that is before the epoch or after the year 9999 says nothing
     * (S2); counting on from the last id keeps S1. */
    if (now <= 0 || (bl_stamp_t)now > BL_STAMP_MAX || (bl_stamp_t)now <= last)
        return last + 1;
    return (bl_stamp_t)now;
}

/* ---- dates ---------------------------------------------------------- */

static date_t date_of_day(unsigned days)
{
    unsigned day = days + DAYS_TO_EPOCH;
    unsigned era = day / DAYS_PER_ERA;
    unsigned of_era = day % DAYS_PER_ERA;
    unsigned year =
        (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned month = (5 * of_year + 2) / 153; /* 0: March */
    date_t date;

    date.day = of_year - (153 * month + 2) / 5 + 1;
    date.month = month < 10 ? month + 3 : month - 9;
    date.year = era * 400 + year + (date.month <= 2 ? 1 : 0);
    return date;
}

static unsigned day_of_date(date_t date)
{
    unsigned years = date.month <= 2 ? date.year - 1 : date.year;
    unsigned month = date.month <= 2 ? date.month + 9 : date.month - 3;
    unsigned of_year = (153 * month + 2) / 5 + date.day - 1;
    unsigned of_era = years % 400;

    return years / 400 * DAYS_PER_ERA + of_era * 365 + of_era / 4 -
           of_era / 100 + of_year - DAYS_TO_EPOCH;
}

static int date_exists(date_t date)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30,
                                         31, 31, 30, 31, 30, 31};
    int leap =
        date.year % 4 == 0 && (date.year % 100 != 0 || date.year % 400 == 0);

    if (date.year < 1970 || date.month < 1 || date.month > 12 || date.day < 1)
        return 0;
    return date.day <= days[date.month - 1] ||
           (leap && date.month == 2 && date.day == 29);
}

/* ---- RFC 3339 ------------------------------------------------------- */

static void put_two(char *out, unsigned value)
{
    out[0] = (char)('0' + value / 10);
    out[1] = (char)('0' + value % 10);
}

static unsigned get_digits(const char *text, unsigned count)
{
    unsigned value = 0;

    while (count-- > 0)
        value = value * 10 + (unsigned)(*text++ - '0');
    return value;
}

void bl_stamp_write(char *out, bl_stamp_t stamp)
{
    apr_uint64_t second;
    unsigned usec;
    unsigned of_day;
    date_t date;

    if (stamp > BL_STAMP_MAX) /* only four digits fit the year */
        stamp = BL_STAMP_MAX;
    second = stamp / USEC_PER_SECOND;
    usec = (unsigned)(stamp % USEC_PER_SECOND);
    of_day = (unsigned)(second % SECONDS_PER_DAY);
    date = date_of_day((unsigned)(second / SECONDS_PER_DAY));

    memcpy(out, "0000-00-00T00:00:00.000000Z", BL_STAMP_TEXT_LEN);
    put_two(out, date.year / 100);
    put_two(out + 2, date.year % 100);
    put_two(out + 5, date.month);
    put_two(out + 8, date.day);
    put_two(out + 11, of_day / 3600);
    put_two(out + 14, of_day / 60 % 60);
    put_two(out + 17, of_day % 60);
    put_two(out + 20, usec / 10000);
    put_two(out + 22, usec / 100 % 100);
    put_two(out + 24, usec % 100);
}

/* Digits where there must be digits, and the signs between them. Told without
 * a branch for each byte: c ^ '0' is 0 .. 9 for a digit and for nothing else.
 */
static int has_stamp_shape(const char *text)
{
    static const char shape[] = "0000-00-00T00:00:00.000000Z";
    unsigned wrong = 0;
    unsigned i;

    for (i = 0; i < BL_STAMP_TEXT_LEN; i++) {
        unsigned differs = (unsigned char)(text[i] ^ shape[i]);

        wrong |= differs > (shape[i] == '0' ? 9u : 0u);
    }
    return !wrong;
}

apr_status_t bl_stamp_read(bl_stamp_t *out, const char *text, apr_size_t len)
{
    date_t date;
    unsigned hour;
    unsigned minute;
    unsigned second;
    bl_stamp_t stamp;

    if (len != BL_STAMP_TEXT_LEN || !has_stamp_shape(text))
        return APR_EGENERAL;
    date.year = get_digits(text, 4);
    date.month = get_digits(text + 5, 2);
    date.day = get_digits(text + 8, 2);
    hour = get_digits(text + 11, 2);
    minute = get_digits(text + 14, 2);
    second = get_digits(text + 17, 2);
    if (!date_exists(date) || hour > 23 || minute > 59 || second > 59)
        return APR_EGENERAL;

    stamp = (bl_stamp_t)day_of_date(date) * SECONDS_PER_DAY + hour * 3600 +
            minute * 60 + second;
    stamp = stamp * USEC_PER_SECOND + get_digits(text + 20, 6);
    if (stamp == 0) /* S2: no record has it */
        return APR_EGENERAL;
    *out = stamp;
    return APR_SUCCESS;
}

/* ---- ids ------------------------------------------------------------ */

apr_status_t bl_stamp_read_id(bl_stamp_t *out, const char *text,
                              apr_size_t len)
{
    bl_stamp_t id = 0;
    apr_size_t i;

    /* 18 digits cannot overflow, so the range is tested once at the end. */
    if (len > BL_STAMP_DIGITS_MAX)
        return APR_EGENERAL;
    for (i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return APR_EGENERAL;
        id = id * 10 + (unsigned)(text[i] - '0');
    }
    if (id == 0 || id > BL_STAMP_MAX)
        return APR_EGENERAL;
    *out = id;
    return APR_SUCCESS;
}

apr_size_t bl_stamp_write_id(char *out, bl_stamp_t id)
{
    char digits[BL_STAMP_DIGITS_MAX];
    char *first = digits + sizeof(digits);
    apr_size_t len;

    if (id > BL_STAMP_MAX) /* the caller has room for 18 digits */
        id = BL_STAMP_MAX;
    do {
        *--first = (char)('0' + id % 10);
        id /= 10;
    } while (id > 0);
    len = (apr_size_t)(digits + sizeof(digits) - first);
    memcpy(out, first, len);
    return len;
}

/* ---- local time ----------------------------------------------------- */

/* The format is the administrator's, so no compiler can check it; strftime
 * cannot be harmed by one. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static apr_size_t format_local(char *out, apr_size_t max, const char *format,
                               time_t second)
{
    struct tm local;

    if (localtime_r(&second, &local) == NULL)
        return 0;
    return strftime(out, max, format, &local);
}

#pragma GCC diagnostic pop

void bl_stamp_local(bl_stamp_local_t *local, const char *format,
                    bl_stamp_t stamp)
{
    apr_uint64_t second = stamp / USEC_PER_SECOND;

    if (local->second == second && second != 0)
        return;
    local->second = second;
    local->len =
        format_local(local->text, sizeof(local->text), format, (time_t)second);
    if (local->len == 0) /* then strftime leaves the bytes undefined */
        local->text[0] = '\0';
}
