/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_sse.h - Server-Sent Events: frames out, positions in
 *
 * Layer:    0 (value). Pure.
 * Runs in:  anywhere; a bl_sse_style_t belongs to one thread.
 * Owns:     what an event looks like on the wire.
 * Not here: which events a client gets (bl_feed), sockets (bl_pump).
 *
 * E1  a frame is whole: it ends with an empty line
 * E2  no byte of a log can end a field: CR and LF in data (a log that someone
 *     damaged) become spaces; in the text of a JSON line they are escaped
 * E3  no event is ever named "error" or "open"
 *
 * Text:  id: 1763805600123456
 *        data: [2026-11-22 10:00:00] added 120 packages in 3s
 *
 * JSON:  id: 1763805600123456
 *        data: {"build":42,"id":"1763805600123456","time":"2026-...Z",
 *               "stream":"stdout","text":"..."}       (one line on the wire)
 *        and, where they hold: "step":N (on the note that begins step N),
 *        "partial":true, "cr":true, "note":true
 */
#ifndef BL_SSE_H
#define BL_SSE_H

#include "bl_record.h"

typedef enum { BL_SSE_TEXT, BL_SSE_JSON } bl_sse_format_e;

/* How lines are written; the local stamp is a cache. */
typedef struct {
    bl_sse_format_e format;
    const char *time_format; /* strftime, text only */
    bl_stamp_local_t local;  /* zeroed at first */
} bl_sse_style_t;

/** Most bytes that bl_sse_line may write for a text of len bytes. */
apr_size_t bl_sse_line_max(const bl_sse_style_t *style, apr_size_t len);

/**
 * Write a line as a message event.
 *
 * @param out    room for bl_sse_line_max(style, rec->len)
 * @param build  id of the build whose log rec is from
 * @return bytes written
 */
apr_size_t bl_sse_line(char *out, bl_sse_style_t *style, apr_uint64_t build,
                       const bl_record_t *rec);

/**
 * Write the JSON of a line alone, without a line end.
 *
 * @param out  room for bl_sse_line_max() of a style in JSON
 * @return bytes written
 */
apr_size_t bl_sse_json(char *out, apr_uint64_t build, const bl_record_t *rec);

/** Most bytes that bl_sse_numbered may write for a text of len bytes. */
apr_size_t bl_sse_numbered_max(apr_size_t len);

/**
 * Write a line's JSON with its number in place of its build's, and with
 * "gap":true if it says that something was left out. No line end.
 *
 * @param out  room for bl_sse_numbered_max(rec->len)
 * @return bytes written
 */
apr_size_t bl_sse_numbered(char *out, apr_uint64_t line,
                           const bl_record_t *rec);

/** Most bytes that bl_sse_event may write. */
apr_size_t bl_sse_event_max(apr_size_t name_len, apr_size_t data_len);

/**
 * Write a named event.
 *
 * @param out   room for bl_sse_event_max()
 * @param name  plain ASCII token
 * @param id    0: the event has no id, the client's position stays
 * @param data  one line (JSON)
 * @return bytes written
 */
apr_size_t bl_sse_event(char *out, const char *name, bl_stamp_t id,
                        const char *data, apr_size_t len);

#define BL_SSE_RETRY_MAX 32

/** Write "retry: ms" and an empty line. @return bytes written */
apr_size_t bl_sse_retry(char *out, apr_uint32_t ms);

/* What a client asked for with from=. */
typedef enum { BL_FROM_START, BL_FROM_TAIL, BL_FROM_ID } bl_from_e;

/**
 * Read the value of from=: "start", "tail" or an id.
 *
 * @return APR_SUCCESS, *id set for BL_FROM_ID; APR_EGENERAL, nothing set
 */
apr_status_t bl_sse_from_read(bl_from_e *from, bl_stamp_t *id,
                              const char *text, apr_size_t len);

#endif /* BL_SSE_H */
