/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_stamp.h - the time of a record, which is also its id
 *
 * Layer:    0 (value). Pure.
 * Runs in:  anywhere. A bl_stamp_local_t belongs to one thread.
 * Owns:     the id rule, the two ways a time is written, the way an id is
 * read. Not here: who keeps the last id of the server (bl_table).
 *
 * S1  ids grow strictly over the whole server, also when the clock steps back
 * S2  an id is a time: microseconds since the epoch, 1 .. BL_STAMP_MAX; 0 is
 *     "none"
 */
#ifndef BL_STAMP_H
#define BL_STAMP_H

#include <apr.h>
#include <apr_time.h>

typedef apr_uint64_t bl_stamp_t;

/* 9999-12-31T23:59:59.999999Z: the last one with a year of four digits. */
#define BL_STAMP_MAX APR_UINT64_C(253402300799999999)

/* "2026-11-22T10:00:00.123456Z", without a NUL. */
#define BL_STAMP_TEXT_LEN 27

/** The next id: max(now, last + 1). */
bl_stamp_t bl_stamp_next(bl_stamp_t last, apr_time_t now);

/** Write RFC 3339, UTC, microseconds: BL_STAMP_TEXT_LEN bytes, no NUL. */
void bl_stamp_write(char *out, bl_stamp_t stamp);

/**
 * Read what bl_stamp_write wrote, and nothing else: exact length, each field
 * in its range.
 *
 * @return APR_SUCCESS; APR_EGENERAL otherwise, *out untouched
 */
apr_status_t bl_stamp_read(bl_stamp_t *out, const char *text, apr_size_t len);

/**
 * Read an id as clients send it: decimal digits only, 1 .. BL_STAMP_MAX, no
 * sign, no blank.
 *
 * @return APR_SUCCESS; APR_EGENERAL otherwise, *out untouched
 */
apr_status_t bl_stamp_read_id(bl_stamp_t *out, const char *text,
                              apr_size_t len);

/** Write an id in decimal, no NUL. @return bytes written, at most 18 */
apr_size_t bl_stamp_write_id(char *out, bl_stamp_t id);

/* The stamp that text lines carry, in local time, made once a second. */
#define BL_STAMP_LOCAL_MAX 128

typedef struct {
    apr_uint64_t second; /* what text is for; 0: nothing yet */
    apr_size_t len;
    char text[BL_STAMP_LOCAL_MAX];
} bl_stamp_local_t;

/**
 * Bring the cached text up to date with a record's second.
 *
 * @param local   zeroed before the first call
 * @param format  strftime format; the same one in each call with this local.
 *                A result that is empty or does not fit makes an empty text.
 */
void bl_stamp_local(bl_stamp_local_t *local, const char *format,
                    bl_stamp_t stamp);

#endif /* BL_STAMP_H */
