/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_text.h - the text of a log that has ended, by offset
 *
 * Layer:    1 (store). APR only, no httpd.h.
 * Runs in:  any thread, one at a time for each bl_text_t.
 * Owns:     the way from an offset in the text to a place in the log, and a
 *           bucket that reads the text when it is needed.
 * Not here: what the text is (bl_plain), HTTP (bl_download).
 *
 * Nothing in a log tells how much text stands before a record: to find an
 * offset the records before it are read, at the speed of the disk. On the way
 * a mark is kept for every BL_TEXT_MARK_BYTES, so that no other offset costs
 * that again: of a request with many ranges, in whatever order, the log is
 * read to the last one once.
 *
 * X1  the bytes are those of P1 (bl_plain.h), wherever reading begins
 * X2  memory does not grow with the log, but for the marks: 16 bytes for each
 *     BL_TEXT_MARK_BYTES
 */
#ifndef BL_TEXT_H
#define BL_TEXT_H

#include <apr_buckets.h>
#include <apr_errno.h>
#include <apr_pools.h>

#include "bl_log.h"

typedef struct bl_text_t bl_text_t;

#define BL_TEXT_MARK_BYTES (1024 * 1024)

/**
 * Make the text of a log.
 *
 * @param cursor  of the log; nobody else uses it from now on, and it lives as
 *                long as p
 * @param tail    bytes of the log: it has ended
 */
bl_text_t *bl_text_create(bl_cursor_t *cursor, apr_off_t tail, apr_pool_t *p);

/**
 * Read bytes of the text.
 *
 * @param len     room in out; becomes what was read: less than that only
 *                before the end, and before what cannot be read
 * @param offset  of the first byte; forwards and to where the last read ended
 *                it costs only what it reads
 * @return APR_SUCCESS: *len > 0; APR_EOF: behind the end; an I/O status
 */
apr_status_t bl_text_read(char *out, apr_size_t *len, bl_text_t *text,
                          apr_off_t offset);

/**
 * Add all of the text to a brigade, without reading any of it: buckets of
 * known length that are read block by block, split and copied as those of a
 * file are. They are valid as long as text is.
 *
 * @param length  of the text, as the build's record says. When the log has
 *                less the last read fails
 */
void bl_text_insert(apr_bucket_brigade *bb, bl_text_t *text, apr_off_t length);

/** Why a bucket could not be read; APR_SUCCESS: none failed. */
apr_status_t bl_text_status(const bl_text_t *text);

#endif /* BL_TEXT_H */
