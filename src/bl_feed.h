/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_feed.h - what viewers see: logs, read from an id on, as bytes
 *
 * Layer:    2 (actor, pump side).
 * Runs in:  the one thread that made the feed: the pump, or a request thread
 *           that answers a short poll.
 * Owns:     the order of events over several logs, reading logs once for many
 *           viewers, the chunks that viewers share.
 * Not here: sockets (bl_pump), who may see what (layer 3 decides, the view
 * says).
 *
 * A feed is one build or all of them, in one format. It has no viewers and no
 * position: who asks says after which id, and gets the chunk of bytes that
 * comes next and the id behind it. Viewers at the same place get the same
 * chunk.
 *
 * F1  a viewer that asks with the id it got before sees every record of the
 *     feed exactly once, in the order of ids
 * F2  memory of a feed is bounded: a few chunks, and at a few places the logs
 *     that were written at the same time
 */
#ifndef BL_FEED_H
#define BL_FEED_H

#include <apr_buckets.h>
#include <apr_pools.h>

#include "bl_encoder.h"
#include "bl_table.h"

typedef struct bl_feed_t bl_feed_t;

/* Bytes of a chunk, about: a viewer that stands still holds a few. */
#define BL_FEED_CHUNK_BYTES (32 * 1024)

/* How a feed looks. Two viewers with equal specs share a feed. */
typedef struct {
    apr_uint64_t build; /* 0: all builds */
    bl_form_e form;     /* BL_FORM_DOCUMENT: one build only */
    bl_sse_format_e format;
    /* No lines: builds' records and what else is no line. The place moves on
     * all the same, in chunks without a bucket. */
    int only_builds;
    const char *time_format;
    apr_interval_time_t flush; /* shortest time between two writes */
    /* Also how often it is looked whether viewers are still there. */
    apr_interval_time_t ping;
    /* All builds only: see bl_view.h. */
    const char *view;
    /* All builds only: the client comes back by itself when the stream ends.
     * So it is ended when a project appears that the view does not know, and
     * decided anew. Others do not see such a project. */
    int resumes;
} bl_feed_spec_t;

int bl_feed_spec_equal(const bl_feed_spec_t *a, const bl_feed_spec_t *b);

/**
 * @param spec      copied
 * @param logs_dir  lives as long as p
 * @param table     the server's table
 * @param buckets   for the chunks; of the same thread
 */
bl_feed_t *bl_feed_create(const bl_feed_spec_t *spec, const char *logs_dir,
                          const bl_table_t *table, apr_bucket_alloc_t *buckets,
                          apr_pool_t *p);

const bl_feed_spec_t *bl_feed_spec(const bl_feed_t *feed);

void bl_feed_destroy(bl_feed_t **feed);

typedef enum {
    BL_CHUNK_MORE, /* the stream goes on */
    BL_CHUNK_END,  /* the build is over: the stream ends behind this */
    BL_CHUNK_AGAIN /* the client has to come back: its view is out of date.
                      A stream says goodbye, a poll just ends. */
} bl_chunk_e;

/* What comes next for a viewer. The bucket is the feed's: copy it. It is NULL
 * when there is nothing to send though the position moves. */
typedef struct {
    apr_bucket *bucket;
    bl_stamp_t to; /* ask with this id for what follows */
    bl_chunk_e then;
    apr_uint32_t lines; /* whole ones that are in it */
} bl_chunk_t;

/**
 * Get what follows an id.
 *
 * @param after  0: from the start
 * @return APR_SUCCESS; APR_EAGAIN: nothing new; APR_ENOENT: the log is gone;
 *         an I/O status
 */
apr_status_t bl_feed_next(bl_chunk_t *chunk, bl_feed_t *feed,
                          bl_stamp_t after);

/** Is there something behind this id? Cheap. */
int bl_feed_has_more(bl_feed_t *feed, bl_stamp_t after);

/** The id of the newest that there is; 0: it is not known. Cheap. */
bl_stamp_t bl_feed_newest(bl_feed_t *feed);

/** Give up what nobody has needed since this was called last: open logs, which
 * are descriptors, memory, and room on the disk if they were removed. */
void bl_feed_rest(bl_feed_t *feed);

/** The last words for a viewer that has to come back: destroy the bucket.
 * NULL: there are none in this form. */
apr_bucket *bl_feed_goodbye(bl_feed_t *feed, apr_uint32_t retry_ms);

/** A ping event with the position in it, shared by all viewers that stand
 * there; the bucket is the feed's. Not for a feed that
 * does not speak (bl_encoder_speaks). */
apr_bucket *bl_feed_ping(bl_feed_t *feed, bl_stamp_t at, apr_time_t now);

#endif /* BL_FEED_H */
