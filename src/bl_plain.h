/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_plain.h - a log as a document: text, or a JSON object a line (NDJSON)
 *
 * Layer:    0 (value). Pure.
 * Runs in:  anywhere.
 * Owns:     what a line of a log is in a document.
 * Not here: digest and counts of the text (bl_tally), events (bl_sse).
 *
 * P1  the document is these bytes for each line record in its order, whoever
 *     sends it: a download, a part of one, a stream that follows the build
 *
 * Text is what the build printed, and what the runner said: the text of the
 * record, and LF unless it is a piece. NDJSON is the object of bl_sse_json and
 * LF, for pieces too.
 *
 * A stream as NDJSON has what events say besides, as objects with "event":
 *     {"event":"build","id":"1763805600123456","data":{...}}
 */
#ifndef BL_PLAIN_H
#define BL_PLAIN_H

#include "bl_sse.h"

/** Bytes of a record in the text. */
apr_size_t bl_plain_text_len(const bl_record_t *rec);

/**
 * Copy some of the bytes of a record in the text.
 *
 * @param from  the first one
 * @param len   how many; from + len <= bl_plain_text_len(rec)
 */
void bl_plain_text_copy(char *out, const bl_record_t *rec, apr_size_t from,
                        apr_size_t len);

/** Most bytes that bl_plain_line may write for a text of len bytes. */
apr_size_t bl_plain_line_max(bl_sse_format_e format, apr_size_t len);

/**
 * Write a line.
 *
 * @param out    room for bl_plain_line_max(format, rec->len)
 * @param build  id of the build whose log rec is from
 * @param rec    a line (BL_REC_IS_LINE)
 * @return bytes written
 */
apr_size_t bl_plain_line(char *out, bl_sse_format_e format, apr_uint64_t build,
                         const bl_record_t *rec);

/** Most bytes that bl_plain_event may write. */
apr_size_t bl_plain_event_max(apr_size_t name_len, apr_size_t data_len);

/**
 * Write an event as an object on a line.
 *
 * @param out   room for bl_plain_event_max()
 * @param name  as that of bl_sse_event
 * @param id    0: the event has no id, the client's position stays
 * @param data  JSON; CR and LF (there are none) become blanks
 * @return bytes written
 */
apr_size_t bl_plain_event(char *out, const char *name, bl_stamp_t id,
                          const char *data, apr_size_t len);

#endif /* BL_PLAIN_H */
