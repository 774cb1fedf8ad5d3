/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_record.h - one record of a log: the CRI container log format
 *
 * Layer:    0 (value). Pure.
 * Runs in:  anywhere.
 * Owns:     the format of a line in a log file.
 * Not here: how lines are cut from output (bl_lines), files (bl_log).
 *
 *     2026-11-22T10:00:00.123456Z stdout F added 120 packages in 3s LF
 *     <stamp> SP <stdout|stderr> SP <tags> SP <text> LF
 *
 * Tags are joined by ':', in this order; a reader ignores those it does not
 * know:
 *     F | P   a whole line | a piece, more of this line follows on the stream
 *     note    written by the runner itself
 *     cr      ended by a carriage return: the stream's next line replaces it
 *     build   not a line: the text is the build's record in JSON, written on
 *             each change of state or step (always with note)
 *     end     the last record of a log; the text is the final build record
 *             (always with note)
 *     gap     a note that stands for what was left out right behind it
 *     sN      a note that begins step N, counted from 1
 *
 * R1  the text is UTF-8 without NUL, CR and LF; it may be empty
 * R2  in a log, stamps grow strictly
 */
#ifndef BL_RECORD_H
#define BL_RECORD_H

#include <apr_errno.h>

#include "bl_stamp.h"

typedef enum { BL_STDOUT, BL_STDERR } bl_stream_e;

#define BL_REC_PIECE 0x01u /* P instead of F */
#define BL_REC_NOTE 0x02u
#define BL_REC_CR 0x04u
#define BL_REC_BUILD 0x08u
#define BL_REC_END 0x10u
#define BL_REC_GAP 0x20u

typedef struct {
    bl_stamp_t id;
    bl_stream_e stream;
    unsigned flags; /* BL_REC_... */
    unsigned step;  /* sN; 0: no such tag. At most BL_REC_STEP_MAX */
    const char *text;
    apr_size_t len;
} bl_record_t;

#define BL_REC_STEP_MAX 999u

/* Everything but the text, at its longest, the LF included. */
#define BL_REC_OVERHEAD 72

/* No record in a log is longer; a reader may refuse one that is. The limit
 * of BuildLogLineLimit keeps text far below (bad bytes grow threefold). */
#define BL_REC_MAX (4 * 1024 * 1024)

/** Is this record a line for viewers (and not a build record)? */
#define BL_REC_IS_LINE(rec) (((rec)->flags & (BL_REC_BUILD | BL_REC_END)) == 0)

/**
 * Write a record.
 *
 * @param out  room for rec->len + BL_REC_OVERHEAD bytes
 * @param rec  text as R1 wants it: not checked here
 * @return bytes written
 */
apr_size_t bl_record_encode(char *out, const bl_record_t *rec);

/**
 * Read the record at the start of buf. The text points into buf.
 *
 * @param used  APR_SUCCESS: bytes taken, the LF included. APR_EGENERAL: bytes
 *              to skip (through the next LF, or all) to try again
 * @return APR_SUCCESS; APR_INCOMPLETE: no LF yet; APR_EGENERAL: not a record.
 *         *out is set only on APR_SUCCESS
 */
apr_status_t bl_record_decode(bl_record_t *out, const char *buf,
                              apr_size_t len, apr_size_t *used);

#endif /* BL_RECORD_H */
