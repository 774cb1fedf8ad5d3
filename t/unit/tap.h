/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap.h - what a unit test says to prove (Test Anything Protocol)
 *
 * Each test is one C file: checks, then "return done_testing();" in main.
 * The names of checks are printf formats.
 */
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define TAP_FORMAT(at) __attribute__((format(printf, at, at + 1)))

static int tap_run;
static int tap_failed;

__attribute__((format(printf, 2, 0))) static inline int
tap_check(int good, const char *fmt, va_list args)
{
    tap_run++;
    tap_failed += !good;
    printf("%sok %d - ", good ? "" : "not ", tap_run);
    vprintf(fmt, args);
    printf("\n");
    fflush(stdout); /* a crash must not take the last results with it */
    return good;
}

TAP_FORMAT(2) static inline int ok(int good, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    tap_check(good, fmt, args);
    va_end(args);
    return good;
}

TAP_FORMAT(3)
static inline int is_u64(uint64_t got, uint64_t want, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    if (!tap_check(got == want, fmt, args))
        printf("#   got %ju\n#  want %ju\n", (uintmax_t)got, (uintmax_t)want);
    va_end(args);
    return got == want;
}

static inline void tap_bytes(const char *label, const void *bytes, size_t len)
{
    const unsigned char *byte = bytes;

    printf("# %5s %zu: ", label, len);
    for (; len > 0; len--, byte++)
        printf(*byte > 0x1F && *byte < 0x7F ? "%c" : "\\x%02X", *byte);
    printf("\n");
}

TAP_FORMAT(5)
static inline int is_mem(const void *got, size_t got_len, const void *want,
                         size_t want_len, const char *fmt, ...)
{
    int good = got_len == want_len &&
               (want_len == 0 || memcmp(got, want, want_len) == 0);
    va_list args;

    va_start(args, fmt);
    if (!tap_check(good, fmt, args)) {
        tap_bytes("got", got, got_len);
        tap_bytes("want", want, want_len);
    }
    va_end(args);
    return good;
}

#define is_str(got, want, ...)                                                \
    is_mem((got), strlen(got), (want), strlen(want), __VA_ARGS__)

static inline int done_testing(void)
{
    printf("1..%d\n", tap_run);
    return tap_run == 0 || tap_failed > 0;
}

#endif /* TAP_H */
