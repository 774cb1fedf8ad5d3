/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_opening.h - what a viewer asked for, and where its stream begins
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     from query and headers to a feed and an id; what the viewer may
 *           see.
 * Not here: bytes (bl_stream).
 */
#ifndef BL_OPENING_H
#define BL_OPENING_H

#include "httpd.h"

#include "bl_feed.h"
#include "bl_query.h"

typedef struct {
    bl_query_t query;
    bl_feed_spec_t spec;
    bl_stamp_t at;   /* what follows this id is sent */
    int gap;         /* the client's place is none of ours: say so */
    int is_live;     /* of what it may see something waits or runs */
    const char *now; /* the record of the one build as it is now */
} bl_opening_t;

/**
 * Decide all of it.
 *
 * @param polls   the viewer gets one answer: only what can be in it is decided
 * @param detail  for the client, when it is not OK
 * @return OK; 204: the client has everything; 400, 404, 500
 */
int bl_opening_decide(bl_opening_t *out, const char **detail, request_rec *r,
                      int polls);

#endif /* BL_OPENING_H */
