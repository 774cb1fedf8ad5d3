/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_stamp.c - any bytes as a time and as an id (S2)
 *
 * What is read is in range and is written as it was read; what is refused
 * leaves no trace.
 */
#include "bl_stamp.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "not so: %s\n", what);
    abort();
}

static void try_text(const char *text, size_t len)
{
    char back[BL_STAMP_TEXT_LEN];
    bl_stamp_t stamp = 0;

    if (bl_stamp_read(&stamp, text, len) != APR_SUCCESS) {
        must(stamp == 0, "a refused time leaves the result alone");
        return;
    }
    must(stamp >= 1 && stamp <= BL_STAMP_MAX, "a time is in range");
    bl_stamp_write(back, stamp);
    must(len == sizeof(back) && memcmp(text, back, len) == 0,
         "a time is written as it was read");
}

static void try_id(const char *text, size_t len)
{
    char back[18];
    bl_stamp_t id = 0;
    size_t zeros = 0;

    if (bl_stamp_read_id(&id, text, len) != APR_SUCCESS) {
        must(id == 0, "a refused id leaves the result alone");
        return;
    }
    must(id >= 1 && id <= BL_STAMP_MAX, "an id is in range");
    while (text[zeros] == '0')
        zeros++;
    must(bl_stamp_write_id(back, id) == len - zeros &&
             memcmp(text + zeros, back, len - zeros) == 0,
         "an id is written as it was read");
}

/* The bytes as a number: each stamp there is can be written and read. */
static void try_number(const uint8_t *data, size_t size)
{
    char text[BL_STAMP_TEXT_LEN];
    apr_uint64_t number = 0;
    bl_stamp_t back = 0;

    memcpy(&number, data, size < sizeof(number) ? size : sizeof(number));
    must(bl_stamp_next(number >> 1, (apr_time_t)number) > number >> 1,
         "ids grow");
    bl_stamp_write(text, number);
    number = number % BL_STAMP_MAX + 1;
    bl_stamp_write(text, number);
    must(bl_stamp_read(&back, text, sizeof(text)) == APR_SUCCESS &&
             back == number,
         "a number comes back from its text");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_text((const char *)data, size);
    try_id((const char *)data, size);
    try_number(data, size);
    return 0;
}
