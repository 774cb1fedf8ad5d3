/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_middle.h - what is left out of a log that grows beyond its limit
 *
 * Layer:    0 (value). Pure.
 * Runs in:  runner; what is said of it: anywhere.
 * Owns:     where the middle of a log begins and ends, what is in it, what is
 *           said of it.
 * Not here: giving it back to the disk (bl_log), when (bl_output).
 *
 * The head of a log stays, up to half of its limit, and of the latest output
 * about as much. What is between is the middle:
 *
 *      0          limit/2                                     tail
 *      |-- head -----|............ middle ...........|-- latest --|
 *
 * It begins at a fixed place and grows at its end, in steps of about a
 * sixteenth of the limit.
 *
 * M1  what is not left out takes limit bytes of the file at most; one record
 *     that is longer than the rest allows, and what is being written at once,
 *     come on top of it
 * M2  the middle begins and ends between two records
 * M3  memory does not grow with the log
 */
#ifndef BL_MIDDLE_H
#define BL_MIDDLE_H

#include <apr_pools.h>

#include "bl_record.h"

typedef struct bl_middle_t bl_middle_t;

/* A place between two records, and what stands before it. */
typedef struct {
    apr_off_t offset;
    apr_uint64_t lines; /* of the log as text */
    apr_uint64_t bytes;
} bl_middle_at_t;

/** @param limit  bytes of the log; 4096 at least */
bl_middle_t *bl_middle_create(apr_int64_t limit, apr_pool_t *p);

/**
 * The next record will begin here.
 *
 * @return 1: here the middle begins, should there be one. Said once
 */
int bl_middle_next(bl_middle_t *middle, const bl_middle_at_t *at);

/**
 * The log has grown: what can go now?
 *
 * @return 0: nothing. 1: what is from *from to *to; say bl_middle_gone when it
 *         is gone
 */
int bl_middle_due(apr_off_t *from, apr_off_t *to, const bl_middle_t *middle,
                  apr_off_t tail);

/** What bl_middle_due named is gone: the middle ends there. */
void bl_middle_gone(bl_middle_t *middle, apr_off_t to);

/** Is anything left out, and from where to where? */
int bl_middle_is(apr_off_t *from, apr_off_t *to, const bl_middle_t *middle);

/** How much of the log as text is left out. */
apr_uint64_t bl_middle_lines(const bl_middle_t *middle);
apr_uint64_t bl_middle_bytes(const bl_middle_t *middle);

/** "123456 lines (17.2 MB) were left out here: BuildLogMaxLog is 256M" */
const char *bl_middle_text(const bl_middle_t *middle, apr_pool_t *p);

/** The same for who only sees how many bytes of the file are missing. */
const char *bl_middle_text_of(apr_off_t bytes, apr_pool_t *p);

/** Make the note of who only sees that something is missing, while the log
 * grows. @param next  the id of the record behind it */
void bl_middle_record(bl_record_t *rec, bl_stamp_t next);

#endif /* BL_MIDDLE_H */
