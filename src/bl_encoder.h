/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_encoder.h - records become what a viewer gets: events, or plain lines
 *
 * Layer:    2 (actor, pump side).
 * Runs in:  the thread that made it.
 * Owns:     a buffer, and which events there are.
 * Not here: which records (bl_feed), how an event or a line looks (bl_sse,
 *           bl_plain, bl_ansi).
 */
#ifndef BL_ENCODER_H
#define BL_ENCODER_H

#include <apr_pools.h>

#include "bl_record.h"
#include "bl_sse.h"

typedef struct bl_encoder_t bl_encoder_t;

/* What a viewer gets. */
typedef enum {
    BL_FORM_EVENTS,   /* Server-Sent Events */
    BL_FORM_OBJECTS,  /* the same as NDJSON: an object a line */
    BL_FORM_TERMINAL, /* lines with stamps and colours, for people */
    BL_FORM_DOCUMENT  /* the log as a document (P1 in bl_plain.h) that grows */
} bl_form_e;

/** Is there more in it than lines? In the other forms anything else would be
 * taken for output of the build. */
int bl_encoder_speaks(bl_form_e form);

/**
 * @param format       of events, of a document
 * @param time_format  of the stamps in text; copied
 * @param room         bytes to begin with; it grows
 */
bl_encoder_t *bl_encoder_create(bl_form_e form, bl_sse_format_e format,
                                const char *time_format, apr_size_t room,
                                apr_pool_t *p);

/** Begin anew. */
void bl_encoder_clear(bl_encoder_t *e);

/** What was written since; valid until more is. */
const char *bl_encoder_bytes(const bl_encoder_t *e);
apr_size_t bl_encoder_len(const bl_encoder_t *e);

/**
 * Write a record of a build's log.
 *
 * @param alone  the viewer sees this build alone: with its last record the
 *               stream ends
 * @return 1: it does
 */
int bl_encoder_record(bl_encoder_t *e, apr_uint64_t build,
                      const bl_record_t *rec, int alone);

/** Write the JSON of a line with its number (bl_sse_numbered). */
void bl_encoder_numbered(bl_encoder_t *e, apr_uint64_t line,
                         const bl_record_t *rec);

/** Write these bytes: what stands between such objects. */
void bl_encoder_put(bl_encoder_t *e, const char *bytes, apr_size_t len);

/** Room for so many bytes, to be written by somebody else... */
char *bl_encoder_room(bl_encoder_t *e, apr_size_t want);
/** ...who wrote so many. */
void bl_encoder_took(bl_encoder_t *e, apr_size_t len);

/** Write an event; without a word where there are only lines. id: the viewer's
 * place from then on; 0: it stays. data: JSON. */
void bl_encoder_event(bl_encoder_t *e, const char *name, bl_stamp_t id,
                      const char *data, apr_size_t len);

/** Say when to come back. */
void bl_encoder_retry(bl_encoder_t *e, apr_uint32_t ms);

/** Say that something is missing behind an id (0: nobody knows behind which);
 * from: what comes next; 0: nothing more. On a terminal it is a line. */
void bl_encoder_gap(bl_encoder_t *e, bl_stamp_t after, bl_stamp_t from);

/**
 * Say that of a log that grows something was left out (BuildLogMaxLog): a gap;
 * in plain lines one that says so.
 *
 * @param next   the record behind it
 * @param alone  as for bl_encoder_record
 */
void bl_encoder_hole(bl_encoder_t *e, apr_uint64_t build, bl_stamp_t after,
                     const bl_record_t *next, int alone);

/** Say where the viewer is, and what time. */
void bl_encoder_ping(bl_encoder_t *e, bl_stamp_t at, apr_time_t now);

#endif /* BL_ENCODER_H */
