/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_window.h - lines of a log by their numbers
 *
 * Layer:    1 (store). APR only, no httpd.h.
 * Runs in:  any thread, one at a time for each bl_window_t.
 * Owns:     what the number of a line is, and the way from a number to a place
 *           in the log.
 * Not here: how many lines a client may have (bl_excerpt), their form.
 *
 * Nothing in a log tells the number of a record: the lines before it are
 * counted, at the speed of the disk, or those behind it, from a place whose
 * number is known: a mark, or the end of a log whose lines are known in all.
 *
 * W1  the number of a line record is 1 + the count of those before it that are
 *     no pieces. So a line has the number that it has in the text (bl_plain):
 *     a piece has that of the line which it is a part of
 * W2  memory does not grow with the log
 * W3  a hole in a log that grows is a line: a note, made here, with the id
 *     before the record behind the hole (a log that has ended has its own)
 */
#ifndef BL_WINDOW_H
#define BL_WINDOW_H

#include <apr_errno.h>
#include <apr_pools.h>

#include "bl_log.h"
#include "bl_marks.h"

typedef struct bl_window_t bl_window_t;

/**
 * Make a window at the first line.
 *
 * @param cursor  of the log; nobody else uses it from now on, and it lives as
 *                long as p
 * @param tail    bytes of the log that may be read
 * @param grows   the log has not ended (W3)
 */
bl_window_t *bl_window_create(bl_cursor_t *cursor, apr_off_t tail, int grows,
                              apr_pool_t *p);

/** The log has so many lines: its last record says so. */
void bl_window_know(bl_window_t *w, apr_uint64_t lines);

/**
 * Use what was counted before, and add what will be counted.
 *
 * @param marks  of this log as it is now; they live as long as the window
 */
void bl_window_use(bl_window_t *w, bl_marks_t *marks);

/**
 * How many lines the log has, a last one without its end not counted. When
 * nobody has said so they are counted, once; the window is somewhere then.
 *
 * @return APR_SUCCESS; an I/O status
 */
apr_status_t bl_window_lines(apr_uint64_t *lines, bl_window_t *w);

/**
 * Stand before a line.
 *
 * @param number  from 1; behind the last one: stand at the tail
 * @return APR_SUCCESS; an I/O status
 */
apr_status_t bl_window_seek(bl_window_t *w, apr_uint64_t number);

/** Stand before the last count lines; *number is the first of them, and
 * APR_SUCCESS as of bl_window_seek. */
apr_status_t bl_window_seek_last(apr_uint64_t *number, bl_window_t *w,
                                 apr_uint64_t count);

/**
 * Of the lines from where the window stands to the tail, choose the last ones
 * that take no more than so many bytes; one in any case. The window stands
 * before them.
 *
 * @param number  of the first line, where the window stands; then of the first
 *                that is chosen
 * @param count   lines that there are at most
 * @param takes   bytes that a record takes, when so many of its line are taken
 *                already
 * @return APR_SUCCESS; an I/O status
 */
apr_status_t bl_window_fit(apr_uint64_t *number, bl_window_t *w,
                           apr_uint64_t count, apr_uint64_t most,
                           apr_size_t (*takes)(void *baton,
                                               const bl_record_t *rec,
                                               apr_size_t before),
                           void *baton, apr_pool_t *p);

/** Bytes of the log from where the window stands to the tail. */
apr_off_t bl_window_left(const bl_window_t *w);

/** Stand behind the record with this id, in or before the line with this
 * number. @return APR_SUCCESS; an I/O status */
apr_status_t bl_window_seek_id(bl_window_t *w, bl_stamp_t id,
                               apr_uint64_t number);

/**
 * Read the next line record.
 *
 * @param rec     its text is valid until the next call
 * @param number  of the line that it is, or is a piece of
 * @return APR_SUCCESS; APR_EOF: at the tail; an I/O status
 */
apr_status_t bl_window_next(bl_record_t *rec, apr_uint64_t *number,
                            bl_window_t *w);

/** The number that the next line record has. */
apr_uint64_t bl_window_number(const bl_window_t *w);

/** The id of the record that was passed last, line or not; 0: there is none
 * before the place where the window stands. */
bl_stamp_t bl_window_after(const bl_window_t *w);

#endif /* BL_WINDOW_H */
