/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_encoder.h - records become what a viewer gets: events, or plain lines
 *
 * Layer:    2 (actor, pump side).
 * Runs in:  the thread that made it.
 * Owns:     a buffer, and which events there are.
 * Not here: which records (bl_feed), how an event or a line looks (bl_sse,
 *           bl_plain).
 *
 * Plain lines are for who wants a document that grows: nothing but lines is
 * written then, for anything else would be taken for output of the build.
 */
#ifndef BL_ENCODER_H
#define BL_ENCODER_H

#include <apr_pools.h>

#include "bl_record.h"
#include "bl_sse.h"

typedef struct bl_encoder_t bl_encoder_t;

/**
 * @param plain        lines alone (P1 in bl_plain.h)
 * @param time_format  of events in text; copied
 * @param room         bytes to begin with; it grows
 */
bl_encoder_t *bl_encoder_create(bl_sse_format_e format, int plain,
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

/** Say that something is missing behind an id; from: what comes next; 0:
 * nothing more. */
void bl_encoder_gap(bl_encoder_t *e, bl_stamp_t after, bl_stamp_t from);

/**
 * Say that of a log that grows something was left out (BuildLogMaxLog): a gap;
 * in plain lines one that says so.
 *
 * @param next  the record behind it
 */
void bl_encoder_hole(bl_encoder_t *e, apr_uint64_t build, bl_stamp_t after,
                     const bl_record_t *next);

/** Say where the viewer is, and what time. */
void bl_encoder_ping(bl_encoder_t *e, bl_stamp_t at, apr_time_t now);

#endif /* BL_ENCODER_H */
