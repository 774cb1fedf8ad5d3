/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_ansi.h - a line of a log for a terminal: stamp, colours
 *
 * Layer:    0 (value). Pure.
 * Runs in:  anywhere; a bl_sse_style_t belongs to one thread.
 * Owns:     what a line looks like to who follows by `curl -N`.
 * Not here: the text alone (bl_plain), events (bl_sse).
 *
 *     [2026-11-22 10:00:00] added 120 packages in 3s
 *     [2026-11-22 10:00:00 #42] the same among lines of other builds
 *
 * The stamp is faint, what came by stderr red, what the module says bold; the
 * build's own colours stand, to the end of their line.
 *
 * N1  each line stands for itself: where it begins and behind it nothing is
 *     coloured, whatever the build left open
 * N2  output moves no cursor, sets no title and fills no clipboard: of its
 *     sequences only those for colours and type (SGR) come through, and other
 *     control characters but TAB are U+FFFD
 */
#ifndef BL_ANSI_H
#define BL_ANSI_H

#include "bl_sse.h"

/** Most bytes that bl_ansi_line may write for a text of len bytes. */
apr_size_t bl_ansi_line_max(apr_size_t len);

/**
 * Write a line; a piece is one, too.
 *
 * @param out    room for bl_ansi_line_max(rec->len)
 * @param style  its time_format and cache of stamps
 * @param build  the number of the build; 0: there is but one
 * @param rec    a line (BL_REC_IS_LINE)
 * @return bytes written
 */
apr_size_t bl_ansi_line(char *out, bl_sse_style_t *style, apr_uint64_t build,
                        const bl_record_t *rec);

#endif /* BL_ANSI_H */
