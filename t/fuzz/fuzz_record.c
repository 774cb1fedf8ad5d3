/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_record.c - any bytes as a log file (R1)
 *
 * Reading goes on to the last LF whatever stands there, stays within the
 * bytes, and each record that is read survives being written and read again.
 */
#include "bl_record.h"

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

/* decode(encode(x)) == x */
static void try_round_trip(const bl_record_t *rec)
{
    char *line = malloc(rec->len + BL_REC_OVERHEAD);
    apr_size_t len = bl_record_encode(line, rec);
    bl_record_t back;
    apr_size_t used = 0;

    must(len <= rec->len + BL_REC_OVERHEAD, "a record fits its room");
    must(bl_record_decode(&back, line, len, &used) == APR_SUCCESS,
         "what was written is read");
    must(used == len, "all of it");
    must(back.id == rec->id && back.stream == rec->stream &&
             back.flags == rec->flags && back.step == rec->step,
         "with the same stamp, stream and tags");
    must(back.len == rec->len && memcmp(back.text, rec->text, rec->len) == 0,
         "and the same text");
    free(line);
}

/* Read all, as a reader of a file does. */
static void try_log(const char *buf, size_t len)
{
    apr_status_t rv;
    bl_record_t rec;
    apr_size_t used = 0;

    for (;; buf += used, len -= used) {
        rv = bl_record_decode(&rec, buf, len, &used);
        if (rv == APR_INCOMPLETE)
            break;
        must(used > 0 && used <= len, "what is used lies within the bytes");
        must(len > BL_REC_MAX || buf[used - 1] == '\n', "and ends in LF");
        if (rv != APR_SUCCESS)
            continue;
        must(rec.text > buf && rec.text + rec.len + 1 == buf + used,
             "the text ends where the record does");
        must(memchr(rec.text, '\n', rec.len) == NULL, "and has no LF");
        must(rec.id >= 1 && rec.id <= BL_STAMP_MAX, "an id is in range");
        must(rec.step <= BL_REC_STEP_MAX, "a step is in range");
        try_round_trip(&rec);
    }
    must(used == 0, "nothing is used of what is not complete");
    must(len == 0 || memchr(buf, '\n', len) == NULL, "and it has no LF");
}

/* The bytes as the members of a record. */
static void try_members(const uint8_t *data, size_t size)
{
    bl_record_t rec;
    const char *lf;

    if (size < 12)
        return;
    memcpy(&rec.id, data, sizeof(rec.id));
    rec.id = rec.id % BL_STAMP_MAX + 1;
    rec.stream = (data[8] & 1) != 0 ? BL_STDERR : BL_STDOUT;
    rec.flags = data[9] & 0x1F;
    rec.step = (data[10] * 256u + data[11]) % (BL_REC_STEP_MAX + 1);
    rec.text = (const char *)data + 12;
    rec.len = size - 12;
    lf = rec.len > 0 ? memchr(rec.text, '\n', rec.len) : NULL;
    if (lf != NULL)
        rec.len = (apr_size_t)(lf - rec.text);
    if (rec.len <= BL_REC_MAX - BL_REC_OVERHEAD)
        try_round_trip(&rec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_log((const char *)data, size);
    try_members(data, size);
    return 0;
}
