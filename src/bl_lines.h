/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_lines.h - the bytes of one output stream, cut into lines
 *
 * Layer:    0 (value). No I/O, no clock.
 * Runs in:  runner. One bl_lines_t per pipe.
 * Owns:     the rules for line ends, carriage returns, pieces and bad bytes.
 * Not here: ids and times (bl_stamp), when a piece is due (bl_job).
 *
 * L1  no byte is lost and none is invented, except: of frames ended by CR
 *     within one call only the last is kept; invalid UTF-8 (by maximal
 *     subparts) and NUL become U+FFFD; an empty frame ended by CR is no frame
 * L2  LF, CRLF and CR..CRLF end a line. CR before anything else ends a frame.
 *     A frame whose CR was the last byte waits: the next call or a flush tells
 * L3  what is emitted is valid UTF-8: a piece ends before a character that is
 *     not complete yet
 * L4  a line longer than the limit comes in pieces of at most that many input
 *     bytes. Emitted text is at most 3 times as long as its input
 * L5  a line that was begun by pieces is always ended by an emit without
 *     BL_REC_PIECE (with empty text if nothing is left)
 * L6  an LF that comes (alone) after a frame was flushed ends the line that
 *     the frame showed: its text is emitted again, whole
 */
#ifndef BL_LINES_H
#define BL_LINES_H

#include <apr_pools.h>

#include "bl_record.h"

typedef struct bl_lines_t bl_lines_t;

/**
 * Takes one line, frame or piece.
 *
 * @param flags  0 or BL_REC_PIECE or BL_REC_CR
 * @param text   valid until the function returns; as R1 in bl_record.h
 */
typedef void (*bl_lines_emit_fn)(void *baton, unsigned flags, const char *text,
                                 apr_size_t len);

/**
 * @param limit  longest line in input bytes, at least 16
 * @param p      lives as long as the stream; memory is of the order of limit
 *               and does not grow with what is fed
 */
bl_lines_t *bl_lines_create(apr_size_t limit, bl_lines_emit_fn emit,
                            void *baton, apr_pool_t *p);

/** Take what one read brought; emits what is complete. */
void bl_lines_feed(bl_lines_t *lines, const char *buf, apr_size_t len);

/** Is there text that was fed and not yet emitted in any form? */
int bl_lines_pending(const bl_lines_t *lines);

/** Emit what is pending as a piece (or as a frame): nothing came for a while.
 * An incomplete character stays pending. */
void bl_lines_flush(bl_lines_t *lines);

/** The stream is over: emit the rest as a whole line. */
void bl_lines_finish(bl_lines_t *lines);

#endif /* BL_LINES_H */
