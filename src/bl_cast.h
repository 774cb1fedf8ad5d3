/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_cast.h - a log as a recording of a terminal: asciicast
 *
 * Layer:    0 (value). Pure.
 * Runs in:  anywhere.
 * Owns:     what lines of a log are in a recording.
 * Not here: sending it (bl_replay).
 *
 *     {"version":2,"width":120,"height":36,"timestamp":1763805600,...}
 *     [0.000000,"m","install"]
 *     [0.000000,"o","$ yarn install\r\n"]
 *     [1.204113,"o","10%\r"]
 *
 * Version 2, which all players know. Times are seconds since the beginning.
 * Both streams are output of the one terminal; a line ends as on a terminal, a
 * piece does not, and a progress frame leads back to where its line begins. A
 * step begins with a marker.
 */
#ifndef BL_CAST_H
#define BL_CAST_H

#include <apr_pools.h>

#include "bl_record.h"

/**
 * Make the first line.
 *
 * @param title     any text
 * @param begin     time 0
 * @param duration  0: it is not known
 */
const char *bl_cast_head(const char *title, bl_stamp_t begin,
                         apr_uint64_t duration, apr_pool_t *p);

/** Most bytes that the functions below may write for a text of len bytes. */
apr_size_t bl_cast_event_max(apr_size_t len);

/** Write a line (BL_REC_IS_LINE). @return bytes written */
apr_size_t bl_cast_line(char *out, bl_stamp_t begin, const bl_record_t *rec);

/** Write a marker. @return bytes written */
apr_size_t bl_cast_marker(char *out, bl_stamp_t begin, bl_stamp_t at,
                          const char *label, apr_size_t len);

#endif /* BL_CAST_H */
