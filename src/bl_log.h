/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_log.h - the log file of one build: append and follow
 *
 * Layer:    1 (store). APR only, no httpd.h.
 * Runs in:  writer: runner only. cursor: any thread, one thread per cursor.
 * Owns:     the files below logs/, their names, how they grow, how a place in
 *           one is found.
 * Not here: the format of a record (bl_record), how far readers may look
 *           (bl_table: the published tail).
 *
 * A log is a row of records whose ids grow strictly. A cursor stands between
 * two records and moves forwards, up to a tail that its owner names.
 *
 *      0              cursor            tail (published)      end of file
 *      |---- records ---|---- to send ----|-- maybe unfinished --|
 *
 * A log that grows too long gets a hole: bytes between two records are given
 * back to the disk, and read as NUL from then on. No record has a NUL, and no
 * offset changes. The hole may grow at its end while others read. When no more
 * comes, a note at its beginning says what was there (BL_REC_GAP).
 *
 *      0             from               to                   tail
 *      |-- records ---|....... hole .....|----- records ------|
 *      |-- records ---|note|.............|----- records ------|
 */
#ifndef BL_LOG_H
#define BL_LOG_H

#include <apr_errno.h>
#include <apr_file_io.h>
#include <apr_pools.h>
#include <apr_tables.h>

#include "bl_record.h"

typedef struct bl_log_t bl_log_t;
typedef struct bl_cursor_t bl_cursor_t;

/* In bytes of the file; both are between two records. */
typedef struct {
    apr_off_t from;
    apr_off_t to;
} bl_hole_t;

/* ---- writer (runner) ------------------------------------------------ */

/**
 * Create the log of a build.
 *
 * @param dir  the logs directory; lives as long as p
 * @return APR_SUCCESS; APR_EEXIST: that build has one already; an I/O status
 */
apr_status_t bl_log_create(bl_log_t **out, const char *dir, apr_uint64_t build,
                           apr_pool_t *p);

/**
 * Open a log that an earlier runner left, to end it. What stands behind its
 * last whole record is cut off.
 *
 * @return APR_SUCCESS, an I/O status
 */
apr_status_t bl_log_reopen(bl_log_t **out, const char *dir, apr_uint64_t build,
                           apr_pool_t *p);

/** Put a record into the batch; nothing is written yet. rec->id must be
 * greater than that of the record before. */
void bl_log_add(bl_log_t *log, const bl_record_t *rec);

/**
 * Write the batch, whole. On failure the file is as before the call and the
 * batch is kept: call again later.
 *
 * @return APR_SUCCESS (also with an empty batch); an I/O status
 */
apr_status_t bl_log_commit(bl_log_t *log);

/**
 * Give what stands in a part of the log back to the disk.
 *
 * @param hole  below the tail; it may begin where one before it began
 * @return APR_SUCCESS; APR_ENOTIMPL: the file system cannot; an I/O status
 */
apr_status_t bl_log_punch(bl_log_t *log, const bl_hole_t *hole);

/**
 * Write a record at the beginning of a hole. On failure the hole is one still,
 * also if half a note stands there: try again later.
 *
 * @param note  with BL_REC_GAP; its id between those around the hole
 * @return APR_SUCCESS; APR_EINVAL: it does not fit; an I/O status
 */
apr_status_t bl_log_fill(bl_log_t *log, const bl_hole_t *hole,
                         const bl_record_t *note);

/** Is there anything that was added and not committed? */
int bl_log_pending(const bl_log_t *log);

/** Bytes committed. */
apr_off_t bl_log_tail(const bl_log_t *log);

/** Where the next record that is added will begin. */
apr_off_t bl_log_end(const bl_log_t *log);

/** Id of the last record committed; 0: none. */
bl_stamp_t bl_log_last_id(const bl_log_t *log);

void bl_log_close(bl_log_t **log);

/* ---- cursor --------------------------------------------------------- */

/** @return APR_SUCCESS, the cursor before the first record; APR_ENOENT: no
 * such log; an I/O status */
apr_status_t bl_cursor_open(bl_cursor_t **out, const char *dir,
                            apr_uint64_t build, apr_pool_t *p);

/** Bytes that the file has now: a tail for logs that grow no more. */
apr_status_t bl_cursor_size(apr_off_t *size, bl_cursor_t *c);

/**
 * Stand before the first record with an id greater than after. By binary
 * search: a few reads, however long the log.
 *
 * @return APR_SUCCESS (at the tail if there is none); an I/O status
 */
apr_status_t bl_cursor_seek(bl_cursor_t *c, bl_stamp_t after, apr_off_t tail);

/**
 * The id behind which the last count lines of the log stand; 0: all of it.
 * The cursor is somewhere afterwards.
 */
apr_status_t bl_cursor_seek_tail(bl_stamp_t *after, bl_cursor_t *c,
                                 apr_uint32_t count, apr_off_t tail);

/**
 * Read the next record below the tail.
 *
 * @param rec  its text is valid until the next call with this cursor
 * @return APR_SUCCESS; APR_EOF: at the tail, go on when it has grown; an I/O
 *         status. Lines that are no records are skipped.
 */
apr_status_t bl_cursor_next(bl_record_t *rec, bl_cursor_t *c, apr_off_t tail);

/**
 * Does the record that was read last stand behind a hole that nobody has told
 * of? Its note has, if the cursor came to the hole from there: it has read the
 * note, or bl_cursor_seek was given its id.
 *
 * @return NULL: no. As much of it as the cursor passed; valid as the text is
 */
const bl_hole_t *bl_cursor_skipped(const bl_cursor_t *c);

/** Has it passed a hole that nobody has told of, and come to the tail, so that
 * no record stands behind it yet? */
int bl_cursor_is_passing(const bl_cursor_t *c);

/** Does it stand behind the note of a hole? @return its id; 0: no */
bl_stamp_t bl_cursor_noted(const bl_cursor_t *c);

/** Read the last record below the tail; the cursor is right behind it, at 0
 * if there is none. @return APR_SUCCESS; APR_EOF: none */
apr_status_t bl_cursor_last(bl_record_t *rec, bl_cursor_t *c, apr_off_t tail);

/**
 * How far the hole of the log reaches by now. The cursor stays where it is.
 *
 * @param end  0: there is none, or none that gives room back to the disk
 * @return APR_SUCCESS, an I/O status
 */
apr_status_t bl_cursor_hole_end(apr_off_t *end, const bl_cursor_t *c,
                                apr_off_t tail);

/** Where the cursor stands, in bytes. */
apr_off_t bl_cursor_offset(const bl_cursor_t *c);

/** Stand there again: at 0, or where bl_cursor_offset said. */
void bl_cursor_set(bl_cursor_t *c, apr_off_t offset);

/** Stand at the first record that begins at or behind a byte.
 * @return APR_SUCCESS; APR_EOF: none does; an I/O status */
apr_status_t bl_cursor_align(bl_cursor_t *c, apr_off_t offset, apr_off_t tail);

void bl_cursor_close(bl_cursor_t **c);

/* ---- the directory -------------------------------------------------- */

/**
 * Open what stands under the name of a log, for its writer or a reader.
 *
 * @return APR_EGENERAL: it is no plain file
 */
apr_status_t bl_log_file_open(apr_file_t **out, const char *path,
                              apr_int32_t flags, apr_pool_t *p);

/**
 * Could a log be written here now? Writes so many bytes into a file, and
 * removes it.
 *
 * @return APR_SUCCESS; an I/O status
 */
apr_status_t bl_log_probe(const char *dir, apr_size_t bytes, apr_pool_t *p);

/** The file of a build's log, made in p. */
const char *bl_log_path(const char *dir, apr_uint64_t build, apr_pool_t *p);

/** The numbers of all builds that have a log, ascending (apr_uint64_t).
 * @return APR_SUCCESS: these are all; an I/O status */
apr_status_t bl_log_list(apr_array_header_t **out, const char *dir,
                         apr_pool_t *p);

#endif /* BL_LOG_H */
